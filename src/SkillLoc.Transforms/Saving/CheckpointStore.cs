using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Hub;

namespace SkillLoc.Transforms;

/// <summary>Locates the checkpoint folders that saved ML.NET models refer to.</summary>
internal static class CheckpointStore
{
    /// <summary>Name of an environment variable with additional folders to search, separated as in PATH.</summary>
    public const string SearchPathVariable = "SKILLLOC_CHECKPOINTS";

    /// <summary>An environment variable with the folder that
    /// <see cref="SkillLocSaving.LoadModel(SkillLocCatalog, string, out Microsoft.ML.DataViewSchema, string)"/> unpacks checkpoints into;
    /// by default <c>SkillLoc/checkpoints</c> among the user's local application data, or, if there is no such folder, temporary
    /// files.</summary>
    public const string CacheVariable = "SKILLLOC_CACHE";

    /// <summary>Throws if a folder must not be overwritten by a model: its own base, which grafts refer to, or the base of a live graft in
    /// this program.</summary>
    /// <param name="folder">The target folder.</param>
    /// <param name="baseCheckpoint">The base of the model; null if unknown.</param>
    /// <exception cref="ArgumentException">The folder is one of these, under any path.</exception>
    public static void CheckTarget(string folder, string? baseCheckpoint)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        if (baseCheckpoint is not null && PathIdentity.Same(folder, PlaceOf(baseCheckpoint)))
        {
            throw new ArgumentException(
                $"'{folder}' is the base checkpoint that the model came from, and grafts are found and put against that: choose "
                    + "another folder.",
                nameof(folder)
            );
        }

        if (BasesInUse.Contains(folder))
        {
            throw new ArgumentException(
                $"'{folder}' is the base checkpoint of a graft that is in use, and a saved graft needs its base as it is: choose "
                    + "another folder, "
                    + "or dispose the graft.",
                nameof(folder)
            );
        }
    }

    /// <summary>The folder of a checkpoint, as far as it is on this machine.</summary>
    public static string PlaceOf(string checkpoint) => CheckpointHub.FindHere(checkpoint) ?? checkpoint;

    /// <summary>
    /// Finds a checkpoint folder: at its saved path, else a folder of the same name in <see cref="SearchPathVariable"/>, beside the
    /// program, or in the current directory. A name of the hub is looked for as <see cref="CheckpointHub"/> does, with another commit if
    /// that one is not there: the fingerprint of its weights decides.
    /// </summary>
    /// <param name="folder">The saved path or name.</param>
    /// <returns>The existing folder.</returns>
    /// <exception cref="FileNotFoundException">No folder exists; the message names all that were tried.</exception>
    public static string Find(string folder) => Find(folder, content: null);

    /// <summary>Finds a checkpoint; one that the model's file holds is first looked for where such files were unpacked.</summary>
    internal static string Find(string folder, string? content)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        if (content is not null && CheckpointCache.Find(content) is { } unpacked)
        {
            return unpacked;
        }

        string? repository = CheckpointHub.RepositoryOf(folder);
        if (repository is not null && (CheckpointHub.FindHere(folder) ?? CheckpointHub.FindHere(repository)) is { } cached)
        {
            return cached;
        }

        string name = Path.GetFileName(Path.TrimEndingDirectorySeparator(repository ?? folder));
        string[] candidates =
        [
            folder,
            .. (Environment.GetEnvironmentVariable(SearchPathVariable) ?? "")
                .Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
                .Select(parent => Path.Combine(parent, name)),
            Path.Combine(AppContext.BaseDirectory, name),
            Path.GetFullPath(name),
        ];
        if (candidates.FirstOrDefault(Directory.Exists) is { } found)
        {
            return found;
        }

        string elsewhere = "";
        if (repository is not null)
        {
            try
            {
                return CheckpointHub.Resolve(folder);
            }
            catch (DirectoryNotFoundException e)
            {
                elsewhere = " " + e.Message;
            }
        }

        throw new FileNotFoundException(
            $"The model needs the checkpoint folder '{name}', which is at none of {string.Join(", ", candidates)}. Put it at one "
                + "of them, "
                + $"or name its parent in the environment variable {SearchPathVariable}."
                + elsewhere
                + (
                    content is null
                        ? ""
                        : $" Or load the model with mlContext.SkillLoc().{nameof(SkillLocSaving.LoadModel)}: its file holds the "
                            + "checkpoint."
                ),
            folder
        );
    }
}

/// <summary>The base checkpoint folders of live grafts in this program, to which saved grafts refer.</summary>
internal static class BasesInUse
{
    private static readonly List<(WeakReference<object> Owner, Func<object, bool> IsDisposed, string Folder)> Uses = [];

    /// <summary>Registers a base for the lifetime of a transformer.</summary>
    /// <typeparam name="T">The type of the transformer.</typeparam>
    /// <param name="owner">The transformer.</param>
    /// <param name="folder">The base's folder.</param>
    /// <param name="isDisposed">Returns true once the transformer is disposed; must not keep it alive.</param>
    public static void Add<T>(T owner, string folder, Func<T, bool> isDisposed)
        where T : class
    {
        lock (Uses)
        {
            Uses.RemoveAll(IsOver);
            Uses.Add((new(owner), use => isDisposed((T)use), Path.GetFullPath(CheckpointStore.PlaceOf(folder))));
        }
    }

    /// <summary>Whether a live graft uses a folder as its base.</summary>
    public static bool Contains(string folder)
    {
        lock (Uses)
        {
            Uses.RemoveAll(IsOver);
            return Uses.Exists(use => PathIdentity.Same(use.Folder, folder));
        }
    }

    private static bool IsOver((WeakReference<object> Owner, Func<object, bool> IsDisposed, string Folder) use) =>
        !use.Owner.TryGetTarget(out object? owner) || use.IsDisposed(owner);
}
