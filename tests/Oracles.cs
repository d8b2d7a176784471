namespace SkillLoc.Tests;

/// <summary>Where the tests' oracle files are.</summary>
internal static class Oracles
{
    private static readonly string RepositoryRoot = FindRepositoryRoot();

    /// <summary>The full path of a file or folder in <c>tests/oracles</c>.</summary>
    public static string PathOf(params string[] parts) => Path.Combine([RepositoryRoot, "tests", "oracles", .. parts]);

    /// <summary>The full path of a file or folder in <c>shared</c> beside the repository, which may be absent: skip the test
    /// then.</summary>
    public static string SharedPathOf(params string[] parts) => Path.GetFullPath(Path.Combine([RepositoryRoot, "..", "shared", .. parts]));

    private static string FindRepositoryRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (Directory.Exists(Path.Combine(folder.FullName, "tests", "oracles")))
            {
                return folder.FullName;
            }
        }
        throw new DirectoryNotFoundException($"There is no folder tests/oracles above {AppContext.BaseDirectory}.");
    }
}
