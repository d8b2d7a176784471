using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Hub;
using TorchSharp;

namespace SkillLoc.Models.Checkpoints;

/// <summary>A checkpoint folder in the Hugging Face layout: <c>config.json</c>, weights, and the tokenizer's files.</summary>
public sealed partial class CheckpointFolder : IDisposable
{
    private const string ConfigFile = "config.json";
    private const string GenerationConfig = "generation_config.json";
    private const string SafetensorsWeights = "model.safetensors";

    // For as long as another process replaces the files of a folder one by one, in milliseconds.
    private const int LongestWait = 2000;
    private const int Pause = 20;

    // What Python's classes have no place for: it neither reads this file nor misses anything in model.safetensors.
    internal const string OwnTensors = "skillloc.safetensors";
    private const string OwnFormat = "skillloc-own";

    // In the order of preference. Where a folder has several, they hold the same weights.
    internal static readonly string[] WeightFiles =
    [
        SafetensorsWeights,
        "model.safetensors.index.json",
        "pytorch_model.bin",
        "pytorch_model.bin.index.json",
    ];

    internal static readonly string[] KnownTokenizerFiles =
    [
        "vocab.json",
        "merges.txt",
        "vocab.txt",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "spiece.model",
        "sentencepiece.bpe.model",
        GenerationConfig,
    ];

    private readonly string[] _weightFiles;

    private CheckpointFolder(string path, ModelConfig config, ITensorStore weights, string[] weightFiles)
    {
        Path = path;
        Config = config;
        Weights = weights;
        _weightFiles = weightFiles;
    }

    /// <summary>The folder.</summary>
    public string Path { get; }

    /// <summary>The configuration, as in <c>config.json</c>.</summary>
    public ModelConfig Config { get; }

    /// <summary>The weights, which this object owns; <see cref="ITensorStore.Path"/> names the file. They include the tensors in
    /// <c>skillloc.safetensors</c>, which the Python classes do not have.</summary>
    public ITensorStore Weights { get; }

    /// <summary>Full paths of the existing tokenizer and generation files.</summary>
    public IReadOnlyList<string> TokenizerFiles =>
        [.. KnownTokenizerFiles.Select(name => System.IO.Path.Join(Path, name)).Where(File.Exists)];

    /// <summary>The full paths of the files that the checkpoint is made of: the configuration, the weights that are read with their index
    /// and shards, what a tokenizer or a generating model needs, and a classifier's settings. What else lies in the folder is not among
    /// them.</summary>
    public IReadOnlyList<string> Files =>
        [
            .. new[] { ConfigFile, ClassifierSettings.FileName }.Select(name => System.IO.Path.Join(Path, name)).Where(File.Exists),
            .. _weightFiles,
            .. TokenizerFiles,
        ];

    /// <summary>Opens a folder: reads its configuration and checks that its weights are complete, without reading them.</summary>
    /// <param name="folder">The folder, or a name that <see cref="CheckpointHub"/> resolves.</param>
    /// <returns>The checkpoint; the caller disposes it.</returns>
    /// <exception cref="DirectoryNotFoundException">The folder does not exist.</exception>
    /// <exception cref="FileNotFoundException">The folder has no <c>config.json</c> or no weights.</exception>
    /// <exception cref="InvalidDataException">One of its files is truncated or otherwise invalid.</exception>
    public static CheckpointFolder Open(string folder)
    {
        string found = CheckpointHub.Resolve(folder);
        try
        {
            return OpenFolder(found);
        }
        catch (InvalidDataException e) when (HubCache.IsSnapshot(found) && found != folder)
        {
            throw new InvalidDataException(
                $"{e.Message} It lies in the cache of the Hugging Face hub: remove that file and what it is a link to, and download "
                    + $"'{folder}' again.",
                e
            );
        }
    }

