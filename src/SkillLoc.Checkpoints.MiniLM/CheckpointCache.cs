using SkillLoc.Models.Checkpoints;

namespace SkillLoc;

/// <summary>Folders that are made once and kept for the user's programs.</summary>
internal static class CheckpointCache
{
    /// <summary>Names the cache instead of the usual place.</summary>
    public const string Variable = "SKILLLOC_CACHE";

    private const int Pause = 50;

    /// <summary>The default folder of the cache.</summary>
    public static string Default
    {
        get
        {
            if (Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } named)
            {
                return Path.GetFullPath(named);
            }

            string home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile, Environment.SpecialFolderOption.DoNotVerify);
            string caches =
                OperatingSystem.IsWindows()
                    ? Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify)
                : OperatingSystem.IsMacOS() ? Path.Join(home, "Library", "Caches")
                : Environment.GetEnvironmentVariable("XDG_CACHE_HOME") is { Length: > 0 } cache && Path.IsPathFullyQualified(cache) ? cache
                : Path.Join(home, ".cache");
            return Path.Join(caches, "skillloc");
        }
    }

    /// <summary>Returns a folder of the cache, made if it is not there or is damaged.</summary>
    /// <param name="cache">The cache; null for <see cref="Default"/>.</param>
    /// <param name="name">The folder's name, which says what is in it and of which version.</param>
    /// <param name="make">Writes a checkpoint folder as a whole.</param>
    /// <returns>The full path.</returns>
    /// <exception cref="IOException">The cache cannot be written.</exception>
    public static string Get(string? cache, string name, Action<string> make)
    {
        string root = Path.GetFullPath(cache ?? Default),
            folder = Path.Join(root, name);
        if (IsComplete(folder))
        {
            return folder;
        }

        try
        {
            Directory.CreateDirectory(root);
        }
        catch (UnauthorizedAccessException e)
        {
            throw new IOException($"The cache '{root}' cannot be made ({e.Message.TrimEnd('.')}); {Variable} names another place.", e);
        }

        using (Enter(Path.Join(root, name + ".lock")))
        {
            if (!IsComplete(folder))
            {
                make(folder);
            }
        }

        return folder;
    }

    /// <summary>Whether a checkpoint is there whose weights are as long as they say.</summary>
    private static bool IsComplete(string folder)
    {
        if (!File.Exists(Path.Join(folder, "config.json")))
        {
            return false;
        }

        try
        {
            using var checkpoint = CheckpointFolder.Open(folder);
            return File.Exists(Path.Join(folder, "vocab.txt"));
        }
        catch (Exception e) when (e is InvalidDataException or FileNotFoundException)
        {
            return false;
        }
    }

    /// <summary>Waits for a lock between processes, which ends with its holder.</summary>
    private static FileStream Enter(string path)
    {
        while (true)
        {
            try
            {
                return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (UnauthorizedAccessException e)
            {
                throw new IOException(
                    $"The cache '{Path.GetDirectoryName(path)}' cannot be written ({e.Message.TrimEnd('.')}); {Variable} names "
                        + "another place.",
                    e
                );
            }
            catch (IOException) when (File.Exists(path))
            {
                Thread.Sleep(Pause);
            }
        }
    }
}
