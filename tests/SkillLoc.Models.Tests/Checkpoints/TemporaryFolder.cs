namespace SkillLoc.Models.Tests.Checkpoints;

/// <summary>A folder that goes when the test ends.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("skillloc-").FullName;

    public string PathOf(string name) => System.IO.Path.Combine(Path, name);

    /// <summary>The names in the folder, sorted.</summary>
    public string[] Names() =>
        [.. Directory.EnumerateFileSystemEntries(Path).Select(entry => System.IO.Path.GetFileName(entry)).Order(StringComparer.Ordinal)];

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
