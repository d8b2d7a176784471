namespace SkillLoc.Models.Checkpoints;

/// <summary>Writes several files that belong together so that their folder never holds a mixture of old and new.</summary>
public static class AtomicFolder
{
    /// <summary>
    /// Writes into a temporary folder beside the target, flushes it to the disk and swaps the two. Whatever goes wrong, the temporary
    /// is removed and a folder that was there is untouched.
    /// </summary>
    /// <param name="folder">The folder to create or replace.</param>
    /// <param name="write">Writes the files into the folder that it is given; what it throws other than an input or output error comes through as it is.</param>
    /// <param name="isStale">
    /// Says of a file or folder name in the old folder, one that <paramref name="write"/> did not write anew, whether it goes; null keeps all such.
    /// </param>
    /// <exception cref="IOException">The folder could not be written, for instance because the disk is full.</exception>
    public static void Write(string folder, Action<string> write, Predicate<string>? isStale = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        ArgumentNullException.ThrowIfNull(write);
        var target = Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder));
        if (Directory.Exists(target))
            target = new DirectoryInfo(target).ResolveLinkTarget(returnFinalTarget: true)?.FullName ?? target;
        var temporary = AtomicFile.TemporaryName(target);
        string? old;
        try
        {
            if (File.Exists(target))
                throw new IOException("a file of that name is in the way");
            if (Path.GetDirectoryName(target) is { } parent && !Directory.Exists(parent))
                throw new DirectoryNotFoundException($"there is no folder '{parent}'");
            Directory.CreateDirectory(temporary);
            write(temporary);
            foreach (var file in Directory.EnumerateFiles(temporary, "*", SearchOption.AllDirectories))
                FlushToDisk(file);
            old = Swap(temporary, target);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new IOException($"The folder '{target}' could not be written ({e.Message.TrimEnd('.')}); what was there before is unchanged.", e);
        }
        finally
        {
            if (Directory.Exists(temporary))
                Directory.Delete(temporary, recursive: true);
        }
        if (old is not null)
            CarryOver(old, target, isStale ?? (_ => false));
    }

    /// <summary>Puts <paramref name="temporary"/> in the place of <paramref name="target"/> and says where the old folder is now, if there was one.</summary>
    private static string? Swap(string temporary, string target)
    {
        if (!Directory.Exists(target))
        {
            Directory.Move(temporary, target);
            return null;
        }

        var old = AtomicFile.TemporaryName(target);
        Directory.Move(target, old);
        try
        {
            Directory.Move(temporary, target);
        }
        catch
        {
            Directory.Move(old, target);
            throw;
        }
        return old;
    }

    private static void CarryOver(string old, string target, Predicate<string> isStale)
    {
        try
        {
            foreach (var entry in new DirectoryInfo(old).EnumerateFileSystemInfos())
            {
                var kept = Path.Join(target, entry.Name);
                if (!isStale(entry.Name) && !Path.Exists(kept))
                    Directory.Move(entry.FullName, kept);
            }
            Directory.Delete(old, recursive: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new IOException($"'{target}' is written, but what else was in it could not be moved back and is in '{old}' ({e.Message.TrimEnd('.')}).", e);
        }
    }

    private static void FlushToDisk(string path)
    {
        using var file = new FileStream(path, FileMode.Open, FileAccess.ReadWrite);
        file.Flush(flushToDisk: true);
    }
}
