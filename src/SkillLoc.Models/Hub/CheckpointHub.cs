using System.Collections.Concurrent;

namespace SkillLoc.Models.Hub;

/// <summary>
/// Finds checkpoints by what people call them. Wherever a checkpoint folder is asked for, a name of the Hugging Face hub will do:
/// <c>roberta-base</c>, <c>FacebookAI/roberta-base</c>, or either with a branch, tag or commit behind an <c>@</c>.
/// </summary>
/// <remarks>
/// <para>A folder of that path comes first, then what a package registered, then the cache that Python's huggingface_hub keeps, where
/// nothing is asked of a server, and last, if <see cref="HubOptions.AllowDownload"/> is set, the hub itself: configuration, tokenizer and
/// one set of weights go into that cache, checked against the hashes that the server names. Files appear in the cache as a whole; a
/// download that breaks off goes on where it stopped at the next call. When several processes ask for one, one downloads and the others
/// wait.</para>
/// <para>A legacy name such as <c>roberta-base</c> is also found under the organisation that the hub moved it to, and the other way
/// around.</para>
/// </remarks>
public static class CheckpointHub
{
    private static readonly ConcurrentDictionary<string, Func<string>> Registered = new(StringComparer.Ordinal);

    private static volatile HubOptions s_options = new();

    /// <summary>The options wherever a checkpoint is named and no others are given, in the whole program. By default nothing is
    /// downloaded.</summary>
    public static HubOptions Options
    {
        get => s_options;
        set
        {
            ArgumentNullException.ThrowIfNull(value);
            s_options = value;
        }
    }

    /// <summary>Gives a name to a checkpoint that comes with a package. It is found before what the cache has of that name.</summary>
    /// <param name="name">The name, without a revision; a second registration replaces the first.</param>
    /// <param name="folder">Returns the folder, and writes it if need be; called whenever the checkpoint is opened, from any
    /// thread.</param>
    /// <exception cref="ArgumentException">It is no name: <c>name</c> or <c>organisation/name</c>.</exception>
    public static void Register(string name, Func<string> folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        ArgumentNullException.ThrowIfNull(folder);
        if (HubName.Parse(name) is not { Revision: null })
        {
            throw new ArgumentException($"'{name}' is no name of a checkpoint: 'name' or 'organisation/name'.", nameof(name));
        }

        Registered[name] = folder;
    }

    /// <summary>Returns the folder of a checkpoint, downloaded first if that is allowed and it is found nowhere.</summary>
    /// <param name="checkpoint">A folder, or a name.</param>
    /// <param name="options">The options; null for <see cref="Options"/>.</param>
    /// <param name="cancellation">Ends a download, which the next call goes on with.</param>
    /// <returns>An existing folder.</returns>
    /// <exception cref="DirectoryNotFoundException">There is no such checkpoint; the message lists every place that was looked
    /// at.</exception>
    /// <exception cref="IOException">A download failed, or the cache cannot be written.</exception>
    /// <exception cref="InvalidDataException">What the server sent is damaged or no checkpoint.</exception>
    /// <exception cref="NotSupportedException">The model is of an architecture that is not supported, for which no weights are
    /// downloaded.</exception>
    /// <exception cref="OperationCanceledException">The call was cancelled.</exception>
    public static string Resolve(string checkpoint, HubOptions? options = null, CancellationToken cancellation = default) =>
        Locate(checkpoint, options, cancellation).Folder;

