using System.Text.Json;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Json;

namespace SkillLoc.Models.Hub;

/// <summary>
/// The cache of Python's huggingface_hub: <c>models--organisation--name</c> with <c>refs/revision</c>, which holds a commit,
/// <c>snapshots/commit</c>, whose files are links into <c>blobs</c> or, where links are not possible, the files themselves, and
/// <c>blobs</c>, named after their hashes.
/// </summary>
/// <param name="options">Where it is.</param>
internal sealed class HubCache(HubOptions options)
{
    private const string Config = "config.json";

    /// <summary>The cache's folder.</summary>
    public string Root { get; } = Path.GetFullPath(options.CacheFolder ?? HubEnvironment.CacheFolder);

    /// <summary>The folder of a repository.</summary>
    public string FolderOf(string repository) => Path.Join(Root, FolderName(repository));

    /// <summary>The folder of a snapshot.</summary>
    public string SnapshotOf(string repository, string commit) => Path.Join(FolderOf(repository), "snapshots", commit);

    /// <summary>The file for the content with a hash.</summary>
    public string BlobOf(string repository, string hash) => Path.Join(FolderOf(repository), "blobs", hash);

    /// <summary>The file that whoever writes a content holds locked.</summary>
    public string LockOf(string repository, string hash) => Path.Join(Root, ".locks", FolderName(repository), hash + ".lock");

    /// <summary>Finds a checkpoint whose configuration and weights are there.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="looked">Takes a line for each place that has it not, which says why.</param>
    /// <returns>The snapshot; null if there is none.</returns>
    public HubSnapshot? Find(HubName name, List<string> looked)
    {
        foreach (string repository in name.Spellings)
        {
            if (Look(repository, name.RevisionOrMain, out HubSnapshot? found) is not { } problem)
            {
                return found;
            }

            looked.Add($"'{FolderOf(repository)}' {problem}");
        }

        return null;
    }

    /// <summary>Notes which commit a branch or tag stands for.</summary>
    public void WriteRef(string repository, string revision, string commit)
    {
        string path = RefOf(repository, revision);
        if (File.Exists(path) && File.ReadAllText(path).Trim() == commit)
        {
            return;
        }

        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        AtomicFile.WriteText(path, commit);
    }

    /// <summary>Whether a folder is a snapshot.</summary>
    public static bool IsSnapshot(string folder) => Path.GetFileName(Path.GetDirectoryName(folder)) == "snapshots";

    /// <summary>Puts a blob into a snapshot.</summary>
    /// <param name="blob">The blob, complete.</param>
    /// <param name="file">The file in the snapshot.</param>
    public static void Point(string blob, string file)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        if (Exists(file))
        {
            return;
        }