    private static CheckpointFolder OpenFolder(string folder)
    {
        ModelConfig config = ReadConfig(folder);
        string weights =
            Array.Find(WeightFiles, name => File.Exists(System.IO.Path.Join(folder, name)))
            ?? throw new FileNotFoundException(
                $"The checkpoint folder '{folder}' has no weights: none of {string.Join(", ", WeightFiles)}."
            );
        ITensorStore store = OpenWeights(System.IO.Path.Join(folder, weights));
        string own = System.IO.Path.Join(folder, OwnTensors);
        string[] files = [store.Path, .. store is ShardedTensorStore sharded ? sharded.Shards : []];
        if (!File.Exists(own))
        {
            return new CheckpointFolder(folder, config, store, files);
        }

        try
        {
            return new CheckpointFolder(folder, config, new JointTensorStore(store, SafetensorsFile.Open(own)), [.. files, own]);
        }
        catch
        {
            store.Dispose();
            throw;
        }
    }

    /// <summary>The same folder with other weights, over these, and their configuration. It takes this one over.</summary>
    internal CheckpointFolder With(ModelConfig config, ITensorStore weights) => new(Path, config, weights, _weightFiles);

    /// <summary>Reads only the configuration of a folder.</summary>
    /// <param name="folder">The folder, or a name that <see cref="CheckpointHub"/> resolves.</param>
    /// <returns>The configuration.</returns>
    /// <exception cref="DirectoryNotFoundException">The folder does not exist.</exception>
    /// <exception cref="FileNotFoundException">The folder has no <c>config.json</c>.</exception>
    /// <exception cref="InvalidDataException">The configuration is invalid.</exception>
    public static ModelConfig ReadConfig(string folder)
    {
        folder = CheckpointHub.Resolve(folder);
        AtomicFolder.Recover(folder);
        for (
            int wait = 0;
            wait < LongestWait && AtomicFolder.IsBeingReplaced(folder) && !File.Exists(System.IO.Path.Join(folder, ConfigFile));
            wait += Pause
        )
        {
            Thread.Sleep(Pause);
        }

        return ModelConfig.Load(System.IO.Path.Join(folder, ConfigFile));
    }

    /// <summary>Throws unless a checkpoint could currently be written to a folder, to fail before hours of training; creates missing
    /// parents.</summary>
    /// <param name="folder">The folder, which is not changed.</param>
    /// <param name="others">Names of files and folders that are allowed although the folder is not a checkpoint yet; null for none.</param>
    /// <exception cref="IOException">The folder cannot be written, or holds something else.</exception>
    public static void CheckWritable(string folder, IReadOnlyList<string>? others = null)
    {
        AtomicFolder.CheckWritable(folder);
        CheckReplaceable(folder, others ?? []);
    }

    /// <summary>Writes a checkpoint folder, which Python reads as well; an existing one is replaced once the new one is complete.</summary>
    /// <param name="folder">A new or empty folder, or a checkpoint, whose other files are kept.</param>
    /// <param name="config">The configuration, whose <c>dtype</c> is set to the stored type.</param>
    /// <param name="tensors">The weights in the order of the file.</param>
    /// <param name="tokenizerFilesToCopy">Files to copy, for example the <see cref="TokenizerFiles"/> of another folder.</param>
    /// <param name="storeAs">The type in which floating-point weights are stored; null keeps their own.</param>
    /// <param name="textFiles">Additional text files, by name and content.</param>
    /// <param name="ownTensors">Tensors that the Python class does not have, stored in <c>skillloc.safetensors</c>; null for none.</param>
    /// <exception cref="ArgumentException">A weight's name occurs twice, or its type cannot be stored.</exception>
    /// <exception cref="IOException">The folder could not be written or holds something else; existing content is unchanged.</exception>
    public static void Save(
        string folder,
        ModelConfig config,
        IEnumerable<(string Name, torch.Tensor Value)> tensors,
        IEnumerable<string> tokenizerFilesToCopy,
        torch.ScalarType? storeAs = null,
        IReadOnlyDictionary<string, string>? textFiles = null,
        IReadOnlyList<(string Name, torch.Tensor Value)>? ownTensors = null
    ) => Write(folder, config, tensors, tokenizerFilesToCopy, storeAs, textFiles, ownTensors, isChecked: false);

