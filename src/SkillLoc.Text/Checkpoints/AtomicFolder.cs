using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using System.Text.Json;

namespace SkillLoc.Models.Checkpoints;

/// <summary>Writes folders atomically: a folder never holds a mixture of old and new files.</summary>
/// <remarks>
/// <para>The new files are completed beside the folder before it changes. On Linux, the two folders are exchanged in one step, with all
/// other files linked into both, so that a kill at any moment leaves the old content or the new. Where this is not possible (other systems,
/// mount points, a read-only parent, or a file system without links), the files are replaced one by one; the file without which the folder
/// is invalid is removed first and written last. The next call that opens or writes the folder (<see cref="Recover"/>) completes an
/// interrupted replacement.</para>
/// <para>Temporary files of killed writers are removed by the next writer.</para>
/// </remarks>
internal static partial class AtomicFolder
{
    private const string InsidePrefix = ".skillloc-";
    private const string Suffix = ".tmp";
    private const string LockSuffix = ".lock";
    private const string InsidePattern = InsidePrefix + "*" + Suffix + LockSuffix;

    /// <summary>
    /// Writes into a temporary folder, flushes it to disk and moves it into place. If writing fails, the temporary folder is removed and an
    /// existing folder is unchanged.
    /// </summary>
    /// <param name="folder">The folder to create or replace.</param>
    /// <param name="write">Writes the files into the given folder; exceptions other than I/O errors are passed on unchanged.</param>
    /// <param name="isStale">
    /// Returns true for names in the old folder that are removed unless <paramref name="write"/> writes them; null keeps all.
    /// </param>
    /// <param name="validBy">Name of the file without which the folder is invalid; null for none.</param>
    /// <exception cref="IOException">The folder could not be written, for instance because the disk is full.</exception>
    public static void Write(string folder, Action<string> write, Predicate<string>? isStale = null, string? validBy = null) =>
        Write(folder, write, isStale, validBy, isInside: false);