    /// <summary>As <see cref="Resolve"/>, with what to note down of the checkpoint.</summary>
    internal static HubLocation Locate(string checkpoint, HubOptions? options = null, CancellationToken cancellation = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(checkpoint);
        options ??= Options;
        var looked = new List<string>();
        if (Look(checkpoint, options, looked) is { } found)
        {
            return options.AllowDownload ? WithTokenizer(found, options, cancellation) : found;
        }

        string start = $"There is no checkpoint folder '{Path.GetFullPath(checkpoint)}'";
        if (HubName.Parse(checkpoint) is not { } name)
        {
            throw new DirectoryNotFoundException(start + ".");
        }

        string where = $"{start}, and no checkpoint '{checkpoint}' elsewhere: {string.Join("; ", looked)}.";
        if (HubEnvironment.Offline is { } variable)
        {
            throw new DirectoryNotFoundException(
                $"{where} Nothing is downloaded while the environment variable {variable} is set"
                    + (options.AllowDownload ? "." : $", nor without {nameof(HubOptions)}.{nameof(HubOptions.AllowDownload)}.")
            );
        }

        if (!options.AllowDownload)
        {
            throw new DirectoryNotFoundException(
                $"{where} To download it, set {nameof(CheckpointHub)}.{nameof(Options)} = new {nameof(HubOptions)} {{ "
                    + $"{nameof(HubOptions.AllowDownload)} = true }} first."
            );
        }

        HubSnapshot snapshot = HubDownload.Run(name, options, where, cancellation);
        return new(snapshot.Folder, $"{name.Repository}@{snapshot.Commit}");
    }

    /// <summary>Finds a checkpoint without downloading it.</summary>
    /// <returns>The folder; null if it is not on this machine.</returns>
    internal static string? FindHere(string checkpoint) => Look(checkpoint, Options, [])?.Folder;

    /// <summary>
    /// What saved files say of a checkpoint: a folder's full path; a name as it is if a package has it, else with the commit that it stands
    /// for now, which says the same on every machine and does not move. Nothing is downloaded, and what is not found counts as a folder.
    /// </summary>
    internal static string Reference(string checkpoint) => Look(checkpoint, Options, [])?.Reference ?? Path.GetFullPath(checkpoint);

    /// <summary>The repository of a <see cref="Reference"/> that is no path, without its commit; else null.</summary>
    internal static string? RepositoryOf(string reference) =>
        Registered.ContainsKey(reference) ? reference
        : HubName.Parse(reference) is { Revision: { } revision } name && HubName.IsCommit(revision) ? name.Repository
        : null;

    private static HubLocation? Look(string checkpoint, HubOptions options, List<string> looked)
    {
        if (Directory.Exists(checkpoint))
        {
            return new(checkpoint, Path.GetFullPath(checkpoint));
        }

        if (HubName.Parse(checkpoint) is not { } name)
        {
            return null;
        }

        if (Registered.TryGetValue(checkpoint, out Func<string>? folder))
        {
            return new(folder(), checkpoint);
        }

        looked.Add(
            Registered.IsEmpty
                ? $"no package has registered any ({nameof(CheckpointHub)}.{nameof(Register)})"
                : $"packages have registered {string.Join(", ", Registered.Keys.Order(StringComparer.Ordinal))}"
        );
        return new HubCache(options).Find(name, looked) is { } snapshot
            ? new(snapshot.Folder, $"{name.Repository}@{snapshot.Commit}", snapshot)
            : null;
    }

    /// <summary>Fetches the tokenizer of a model in the cache that somebody downloaded without it, as far as possible.</summary>
    private static HubLocation WithTokenizer(HubLocation found, HubOptions options, CancellationToken cancellation)
    {
        if (found.Snapshot is { HasTokenizer: false } snapshot && HubEnvironment.Offline is null)
        {
            try
            {
                HubDownload.Run(new(snapshot.Repository, snapshot.Commit), options, "", cancellation);
            }
            catch (IOException)
            {
                // Whoever needs a tokenizer says so.
            }
        }

        return found;
    }
}

/// <summary>A checkpoint that was found.</summary>
/// <param name="Folder">Its folder.</param>
/// <param name="Reference">See <see cref="CheckpointHub.Reference"/>.</param>
/// <param name="Snapshot">What it is in the hub's cache; null elsewhere.</param>
internal sealed record HubLocation(string Folder, string Reference, HubSnapshot? Snapshot = null);
