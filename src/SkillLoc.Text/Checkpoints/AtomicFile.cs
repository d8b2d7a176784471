using System.Security.Cryptography;
using System.Text;

namespace SkillLoc.Models.Checkpoints;

/// <summary>Writes files atomically: a file name never refers to incomplete content.</summary>
internal static class AtomicFile
{
    private const int BufferBytes = 1 << 16;

    // What file systems allow for a name, in bytes.
    private const int LongestName = 255;

    /// <summary>
    /// Writes to a temporary file in the same folder, flushes it to disk and renames it. If writing fails, the temporary file is removed
    /// and an existing file is unchanged. Temporary files of killed writers are removed as well.
    /// </summary>
    /// <param name="path">The file to create or replace.</param>
    /// <param name="write">Writes the content; exceptions other than I/O errors are passed on unchanged.</param>
    /// <exception cref="IOException">The file could not be written, for instance because the disk is full.</exception>
    public static void Write(string path, Action<Stream> write)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentNullException.ThrowIfNull(write);
        string target = Path.GetFullPath(path);
        string? temporary = null;
        try
        {
            RemoveLeftovers(target);

            // Open, and so locked, until it has its name: whoever finds it unlocked knows that its writer is dead.
            using FileStream stream = CreateLocked(() => TemporaryName(target), BufferBytes);
            temporary = stream.Name;
            write(stream);
            stream.Flush(flushToDisk: true);
            File.Move(temporary, target, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new IOException($"'{target}' could not be written ({e.Message.TrimEnd('.')}); what was there before is unchanged.", e);
        }
        finally
        {
            // Where it cannot be removed either, what went wrong first is said.
            if (temporary is not null)
            {
                Try(() => File.Delete(temporary));
            }
        }
    }

    /// <summary>Writes text atomically as UTF-8 without a byte order mark; see <see cref="Write"/>.</summary>
    /// <exception cref="IOException">The file could not be written, for instance because the disk is full.</exception>
    public static void WriteText(string path, string text) => Write(path, stream => stream.Write(Encoding.UTF8.GetBytes(text)));

    /// <summary>Throws unless <see cref="Write"/> could currently write a file; creates its folder if missing.</summary>
    /// <param name="path">The file, which is not changed.</param>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public static void CheckWritable(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        string target = Path.GetFullPath(path);
        try
        {
            if (Directory.Exists(target) || Path.GetFileName(target).Length == 0)
            {
                throw new IOException("it is a folder");
            }

            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            RemoveLeftovers(target);
            using FileStream probe = CreateLocked(() => TemporaryName(target), 1, FileOptions.DeleteOnClose);
            probe.WriteByte(0);
            probe.Flush(flushToDisk: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new IOException($"'{target}' could not be written ({e.Message.TrimEnd('.')}).", e);
        }
    }

    /// <summary>Removes the temporary files of killed writers beside a file, as far as possible.</summary>
    /// <param name="path">The file, which need not exist; it and the temporary files of active writers are kept.</param>
    public static void RemoveLeftovers(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        string target = Path.GetFullPath(path);
        if (Path.GetDirectoryName(target) is not { } folder || !Directory.Exists(folder))
        {
            return;
        }

        foreach (string temporary in Directory.EnumerateFiles(folder, TemporaryPattern(target)))
        {
            TakeAbandoned(temporary, FileOptions.DeleteOnClose)?.Dispose();
        }
    }

    /// <summary>An unused name beside <paramref name="target"/>.</summary>
    internal static string TemporaryName(string target) =>
        Path.Join(Path.GetDirectoryName(target), $"{TemporaryPrefix(target)}{Guid.NewGuid():N}.tmp");

    /// <summary>The pattern of the names from <see cref="TemporaryName"/>.</summary>
    internal static string TemporaryPattern(string target) => $"{TemporaryPrefix(target)}{new string('?', 32)}.tmp";

    /// <summary>Creates a file that is locked while it is open.</summary>
    /// <param name="name">Gives a new name each time.</param>
    /// <param name="bufferBytes">The bytes that are written at once.</param>
    /// <param name="options">How it is opened.</param>
    internal static FileStream CreateLocked(Func<string> name, int bufferBytes, FileOptions options = FileOptions.None)
    {
        const int MostTries = 5;
        for (int tries = 1; ; tries++)
        {
            string path = name();
            try
            {
                var stream = new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.Delete, bufferBytes, options);

                // Before it was locked somebody may have taken it for a dead writer's. Whoever removes it holds its lock meanwhile, so from
                // here on it stays.
                if (File.Exists(path))
                {
                    return stream;
                }

                stream.Dispose();
            }
            catch (IOException) when (tries < MostTries && Directory.Exists(Path.GetDirectoryName(path)))
            {
                // The other holds the lock at this moment.
            }
        }
    }

    /// <summary>Locks a temporary file whose writer has died; whoever holds it may remove it. Null while the writer lives.</summary>
    internal static FileStream? TakeAbandoned(string path, FileOptions options = FileOptions.None)
    {
        // Where the runtime was told not to lock files, nobody can know.
        if (
            AppContext.TryGetSwitch("System.IO.DisableFileLocking", out bool isDisabled) && isDisabled
            || Environment.GetEnvironmentVariable("DOTNET_SYSTEM_IO_DISABLEFILELOCKING") is "1" or "true"
        )
        {
            return null;
        }

        FileStream? taken = null;
        Try(() => taken = new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None, 1, options));
        return taken;
    }

    /// <summary>Runs an action whose failure can be ignored.</summary>
    /// <returns>Whether it succeeded.</returns>
    internal static bool Try(Action action)
    {
        try
        {
            action();
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private static string TemporaryPrefix(string target)
    {
        string name = Path.GetFileName(target);

        // A long name has no room for more, and a name with signs that patterns read otherwise would find others' temporaries.
        return
            Encoding.UTF8.GetByteCount(name) + ".".Length + Guid.Empty.ToString("N").Length + "..tmp.lock".Length <= LongestName
            && name.AsSpan().IndexOfAny("*?<>\"") < 0
            ? $".{name}."
            : $".{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(name)))}.";
    }
}

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
        string outer = Path.TrimEndingDirectorySeparator(Of(folder)) + Path.DirectorySeparatorChar;
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
        string? parent = Path.GetDirectoryName(path);
        if (parent is null || links == MostLinks)
        {
            return path;
        }

        string here = Path.Join(Resolve(parent, links), Path.GetFileName(path));
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
