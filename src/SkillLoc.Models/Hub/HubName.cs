using System.Text.RegularExpressions;

namespace SkillLoc.Models.Hub;

/// <summary>A repository on the hub, and a revision of it: <c>name</c>, <c>organisation/name</c> or either with <c>@revision</c>.</summary>
/// <param name="Repository">The repository, as it was typed.</param>
/// <param name="Revision">A branch, a tag or a commit; null for the main branch.</param>
internal sealed partial record HubName(string Repository, string? Revision)
{
    private const int LongestName = 96;

    // The hub redirects these names of its first years, which have no organisation. A name longer than a prefix stands before it.
    private static readonly (string Prefix, string Organisation)[] Legacy =
    [
        ("roberta-base-openai", "openai-community"),
        ("roberta-large-openai", "openai-community"),
        ("roberta-", "FacebookAI"),
        ("xlm-", "FacebookAI"),
        ("bert-", "google-bert"),
        ("distil", "distilbert"),
        ("gpt2", "openai-community"),
        ("t5-", "google-t5"),
        ("camembert-", "almanach"),
    ];

    /// <summary>The revision, or the main branch.</summary>
    public string RevisionOrMain => Revision ?? "main";

    /// <summary>The names under which a cache may have it: as typed, and with or without the organisation of a legacy name.</summary>
    public IEnumerable<string> Spellings
    {
        get
        {
            yield return Repository;
            string name = Repository[(Repository.IndexOf('/', StringComparison.Ordinal) + 1)..];
            string? organisation = Array.Find(Legacy, entry => name.StartsWith(entry.Prefix, StringComparison.Ordinal)).Organisation;
            if (organisation is null)
            {
                yield break;
            }

            if (name == Repository)
            {
                yield return $"{organisation}/{name}";
            }
            else if (Repository == $"{organisation}/{name}")
            {
                yield return name;
            }
        }
    }

    /// <summary>Reads a name.</summary>
    /// <param name="text">What somebody typed.</param>
    /// <returns>The name; null if it can only be a path.</returns>
    public static HubName? Parse(string text)
    {
        int at = text.IndexOf('@', StringComparison.Ordinal);
        string repository = at < 0 ? text : text[..at];
        string? revision = at < 0 ? null : text[(at + 1)..];
        return
            repository.Length <= LongestName
            && RepositoryPattern().IsMatch(repository)
            && !repository.Contains("--", StringComparison.Ordinal)
            && !repository.Contains("..", StringComparison.Ordinal)
            && !repository.EndsWith(".git", StringComparison.Ordinal)
            && (revision is null || RevisionPattern().IsMatch(revision) && !revision.Contains("..", StringComparison.Ordinal))
            ? new(repository, revision)
            : null;
    }

    /// <summary>Whether a revision is a commit's full hash.</summary>
    public static bool IsCommit(string revision) => revision.Length == 40 && revision.All(char.IsAsciiHexDigitLower);

    /// <inheritdoc/>
    public override string ToString() => Revision is null ? Repository : $"{Repository}@{Revision}";

    [GeneratedRegex(
        @"\A([A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?/)?[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\z",
        RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant,
        matchTimeoutMilliseconds: 10_000
    )]
    private static partial Regex RepositoryPattern();

    [GeneratedRegex(
        @"\A[A-Za-z0-9_][A-Za-z0-9_.+-]*(/[A-Za-z0-9_][A-Za-z0-9_.+-]*)*\z",
        RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant,
        matchTimeoutMilliseconds: 10_000
    )]
    private static partial Regex RevisionPattern();
}
