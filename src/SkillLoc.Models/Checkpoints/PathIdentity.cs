namespace SkillLoc.Models.Checkpoints;

/// <summary>Compares paths by the file or folder they refer to, whether relative, with links, or with trailing separators.</summary>
internal static class PathIdentity
{
    // As many as Linux follows.
    private const int MostLinks = 40;

    private static readonly StringComparison Comparison =
        OperatingSystem.IsWindows() || OperatingSystem.IsMacOS() ? StringComparison.OrdinalIgnoreCase : StringComparison.Ordinal;

    /// <summary>Whether two paths refer to the same file or folder.</summary>
    /// <param name="first">A path, which need not exist.</param>
    /// <param name="second">Another path.</param>
    public static bool Same(string first, string second) => string.Equals(Of(first), Of(second), Comparison);

    /// <summary>Whether a path is a folder or inside it.</summary>
    /// <param name="folder">The folder, which need not exist.</param>
    /// <param name="path">The path, which need not exist.</param>
    public static bool IsWithin(string folder, string path)
    {
        var outer = Path.TrimEndingDirectorySeparator(Of(folder)) + Path.DirectorySeparatorChar;
        return (Of(path) + Path.DirectorySeparatorChar).StartsWith(outer, Comparison);
    }

    /// <summary>Returns the full path with all links resolved.</summary>
    /// <param name="path">A path, which need not exist.</param>
    public static string Of(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return Resolve(Path.TrimEndingDirectorySeparator(Path.GetFullPath(path)), 0);
    }

    private static string Resolve(string path, int links)
    {
        var parent = Path.GetDirectoryName(path);
        if (parent is null || links == MostLinks)
            return path;
        var here = Path.Join(Resolve(parent, links), Path.GetFileName(path));
        return Target(here) is { } target ? Resolve(Path.TrimEndingDirectorySeparator(Path.GetFullPath(target, parent)), links + 1) : here;
    }

    private static string? Target(string path)
    {
        try
        {
            return Directory.Exists(path)
                ? Directory.ResolveLinkTarget(path, returnFinalTarget: false)?.FullName
                : File.ResolveLinkTarget(path, returnFinalTarget: false)?.FullName;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // What cannot be looked at stands for itself.
            return null;
        }
    }
}
