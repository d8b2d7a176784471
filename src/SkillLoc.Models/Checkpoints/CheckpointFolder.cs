using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using SkillLoc.Models.Classification;
using TorchSharp;

namespace SkillLoc.Models.Checkpoints;

/// <summary>A checkpoint in the Hugging Face layout: <c>config.json</c>, weights, and the tokenizer's files.</summary>
public sealed partial class CheckpointFolder : IDisposable
{
    private const string ConfigFile = "config.json";
    private const string SafetensorsWeights = "model.safetensors";

    // For as long as another process replaces the files of a folder one by one, in milliseconds.
    private const int LongestWait = 2000;
    private const int Pause = 20;

    // What Python's classes have no place for: it neither reads this file nor misses anything in model.safetensors.
    private const string OwnTensors = "skillloc.safetensors";

    // In the order of preference. Where a folder has several, they hold the same weights.
    private static readonly string[] WeightFiles = [SafetensorsWeights, "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"];

    private static readonly string[] KnownTokenizerFiles =
    [
        "vocab.json", "merges.txt", "vocab.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
        "spiece.model", "sentencepiece.bpe.model", "generation_config.json",
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

    /// <summary>What <c>config.json</c> says.</summary>
    public ModelConfig Config { get; }

    /// <summary>The weights, which this object owns; <see cref="ITensorStore.Path"/> names the file. Tensors that a classifier of ours has
    /// beside a Python class's, which lie in <c>skillloc.safetensors</c>, are among them.</summary>
    public ITensorStore Weights { get; }

    /// <summary>The full paths of the files beside the weights that a tokenizer or a generating model needs, as far as they are there.</summary>
    public IReadOnlyList<string> TokenizerFiles =>
        [.. KnownTokenizerFiles.Select(name => System.IO.Path.Join(Path, name)).Where(File.Exists)];

    /// <summary>The full paths of the files that the checkpoint is made of: the configuration, the weights that are read with their index and
    /// shards, what a tokenizer or a generating model needs, and a classifier's settings. What else lies in the folder is not among them.</summary>
    public IReadOnlyList<string> Files =>
    [
        .. new[] { ConfigFile, ClassifierSettings.FileName }.Select(name => System.IO.Path.Join(Path, name)).Where(File.Exists),
        .. _weightFiles,
        .. TokenizerFiles,
    ];

    /// <summary>Opens a folder: reads its configuration and checks that its weights are complete, without reading them.</summary>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="FileNotFoundException">The folder has no <c>config.json</c> or no weights.</exception>
    /// <exception cref="InvalidDataException">One of its files is truncated or otherwise not valid.</exception>
    public static CheckpointFolder Open(string folder)
    {
        var config = ReadConfig(folder);
        var weights = Array.Find(WeightFiles, name => File.Exists(System.IO.Path.Join(folder, name)))
            ?? throw new FileNotFoundException($"The checkpoint folder '{folder}' has no weights: none of {string.Join(", ", WeightFiles)}.");
        var store = OpenWeights(System.IO.Path.Join(folder, weights));
        var own = System.IO.Path.Join(folder, OwnTensors);
        string[] files = [store.Path, .. store is ShardedTensorStore sharded ? sharded.Shards : []];
        if (!File.Exists(own))
            return new CheckpointFolder(folder, config, store, files);
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

    /// <summary>Reads a folder's configuration alone.</summary>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="FileNotFoundException">The folder has no <c>config.json</c>.</exception>
    /// <exception cref="InvalidDataException">The configuration is not valid.</exception>
    public static ModelConfig ReadConfig(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        AtomicFolder.Recover(folder);
        for (var wait = 0; wait < LongestWait && AtomicFolder.IsBeingReplaced(folder) && !File.Exists(System.IO.Path.Join(folder, ConfigFile)); wait += Pause)
            Thread.Sleep(Pause);
        return Directory.Exists(folder)
            ? ModelConfig.Load(System.IO.Path.Join(folder, ConfigFile))
            : throw new DirectoryNotFoundException($"There is no checkpoint folder '{System.IO.Path.GetFullPath(folder)}'.");
    }

    /// <summary>Throws unless a checkpoint could be written to a folder now, so that this is known before hours of training; makes its parents
    /// where they are missing.</summary>
    /// <param name="folder">The folder, which stays as it is.</param>
    /// <param name="others">Files and folders that may lie in it although it is no checkpoint yet; null for none.</param>
    /// <exception cref="IOException">It could not, or the folder holds something else.</exception>
    public static void CheckWritable(string folder, IReadOnlyList<string>? others = null)
    {
        AtomicFolder.CheckWritable(folder);
        CheckReplaceable(folder, others ?? []);
    }

    /// <summary>Writes a folder that Python reads too, and that replaces an older one only when it is complete.</summary>
    /// <param name="folder">A folder that is new, empty or a checkpoint; of a checkpoint, files other than the weights and those written anew stay.</param>
    /// <param name="config">The configuration; <c>dtype</c> is set to what the weights are stored in.</param>
    /// <param name="tensors">The weights in the order that they shall have.</param>
    /// <param name="tokenizerFilesToCopy">Files to copy into the folder, for example another folder's <see cref="TokenizerFiles"/>.</param>
    /// <param name="storeAs">The type to store floating-point weights in; null for each one's own.</param>
    /// <param name="textFiles">More files to write into the folder: name and content.</param>
    /// <param name="ownTensors">Tensors that the configuration's Python class does not have, which get a file of their own,
    /// <c>skillloc.safetensors</c>; null for none.</param>
    /// <exception cref="ArgumentException">A weight's name occurs twice, or its type cannot be stored.</exception>
    /// <exception cref="IOException">The folder could not be written or holds something else; what was there is untouched.</exception>
    public static void Save(
        string folder,
        ModelConfig config,
        IEnumerable<(string Name, torch.Tensor Value)> tensors,
        IEnumerable<string> tokenizerFilesToCopy,
        torch.ScalarType? storeAs = null,
        IReadOnlyDictionary<string, string>? textFiles = null,
        IReadOnlyList<(string Name, torch.Tensor Value)>? ownTensors = null) =>
        Write(folder, config, tensors, tokenizerFilesToCopy, storeAs, textFiles, ownTensors, isChecked: false);

    /// <summary>The same as <see cref="Save"/>; <paramref name="isChecked"/> where <see cref="CheckWritable"/> was asked before.</summary>
    internal static void Write(
        string folder,
        ModelConfig config,
        IEnumerable<(string Name, torch.Tensor Value)> tensors,
        IEnumerable<string> tokenizerFilesToCopy,
        torch.ScalarType? storeAs,
        IReadOnlyDictionary<string, string>? textFiles,
        IReadOnlyList<(string Name, torch.Tensor Value)>? ownTensors,
        bool isChecked)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        ArgumentNullException.ThrowIfNull(config);
        ArgumentNullException.ThrowIfNull(tensors);
        ArgumentNullException.ThrowIfNull(tokenizerFilesToCopy);
        AtomicFolder.RemoveLeftovers(folder);
        if (!isChecked)
            CheckReplaceable(folder, []);

        var weights = tensors.ToList();
        var type = storeAs ?? weights.Select(weight => weight.Value.dtype).FirstOrDefault(ElementTypes.IsFloatingPoint, torch.ScalarType.Float32);
        AtomicFolder.Write(
            folder,
            temporary =>
            {
                File.WriteAllText(System.IO.Path.Join(temporary, ConfigFile), WithType(config, type).ToJson());
                WriteTensors(SafetensorsWeights, weights, "pt");
                if (ownTensors is { Count: > 0 })
                    WriteTensors(OwnTensors, ownTensors, "skillloc-own");
                foreach (var file in tokenizerFilesToCopy)
                    Copy(file, System.IO.Path.Join(temporary, System.IO.Path.GetFileName(file)));
                foreach (var (name, content) in textFiles ?? new Dictionary<string, string>(StringComparer.Ordinal))
                    File.WriteAllText(System.IO.Path.Join(temporary, name), content);

                void WriteTensors(string name, IEnumerable<(string Name, torch.Tensor Value)> values, string format)
                {
                    using var stream = File.Create(System.IO.Path.Join(temporary, name));
                    SafetensorsWriter.Write(stream, values, new Dictionary<string, string>(StringComparer.Ordinal) { ["format"] = format }, storeAs);
                }
            },
            name => WeightFileName().IsMatch(name),
            validBy: ConfigFile);
    }

    /// <summary>Releases the weights' file. Tensors that were read stay valid.</summary>
    public void Dispose() => Weights.Dispose();

    /// <summary>Throws unless a folder is new, empty, or a checkpoint, which saving replaces.</summary>
    /// <exception cref="IOException">It holds something else.</exception>
    private static void CheckReplaceable(string folder, IReadOnlyList<string> others)
    {
        if (Directory.Exists(folder) && !File.Exists(System.IO.Path.Join(folder, ConfigFile))
            && Directory.EnumerateFileSystemEntries(folder).Any(entry => !others.Any(other => PathIdentity.IsWithin(entry, other))))
        {
            throw new IOException(
                $"'{System.IO.Path.GetFullPath(folder)}' is neither empty nor a checkpoint (it has no {ConfigFile}); choose another folder.");
        }
    }

    private static ITensorStore OpenWeights(string path)
    {
        if (path.EndsWith(".index.json", StringComparison.Ordinal))
            return ShardedTensorStore.Open(path);
        return path.EndsWith(".safetensors", StringComparison.Ordinal) ? SafetensorsFile.Open(path) : TorchCheckpointFile.Open(path);
    }

    /// <summary>Names the type of the weights under the key that the configuration has for it.</summary>
    private static ModelConfig WithType(ModelConfig config, torch.ScalarType type)
    {
        var json = JsonNode.Parse(config.ToJson())!.AsObject();
        return config.With(json.ContainsKey("dtype") ? "dtype" : "torch_dtype", ElementTypes.TorchName(type));
    }

    /// <summary>The names that weights have in this layout, shards and indexes included.</summary>
    [GeneratedRegex(
        @"^(model|pytorch_model)(-\d+-of-\d+)?\.(safetensors|bin)(\.index\.json)?$|^skillloc\.safetensors$",
        RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1000)]
    private static partial Regex WeightFileName();

    // Not File.Copy: the copy of a file that may only be read could not be flushed to the disk or replaced later.
    private static void Copy(string from, string to)
    {
        using var source = File.OpenRead(from);
        using var target = new FileStream(to, FileMode.CreateNew, FileAccess.Write);
        source.CopyTo(target);
    }
}
