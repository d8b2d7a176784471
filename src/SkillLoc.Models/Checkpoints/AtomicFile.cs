using System.Security.Cryptography;
using System.Text;

namespace SkillLoc.Models.Checkpoints;

/// <summary>Writes a file so that its name never stands for something incomplete.</summary>
internal static class AtomicFile
{
    private const int BufferBytes = 1 << 16;

    // What file systems allow for a name, in bytes.
    private const int LongestName = 255;

    /// <summary>
    /// Writes to a temporary name in the same folder, flushes it to the disk and renames it. Whatever goes wrong, the temporary
    /// is removed and a file that was there is untouched. Temporaries of writers that were killed are removed too.
    /// </summary>
    /// <param name="path">The file to create or replace.</param>
    /// <param name="write">Writes the content; what it throws other than an input or output error comes through as it is.</param>
    /// <exception cref="IOException">The file could not be written, for instance because the disk is full.</exception>
    public static void Write(string path, Action<Stream> write)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentNullException.ThrowIfNull(write);
        var target = Path.GetFullPath(path);
        var temporary = TemporaryName(target);
        try
        {
            RemoveLeftovers(target);

            // Open, and so locked, until it has its name: whoever finds it unlocked knows that its writer is dead.
            using var stream = new FileStream(temporary, FileMode.CreateNew, FileAccess.Write, FileShare.Delete, BufferBytes);
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
            if (File.Exists(temporary))
                File.Delete(temporary);
        }
    }

    /// <summary>Writes text as UTF-8 without a byte order mark, as <see cref="Write"/> does.</summary>
    /// <exception cref="IOException">The file could not be written, for instance because the disk is full.</exception>
    public static void WriteText(string path, string text) => Write(path, stream => stream.Write(Encoding.UTF8.GetBytes(text)));

    /// <summary>Throws unless <see cref="Write"/> could write a file now; makes its folder where that is missing.</summary>
    /// <param name="path">The file, which stays as it is.</param>
    /// <exception cref="IOException">It could not.</exception>
    public static void CheckWritable(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        var target = Path.GetFullPath(path);
        try
        {
            if (Directory.Exists(target) || Path.GetFileName(target).Length == 0)
                throw new IOException("it is a folder");
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            RemoveLeftovers(target);
            using var probe = new FileStream(
                TemporaryName(target), FileMode.CreateNew, FileAccess.Write, FileShare.Delete, 1, FileOptions.DeleteOnClose);
            probe.WriteByte(0);
            probe.Flush(flushToDisk: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new IOException($"'{target}' could not be written ({e.Message.TrimEnd('.')}).", e);
        }
    }

    /// <summary>Removes what writers of a file that were killed left beside it, as far as that is possible.</summary>
    /// <param name="path">The file, which need not exist; it stays, and so do temporaries of writers that are at work.</param>
    public static void RemoveLeftovers(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        var target = Path.GetFullPath(path);
        if (Path.GetDirectoryName(target) is not { } folder || !Directory.Exists(folder))
            return;
        foreach (var temporary in Directory.EnumerateFiles(folder, TemporaryPattern(target)).Where(IsAbandoned))
            Try(() => File.Delete(temporary));
    }

    /// <summary>A name beside <paramref name="target"/> that nothing has.</summary>
    internal static string TemporaryName(string target) =>
        Path.Join(Path.GetDirectoryName(target), $"{TemporaryPrefix(target)}{Guid.NewGuid():N}.tmp");

    /// <summary>What finds the names that <see cref="TemporaryName"/> gives.</summary>
    internal static string TemporaryPattern(string target) => $"{TemporaryPrefix(target)}{new string('?', 32)}.tmp";

    /// <summary>Whether nobody has a file open that its writer keeps open, so that the writer is dead.</summary>
    internal static bool IsAbandoned(string path)
    {
        // Where the runtime was told not to lock files, nobody can know.
        if (AppContext.TryGetSwitch("System.IO.DisableFileLocking", out var isDisabled) && isDisabled
            || Environment.GetEnvironmentVariable("DOTNET_SYSTEM_IO_DISABLEFILELOCKING") is "1" or "true")
            return false;
        return Try(() => new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None).Dispose());
    }

    /// <summary>Does what may be left undone.</summary>
    /// <returns>Whether it was done.</returns>
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
        var name = Path.GetFileName(target);

        // A long name has no room for more, and a name with signs that patterns read otherwise would find others' temporaries.
        return Encoding.UTF8.GetByteCount(name) + ".".Length + Guid.Empty.ToString("N").Length + "..tmp.lock".Length <= LongestName
            && name.AsSpan().IndexOfAny("*?<>\"") < 0
            ? $".{name}."
            : $".{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(name)))}.";
    }
}