    /// <summary>Like <see cref="Save"/>; <paramref name="isChecked"/> if <see cref="CheckWritable"/> was called before, and
    /// <paramref name="placedFiles"/> are copied from their value to their key, a path in the folder.</summary>
    internal static void Write(
        string folder,
        ModelConfig config,
        IEnumerable<(string Name, torch.Tensor Value)> tensors,
        IEnumerable<string> tokenizerFilesToCopy,
        torch.ScalarType? storeAs,
        IReadOnlyDictionary<string, string>? textFiles,
        IReadOnlyList<(string Name, torch.Tensor Value)>? ownTensors,
        bool isChecked,
        IReadOnlyDictionary<string, string>? placedFiles = null
    )
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        ArgumentNullException.ThrowIfNull(config);
        ArgumentNullException.ThrowIfNull(tensors);
        ArgumentNullException.ThrowIfNull(tokenizerFilesToCopy);
        AtomicFolder.RemoveLeftovers(folder);
        if (!isChecked)
        {
            CheckReplaceable(folder, []);
        }

        var weights = tensors.ToList();
        torch.ScalarType type =
            storeAs ?? weights.Select(weight => weight.Value.dtype).FirstOrDefault(ElementTypes.IsFloatingPoint, torch.ScalarType.Float32);
        Write(
            folder,
            config,
            type,
            [new(SafetensorsWeights, stream => SafetensorsWriter.Write(stream, weights, Format("pt"), storeAs))],
            ownTensors is { Count: > 0 } ? stream => SafetensorsWriter.Write(stream, ownTensors, Format(OwnFormat), storeAs) : null,
            tokenizerFilesToCopy,
            textFiles,
            placedFiles
        );
    }

    /// <summary>Writes a checkpoint folder whose weights are made one at a time, after <see cref="CheckWritable"/> was called.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="config">The configuration, whose <c>dtype</c> is set to <paramref name="type"/>.</param>
    /// <param name="type">The type of the weights.</param>
    /// <param name="tensors">What they will be, in the order of the file.</param>
    /// <param name="isOwn">Whether a tensor is one that the Python class does not have.</param>
    /// <param name="make">Makes one; it is disposed when it is written.</param>
    /// <param name="filesToCopy">Files to copy, such as a tokenizer's.</param>
    /// <param name="textFiles">Additional text files, by name and content.</param>
    /// <param name="maxShardBytes">The most bytes of tensors in a file of weights, unless one tensor alone has more: weights are in several
    /// files with an index then. Null writes one file.</param>
    /// <exception cref="IOException">The folder could not be written; existing content is unchanged.</exception>
    internal static void Write(
        string folder,
        ModelConfig config,
        torch.ScalarType type,
        IReadOnlyList<TensorInfo> tensors,
        Func<string, bool> isOwn,
        Func<TensorInfo, torch.Tensor> make,
        IEnumerable<string> filesToCopy,
        IReadOnlyDictionary<string, string> textFiles,
        long? maxShardBytes = null
    )
    {
        TensorInfo[] own = [.. tensors.Where(info => isOwn(info.Name))];
        IReadOnlyList<WeightShard> shards = WeightShard.Divide(tensors.Where(info => !isOwn(info.Name)), maxShardBytes, SafetensorsWeights);
        if (shards.Count > 1)
        {
            textFiles = new Dictionary<string, string>(textFiles, StringComparer.Ordinal)
            {
                [SafetensorsWeights + ".index.json"] = WeightShard.Index(shards),
            };
        }

        Write(
            folder,
            config,
            type,
            [
                .. shards.Select(shard =>
                    KeyValuePair.Create<string, Action<Stream>>(
                        shard.File,
                        stream => SafetensorsWriter.Write(stream, shard.Tensors, make, Format("pt"))
                    )
                ),
            ],
            own.Length > 0 ? stream => SafetensorsWriter.Write(stream, own, make, Format(OwnFormat)) : null,
            filesToCopy,
            textFiles
        );
    }

    /// <summary>Whether a tensor is in the file of those that the Python class does not have.</summary>
    internal bool IsOwn(string name) => Weights is JointTensorStore joint && joint.IsOwn(name);

    private static void Write(
        string folder,
        ModelConfig config,
        torch.ScalarType type,
        IReadOnlyList<KeyValuePair<string, Action<Stream>>> weights,
        Action<Stream>? ownWeights,
        IEnumerable<string> filesToCopy,
        IReadOnlyDictionary<string, string>? textFiles,
        IReadOnlyDictionary<string, string>? placedFiles = null
    )
    {
        // With a new tokenizer go the files of an older one, which would be read with it.
        filesToCopy = [.. filesToCopy];
        bool hasTokenizer = filesToCopy
            .Select(System.IO.Path.GetFileName)
            .Any(name => name != GenerationConfig && KnownTokenizerFiles.Contains(name));
        AtomicFolder.Write(
            folder,
            temporary =>
            {
                File.WriteAllText(System.IO.Path.Join(temporary, ConfigFile), WithType(config, type).ToJson());
                foreach ((string name, Action<Stream> write) in weights)
                {
                    WriteTensors(name, write);
                }

                if (ownWeights is not null)
                {
                    WriteTensors(OwnTensors, ownWeights);
                }

                foreach (string file in filesToCopy)
                {
                    Copy(file, System.IO.Path.Join(temporary, System.IO.Path.GetFileName(file)));
                }

                foreach ((string name, string file) in placedFiles ?? new Dictionary<string, string>(StringComparer.Ordinal))
                {
                    string place = System.IO.Path.Join(temporary, name);
                    Directory.CreateDirectory(System.IO.Path.GetDirectoryName(place)!);
                    Copy(file, place);
                }

                foreach ((string? name, string? content) in textFiles ?? new Dictionary<string, string>(StringComparer.Ordinal))
                {
                    File.WriteAllText(System.IO.Path.Join(temporary, name), content);
                }

                void WriteTensors(string name, Action<Stream> write)
                {
                    using FileStream stream = File.Create(System.IO.Path.Join(temporary, name));
                    write(stream);
                }
            },
            name => WeightFileName().IsMatch(name) || (hasTokenizer && KnownTokenizerFiles.Contains(name)),
            validBy: ConfigFile
        );
    }

    private static Dictionary<string, string> Format(string format) => new(StringComparer.Ordinal) { ["format"] = format };

    /// <summary>Releases the weights' file. Tensors that were read stay valid.</summary>
    public void Dispose() => Weights.Dispose();

    /// <summary>Throws unless a folder is new, empty, or a checkpoint that may be replaced.</summary>
    /// <exception cref="IOException">It holds something else.</exception>
    private static void CheckReplaceable(string folder, IReadOnlyList<string> others)
    {
        if (
            Directory.Exists(folder)
            && !File.Exists(System.IO.Path.Join(folder, ConfigFile))
            && Directory.EnumerateFileSystemEntries(folder).Any(entry => !others.Any(other => PathIdentity.IsWithin(entry, other)))
        )
        {
            throw new IOException(
                $"'{System.IO.Path.GetFullPath(folder)}' is neither empty nor a checkpoint (it has no {ConfigFile}); choose another folder."
            );
        }
    }

    private static ITensorStore OpenWeights(string path)
    {
        if (path.EndsWith(".index.json", StringComparison.Ordinal))
        {
            return ShardedTensorStore.Open(path);
        }

        return path.EndsWith(".safetensors", StringComparison.Ordinal) ? SafetensorsFile.Open(path) : TorchCheckpointFile.Open(path);
    }

    /// <summary>Sets the element type in the configuration.</summary>
    private static ModelConfig WithType(ModelConfig config, torch.ScalarType type)
    {
        JsonObject json = JsonNode.Parse(config.ToJson())!.AsObject();
        return config.With(json.ContainsKey("dtype") ? "dtype" : "torch_dtype", ElementTypes.TorchName(type));
    }

    /// <summary>The names of weight files in this layout, shards and indexes included.</summary>
    [GeneratedRegex(
        @"^(model|pytorch_model)(-\d+-of-\d+)?\.(safetensors|bin)(\.index\.json)?$|^skillloc\.safetensors$",
        RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant,
        matchTimeoutMilliseconds: 10_000
    )]
    private static partial Regex WeightFileName();

    // Not File.Copy: the copy of a file that may only be read could not be flushed to the disk or replaced later.
    private static void Copy(string from, string to)
    {
        using FileStream source = File.OpenRead(from);
        using var target = new FileStream(to, FileMode.CreateNew, FileAccess.Write);
        source.CopyTo(target);
    }
}
