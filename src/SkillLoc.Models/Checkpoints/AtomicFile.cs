using System.Text;

namespace SkillLoc.Models.Checkpoints;

/// <summary>Writes a file so that its name never stands for something incomplete.</summary>
public static class AtomicFile
{
    private const int BufferBytes = 1 << 16;

    /// <summary>
    /// Writes to a temporary name in the same folder, flushes it to the disk and renames it. Whatever goes wrong, the temporary
    /// is removed and a file that was there is untouched.
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
            using (var stream = new FileStream(temporary, FileMode.CreateNew, FileAccess.Write, FileShare.None, BufferBytes))
            {
                write(stream);
                stream.Flush(flushToDisk: true);
            }
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

    /// <summary>Removes what writers of a file that were killed left beside it. No writer may be at work on the file.</summary>
    /// <param name="path">The file, which need not exist; it stays.</param>
    /// <exception cref="IOException">A temporary could not be removed.</exception>
    public static void RemoveLeftovers(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        var target = Path.GetFullPath(path);
        if (Path.GetDirectoryName(target) is not { } folder || !Directory.Exists(folder))
            return;
        foreach (var temporary in Directory.EnumerateFiles(folder, $".{Path.GetFileName(target)}.*.tmp"))
            File.Delete(temporary);
    }

    /// <summary>A name beside <paramref name="target"/> that nothing has.</summary>
    internal static string TemporaryName(string target) =>
        Path.Join(Path.GetDirectoryName(target), $".{Path.GetFileName(target)}.{Guid.NewGuid():N}.tmp");
}
