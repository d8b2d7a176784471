using System.Reflection;

namespace Standins.Surface.Tests;

/// <summary>Compares what an assembly shows with the lists of what the real package shows.</summary>
internal static class SurfaceCheck
{
    /// <summary>The offending types and members, a line each, grouped by type; empty when there are none.</summary>
    /// <param name="types">The types to look at.</param>
    /// <param name="lists">The package's versions; a member has to be in every one.</param>
    public static IReadOnlyList<string> Offenders(IEnumerable<Type> types, params ApiList[] lists)
    {
        var offenders = new List<string>();
        foreach (var type in types.Where(Signatures.IsVisible).OrderBy(Signatures.Id, StringComparer.Ordinal))
        {
            if (Problem(type, lists) is { } problem)
                offenders.Add(problem);
            if (lists.Any(list => list.SignatureOf(Signatures.Id(type)) is null))
                continue;
            offenders.AddRange(Signatures.MembersOf(type)
                .Where(member => !IsOverrideOfListed(member, lists))
                .Select(member => Problem(member, lists))
                .OfType<string>()
                .Order(StringComparer.Ordinal)
                .Select(line => "  " + line));
        }
        return offenders;
    }

    private static string? Problem(MemberInfo member, ApiList[] lists)
    {
        var id = Signatures.Id(member);
        if (Array.FindAll(lists, list => list.SignatureOf(id) is null) is { Length: > 0 } lacking)
            return $"not in {string.Join(" and ", lacking.Select(list => list.Name))}: {id}\t{Signatures.Of(member)}";

        // Where the versions differ from each other, either is right.
        var signature = ApiList.Normalize(Signatures.Of(member));
        return lists.Any(list => list.SignatureOf(id) == signature)
            ? null
            : $"differs: {id}\n      here: {signature}\n{string.Join('\n', lists.Select(list => list.SignatureOf(id)).Distinct().Select(real => "      real: " + real))}";
    }

    // An override that the real package does not declare shows nothing that its base does not show.
    private static bool IsOverrideOfListed(MemberInfo member, ApiList[] lists) =>
        Signatures.BaseDefinition(member) is { } first
        && lists.All(list => list.SignatureOf(Signatures.Id(member)) is null)
        && (first.DeclaringType!.Assembly != member.DeclaringType!.Assembly || lists.All(list => list.SignatureOf(Signatures.Id(first)) is not null));
}
