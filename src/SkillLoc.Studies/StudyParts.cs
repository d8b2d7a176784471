namespace SkillLoc.Studies;

/// <summary>The parts of a plan that <c>--only</c> chooses.</summary>
public static class StudyParts
{
    /// <summary>Chooses parts by their names, in the plan's order.</summary>
    /// <param name="what">What they are, for messages: "task".</param>
    /// <param name="parts">All parts.</param>
    /// <param name="nameOf">A part's name.</param>
    /// <param name="names">The names that are wanted; none for all.</param>
    /// <exception cref="ArgumentException">There is no part of a name.</exception>
    public static IReadOnlyList<T> Choose<T>(string what, IReadOnlyList<T> parts, Func<T, string> nameOf, IReadOnlyList<string> names)
    {
        ArgumentNullException.ThrowIfNull(parts);
        ArgumentNullException.ThrowIfNull(nameOf);
        ArgumentNullException.ThrowIfNull(names);
        foreach (string name in names.Where(name => !parts.Any(part => nameOf(part) == name)))
        {
            throw new ArgumentException(
                $"The plan has no {what} '{name}'; it has {string.Join(", ", parts.Select(part => $"'{nameOf(part)}'"))}.",
                nameof(names)
            );
        }

        return names.Count == 0 ? parts : [.. parts.Where(part => names.Contains(nameOf(part), StringComparer.Ordinal))];
    }
}