    /// <summary>The same, optionally file by file where the folders could be exchanged.</summary>
    internal static void Write(string folder, Action<string> write, Predicate<string>? isStale, string? validBy, bool isInside)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        ArgumentNullException.ThrowIfNull(write);
        string target = Resolve(folder);
        try
        {
            if (File.Exists(target))
            {
                throw new IOException("a file of that name is in the way");
            }

            if (Path.GetDirectoryName(target) is { } parent && !Directory.Exists(parent))
            {
                throw new DirectoryNotFoundException($"there is no folder '{parent}'");
            }

            RemoveLeftovers(target);
            using Stage stage = isInside && Directory.Exists(target) ? Stage.Inside(target) : Stage.Create(target);
            write(stage.Path);
            foreach (string file in Directory.EnumerateFiles(stage.Path, "*", SearchOption.AllDirectories))
            {
                FlushToDisk(file);
            }

            Put(stage, target, isStale ?? (_ => false), validBy);
        }
        catch (Exception e) when ((e is IOException or UnauthorizedAccessException || IsTooLarge(e)) && e is not HalfwayException)
        {
            throw new IOException(
                $"The folder '{target}' could not be written ({e.Message.TrimEnd('.')}); what was there before is unchanged.",
                e
            );
        }
    }

    /// <summary>Whether a file became longer than its file system or the user's limit allows, which .NET does not report as an I/O
    /// error.</summary>
    internal static bool IsTooLarge(Exception error) =>
        error is ArgumentOutOfRangeException { ParamName: "value", Source: "System.Private.CoreLib" };

    /// <summary>Throws unless a folder could currently be written; creates missing parents.</summary>
    /// <param name="folder">The folder, which is not changed.</param>
    /// <exception cref="IOException">The folder cannot be written.</exception>
    internal static void CheckWritable(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        string target = Resolve(folder);
        try
        {
            if (File.Exists(target))
            {
                throw new IOException("a file of that name is in the way");
            }

            if (Path.GetDirectoryName(target) is { } parent)
            {
                Directory.CreateDirectory(parent);
            }

            RemoveLeftovers(target);
            using var stage = Stage.Create(target);
            AtomicFile.CheckWritable(Path.Join(stage.Path, "file"));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new IOException($"The folder '{target}' could not be written ({e.Message.TrimEnd('.')}).", e);
        }
    }

    /// <summary>Completes an interrupted file-by-file replacement of a folder; see the remarks.</summary>
    /// <param name="folder">The folder, which need not exist.</param>
    /// <exception cref="IOException">It cannot be completed.</exception>
    public static void Recover(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        if (!Directory.Exists(folder))
        {
            return;
        }

        foreach (string held in Directory.EnumerateFiles(folder, InsidePattern))
        {
            using FileStream? taken = AtomicFile.TakeAbandoned(held);
            if (taken is null)
            {
                continue;
            }

            string stage = held[..^LockSuffix.Length];
            try
            {
                if (File.Exists(FolderJournal.PathIn(stage)))
                {
                    Finish(stage, folder);
                }
            }
            catch (UnauthorizedAccessException e)
            {
                throw new IOException(
                    $"'{Path.GetFullPath(folder)}' was replaced half-way when its writer was killed, and cannot be completed "
                        + $"({e.Message.TrimEnd('.')}).",
                    e
                );
            }

            Remove(taken);
        }
    }

    /// <summary>Recovers a folder and removes the temporary folders of killed writers beside it, as far as possible.</summary>
    /// <param name="folder">The folder, which need not exist.</param>
    /// <exception cref="IOException">An interrupted replacement cannot be completed.</exception>
    public static void RemoveLeftovers(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        string target = Resolve(folder);
        Recover(target);
        if (Path.GetDirectoryName(target) is not { } parent || !Directory.Exists(parent))
        {
            return;
        }

        foreach (string held in Directory.EnumerateFiles(parent, AtomicFile.TemporaryPattern(target) + LockSuffix))
        {
            using FileStream? taken = AtomicFile.TakeAbandoned(held);
            if (taken is not null)
            {
                Remove(taken);
            }
        }
    }

    /// <summary>Whether a writer is replacing files in the folder, so that files may be missing for a moment.</summary>
    internal static bool IsBeingReplaced(string folder) =>
        Directory.Exists(folder) && Directory.EnumerateFiles(folder, InsidePattern).Any();

    /// <summary>Removes the stage of a dead writer, whose lock is held; the lock is removed last.</summary>
    private static void Remove(FileStream held) =>
        AtomicFile.Try(() =>
        {
            string stage = held.Name[..^LockSuffix.Length];
            if (Directory.Exists(stage))
            {
                Directory.Delete(stage, recursive: true);
            }

            // Windows removes no file that is open.
            if (OperatingSystem.IsWindows())
            {
                held.Dispose();
            }

            File.Delete(held.Name);
        });

    /// <summary>The folder that a link refers to.</summary>
    private static string Resolve(string folder)
    {
        string target = Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder));
        return Directory.Exists(target) ? new DirectoryInfo(target).ResolveLinkTarget(returnFinalTarget: true)?.FullName ?? target : target;
    }

    /// <summary>Replaces the target with the completed stage.</summary>
    private static void Put(Stage stage, string target, Predicate<string> isStale, string? validBy)
    {
        if (!Directory.Exists(target))
        {
            Directory.Move(stage.Path, target);
            return;
        }

        string[] written = [.. Directory.EnumerateFileSystemEntries(stage.Path).Select(entry => Path.GetFileName(entry))];
        if (!stage.IsInside && OperatingSystem.IsLinux() && LinkOthers(target, stage.Path, isStale) && Exchange(stage.Path, target))
        {
            // What came into the old folder in between.
            stage.IsKept = !CarryOver(stage.Path, target, isStale);
            if (stage.IsKept)
            {
                throw new HalfwayException(
                    $"'{target}' is written, but what else was in it could not be moved back and is in '{stage.Path}'."
                );
            }

            return;
        }

        string[] stale =
        [
            .. Directory
                .EnumerateFileSystemEntries(target)
                .Select(entry => Path.GetFileName(entry))
                .Where(name => !written.Contains(name) && isStale(name)),
        ];
        Stage inside = stage.IsInside ? stage : Stage.Inside(target);
        try
        {
            if (!stage.IsInside)
            {
                foreach (string name in written)
                {
                    MoveOver(Path.Join(stage.Path, name), Path.Join(inside.Path, name));
                }
            }

            // From here on a kill is completed, not undone.
            AtomicFile.WriteText(FolderJournal.PathIn(inside.Path), JsonSerializer.Serialize(new FolderJournal(written, stale, validBy)));
            try
            {
                Finish(inside.Path, target);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                inside.IsKept = true;
                throw new HalfwayException(
                    $"'{target}' could not be replaced as a whole ({e.Message.TrimEnd('.')}); the rest lies in '{inside.Path}', and "
                        + "opening the "
                        + "checkpoint completes it.",
                    e
                );
            }
        }
        finally
        {
            inside.Dispose();
        }
    }

    /// <summary>Completes a journal from its current state.</summary>
    private static void Finish(string stage, string target)
    {
        var steps = FolderJournal.Read(stage, target);
        if (steps.ValidBy is { } valid && Path.Exists(Path.Join(stage, valid)))
        {
            File.Delete(Path.Join(target, valid));
        }

        foreach (string? name in steps.Written.OrderBy(name => name == steps.ValidBy))
        {
            if (name == steps.ValidBy)
            {
                RemoveStale();
            }

            if (Path.Exists(Path.Join(stage, name)))
            {
                MoveOver(Path.Join(stage, name), Path.Join(target, name));
            }
        }

        RemoveStale();

        void RemoveStale()
        {
            foreach (string? path in steps.Stale.Select(name => Path.Join(target, name)))
            {
                if (Directory.Exists(path))
                {
                    Directory.Delete(path, recursive: true);
                }
                else
                {
                    File.Delete(path);
                }
            }
        }
    }

    private static void MoveOver(string from, string to)
    {
        if (!Directory.Exists(from))
        {
            File.Move(from, to, overwrite: true);
            return;
        }

        if (Directory.Exists(to))
        {
            Directory.Delete(to, recursive: true);
        }

        Directory.Move(from, to);
    }

    /// <summary>Links the other content of a folder into another; returns false if something cannot be linked.</summary>
    [UnsupportedOSPlatform("windows")]
    private static bool LinkOthers(string from, string to, Predicate<string> isStale)
    {
        try
        {
            File.SetUnixFileMode(to, File.GetUnixFileMode(from));
            return new DirectoryInfo(from)
                .EnumerateFileSystemInfos()
                .Where(entry => !isStale(entry.Name) && !Path.Exists(Path.Join(to, entry.Name)))
                .All(entry => Link(entry, Path.Join(to, entry.Name)));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or EntryPointNotFoundException or DllNotFoundException)
        {
            return false;
        }
    }

    [UnsupportedOSPlatform("windows")]
    private static bool Link(FileSystemInfo entry, string to)
    {
        if (entry is not DirectoryInfo { LinkTarget: null } folder)
        {
            return HardLink(entry.FullName, to) == 0;
        }

        Directory.CreateDirectory(to, folder.UnixFileMode);
        return folder.EnumerateFileSystemInfos().All(inner => Link(inner, Path.Join(to, inner.Name)));
    }

    private static bool Exchange(string one, string other)
    {
        const int AtWorkingDirectory = -100;
        const uint ExchangeBoth = 2;
        try
        {
            return Rename(AtWorkingDirectory, one, AtWorkingDirectory, other, ExchangeBoth) == 0;
        }
        catch (EntryPointNotFoundException)
        {
            return false;
        }
    }

    /// <summary>Moves the content that exists in one folder only and is not stale.</summary>
    private static bool CarryOver(string from, string to, Predicate<string> isStale)
    {
        bool isDone = true;
        foreach (FileSystemInfo? entry in new DirectoryInfo(from).EnumerateFileSystemInfos().Where(entry => !isStale(entry.Name)))
        {
            string kept = Path.Join(to, entry.Name);
            if (entry is DirectoryInfo { LinkTarget: null } && Directory.Exists(kept))
            {
                isDone &= CarryOver(entry.FullName, kept, _ => false);
            }
            else if (!Path.Exists(kept) && new FileInfo(kept).LinkTarget is null)
            {
                isDone &= AtomicFile.Try(() => Directory.Move(entry.FullName, kept));
            }
        }
        return isDone;
    }

    private static void FlushToDisk(string path)
    {
        using var file = new FileStream(path, FileMode.Open, FileAccess.ReadWrite);
        file.Flush(flushToDisk: true);
    }

    [LibraryImport("libc", EntryPoint = "link", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int HardLink(string from, string to);

    [LibraryImport("libc", EntryPoint = "renameat2", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Rename(int fromFolder, string from, int toFolder, string to, uint flags);

    /// <summary>A replacement that was only partly done; the message says what is missing.</summary>
    private sealed class HalfwayException(string message, Exception? cause = null) : IOException(message, cause);

    /// <summary>A temporary folder with a lock beside it that its writer holds while it lives; created before and removed after the
    /// folder.</summary>
    private sealed class Stage : IDisposable
    {
        private readonly FileStream _lock;

        private Stage(Func<string> name, bool isInside)
        {
            IsInside = isInside;
            _lock = AtomicFile.CreateLocked(() => name() + LockSuffix, 1, FileOptions.DeleteOnClose);
            Path = _lock.Name[..^LockSuffix.Length];
            try
            {
                Directory.CreateDirectory(Path);
            }
            catch
            {
                _lock.Dispose();
                throw;
            }
        }

        public string Path { get; }

        /// <summary>Whether it is inside the folder instead of beside it.</summary>
        public bool IsInside { get; }

        /// <summary>Whether it is kept because its content is still needed.</summary>
        public bool IsKept { get; set; }

        /// <summary>Creates a stage beside a folder, or inside it where that is not possible.</summary>
        public static Stage Create(string target)
        {
            try
            {
                return new(() => AtomicFile.TemporaryName(target), isInside: false);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException && Directory.Exists(target))
            {
                return Inside(target);
            }
        }

        public static Stage Inside(string target) =>
            new(() => System.IO.Path.Join(target, $"{InsidePrefix}{Guid.NewGuid():N}{Suffix}"), isInside: true);

        public void Dispose()
        {
            if (!IsKept && Directory.Exists(Path))
            {
                AtomicFile.Try(() => Directory.Delete(Path, recursive: true));
            }

            _lock.Dispose();
        }
    }
}