        // A link that leads nowhere.
        File.Delete(file);
        try
        {
            File.CreateSymbolicLink(file, Path.GetRelativePath(Path.GetDirectoryName(file)!, blob));
        }
        catch (IOException) when (Exists(file))
        {
            // Another process was first.
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // As on Windows without the right to make links.
            AtomicFile.Write(
                file,
                stream =>
                {
                    using FileStream source = File.OpenRead(blob);
                    source.CopyTo(stream);
                }
            );
        }
    }

    /// <summary>Whether there is a file; a link must lead to one.</summary>
    public static bool Exists(string path)
    {
        try
        {
            return File.Exists(path) && File.ResolveLinkTarget(path, returnFinalTarget: true) is null or { Exists: true };
        }
        catch (IOException)
        {
            // Links in a circle.
            return false;
        }
    }

    /// <summary>The names of the files that an index of weights refers to.</summary>
    /// <exception cref="InvalidDataException">It is no such index.</exception>
    public static IReadOnlyList<string> Shards(string index)
    {
        try
        {
            using JsonDocument json = JsonText.Parse(File.ReadAllBytes(index));
            string[] names =
            [
                .. json.RootElement.GetProperty("weight_map").EnumerateObject().Select(entry => entry.Value.GetString() ?? "").Distinct(),
            ];
            return Array.Find(names, name => !IsPlain(name)) is { } odd
                ? throw new InvalidDataException($"'{index}' refers to '{odd}', which is no name of a file beside it.")
                : names;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException)
        {
            throw new InvalidDataException($"'{index}' is no index of weights: {e.Message}", e);
        }
    }

    /// <summary>Whether a name that comes from elsewhere stays in its folder.</summary>
    public static bool IsPlain(string name) =>
        name.Length > 0 && name[0] != '.' && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-');

    private static string FolderName(string repository) => "models--" + repository.Replace("/", "--", StringComparison.Ordinal);

    private string RefOf(string repository, string revision) => Path.Join([FolderOf(repository), "refs", .. revision.Split('/')]);

    /// <summary>Looks into the folder of a repository.</summary>
    /// <returns>What is wrong with it; null if it has the checkpoint.</returns>
    private string? Look(string repository, string revision, out HubSnapshot? found)
    {
        found = null;
        string folder = FolderOf(repository);
        if (!Directory.Exists(folder))
        {
            return "is not there";
        }

        string commit = revision;
        if (!HubName.IsCommit(revision))
        {
            string reference = RefOf(repository, revision);
            if (!Exists(reference))
            {
                return $"has no refs/{revision}{Snapshots(folder)}";
            }

            commit = File.ReadAllText(reference).Trim();
            if (!HubName.IsCommit(commit))
            {
                return $"has a damaged refs/{revision}: '{(commit.Length > 40 ? commit[..40] : commit)}' is no commit";
            }
        }

        string snapshot = SnapshotOf(repository, commit);
        if (!Directory.Exists(snapshot))
        {
            return commit == revision
                ? $"has no snapshots/{commit}{Snapshots(folder)}"
                : $"has a dangling refs/{revision}: there is no snapshots/{commit}";
        }

        if (Missing(snapshot) is { } problem)
        {
            int unfinished = Directory.Exists(Path.Join(folder, "blobs"))
                ? Directory.EnumerateFiles(Path.Join(folder, "blobs"), "*.incomplete").Count()
                : 0;
            return $"has an incomplete snapshots/{commit}: {problem}"
                + (unfinished == 0 ? "" : $"; {unfinished} of its blobs {(unfinished == 1 ? "is" : "are")} partly downloaded");
        }

        found = new(repository, commit, snapshot);
        return null;
    }

    /// <summary>What a snapshot lacks to be a checkpoint; null if nothing.</summary>
    private static string? Missing(string snapshot)
    {
        string? weights = Array.Find(CheckpointFolder.WeightFiles, name => Path.Exists(Path.Join(snapshot, name)));
        if (weights is null)
        {
            return Lacks(Config) ?? $"it has no weights, none of {string.Join(", ", CheckpointFolder.WeightFiles)}";
        }

        if ((Lacks(Config) ?? Lacks(weights)) is { } problem)
        {
            return problem;
        }

        try
        {
            return weights.EndsWith(".index.json", StringComparison.Ordinal)
                ? Shards(Path.Join(snapshot, weights)).Select(Lacks).FirstOrDefault(each => each is not null)
                : null;
        }
        catch (InvalidDataException e)
        {
            return e.Message.TrimEnd('.');
        }

        string? Lacks(string name)
        {
            string path = Path.Join(snapshot, name);
            return Exists(path) ? null
                : new FileInfo(path).LinkTarget is { } target ? $"{name} is a link to {target}, which is not there"
                : $"it has no {name}";
        }
    }

    /// <summary>What could be asked for instead.</summary>
    private static string Snapshots(string folder)
    {
        string snapshots = Path.Join(folder, "snapshots");
        string[] commits = Directory.Exists(snapshots)
            ? [.. Directory.EnumerateDirectories(snapshots).Select(path => Path.GetFileName(path))]
            : [];
        return commits.Length == 0 ? "" : $" (it has the {(commits.Length == 1 ? "commit" : "commits")} {string.Join(", ", commits)})";
    }
}

/// <summary>A checkpoint in the cache.</summary>
/// <param name="Repository">The repository, as the cache spells it.</param>
/// <param name="Commit">The commit's hash.</param>
/// <param name="Folder">The folder.</param>
internal sealed record HubSnapshot(string Repository, string Commit, string Folder)
{
    /// <summary>Whether it has a vocabulary of any kind.</summary>
    public bool HasTokenizer =>
        Array.Exists(
            ["tokenizer.json", "vocab.json", "vocab.txt", "spiece.model", "sentencepiece.bpe.model"],
            name => HubCache.Exists(Path.Join(Folder, name))
        );
}
