using System.Text.Json.Nodes;
using SkillLoc.Models.Embeddings;
using SkillLoc.Models.Onnx;
using SkillLoc.Models.Runtime;
using SkillLoc.Models.Tokenization;
using static TorchSharp.torch;

namespace SkillLoc.Models.Checkpoints;

/// <summary>An encoder in an ONNX file, as a checkpoint: BERT, RoBERTa, XLM-RoBERTa, CamemBERT, DistilBERT, ELECTRA and MPNet, alone, with a
/// classifier or with a masked-language-model head, as PyTorch, Optimum, sentence-transformers and <c>SaveOnnx</c> export them, also after
/// ONNX Runtime's optimiser.</summary>
/// <remarks>Weights are found by what the graph does with them, not by their names, and what they compute for a few tokens is compared
/// with what the graph computes: a graph that is another model than it looks is refused. Weights may be float32, float16 or bfloat16, and
/// lie in a file of external data. Quantised ones are refused.</remarks>
public sealed class OnnxCheckpoint : IDisposable
{
    private static readonly string[] Usual = ["model.onnx", "onnx/model.onnx"];

    private readonly IReadOnlyList<(string Name, Tensor Value)> _tensors;

    private OnnxCheckpoint(string name, OnnxGraph graph, OnnxImportOptions options)
    {
        Name = name;
        IsLowerCase = options.LowerCase;
        Config = OnnxImport.Read(graph, name, options.Config is { } path ? ModelConfig.Load(path) : null, out _tensors);
    }

    /// <summary>The file, as named in error messages.</summary>
    public string Name { get; }

    /// <summary>The configuration, whose <see cref="ModelConfig.Architectures"/> name what the graph is: for example <c>BertModel</c>,
    /// <c>BertForSequenceClassification</c> or <c>BertForMaskedLM</c>.</summary>
    public ModelConfig Config { get; }

    /// <summary>The weights by their Hugging Face names with the encoder's prefix (<c>bert.embeddings...</c>), float32, which this object
    /// owns; with BERT's pooler if the file has it.</summary>
    public IReadOnlyList<(string Name, Tensor Value)> Tensors => _tensors;

    /// <summary>Whether the tokenizer lower-cases.</summary>
    private bool IsLowerCase { get; }

    /// <summary>Makes a checkpoint folder of an ONNX file: <c>config.json</c>, <c>model.safetensors</c> and the tokenizer's files; of a
    /// sentence-transformers folder also its <c>modules.json</c> and what that names, so that <see cref="TextEmbedder"/> pools as it
    /// says.</summary>
    /// <param name="onnx">The ONNX file, or a folder with <c>model.onnx</c> or <c>onnx/model.onnx</c>.</param>
    /// <param name="folder">A new or empty folder, or a checkpoint, which is replaced once the new one is complete.</param>
    /// <param name="options">What lies elsewhere; null for the defaults.</param>
    /// <exception cref="FileNotFoundException">The file or its tokenizer does not exist.</exception>
    /// <exception cref="InvalidDataException">The file is damaged, or the tokenizer is not its.</exception>
    /// <exception cref="NotSupportedException">The graph is of another layout, quantised, or another model than it looks; the message says
    /// which node or what is missing.</exception>
    /// <exception cref="IOException">The folder could not be written, for instance because the disk is full; what was there before is
    /// unchanged.</exception>
    public static void Import(string onnx, string folder, OnnxImportOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(onnx);
        ArgumentException.ThrowIfNullOrEmpty(folder);
        options ??= new();
        string file = FileOf(onnx),
            beside = Path.GetDirectoryName(Path.GetFullPath(file))!;
        string? settings = SettingsOf(beside);
        options = options with { Config = options.Config ?? (settings is null ? null : Path.Join(settings, "config.json")) };
        string? vocabulary = options.Vocabulary ?? (options.Config is null ? Path.Join(beside, "vocab.txt") : null);
        if (vocabulary is not null && !File.Exists(vocabulary))
        {
            throw new FileNotFoundException(
                $"There is neither a config.json nor a vocabulary '{vocabulary}' for '{file}'; "
                    + $"{nameof(OnnxImportOptions)}.{nameof(OnnxImportOptions.Vocabulary)} names "
                    + "one that lies elsewhere.",
                vocabulary
            );
        }

        string home = vocabulary is null ? Path.GetDirectoryName(Path.GetFullPath(options.Config!))! : beside;
        CheckpointTokenizer? tokenizer = vocabulary is null ? CheckpointTokenizer.Load(home) : null;
        using var checkpoint = new OnnxCheckpoint(file, Graph(File.ReadAllBytes(file), file, beside), options);
        tokenizer?.CheckVocabulary(checkpoint.Config.VocabularySize);
        string[] files = tokenizer is null
            ? []
            : [.. CheckpointFolder.KnownTokenizerFiles.Select(name => Path.Join(home, name)).Where(File.Exists)];
        CheckpointFolder.Write(
            folder,
            checkpoint.Config,
            checkpoint.Tensors,
            files,
            storeAs: null,
            vocabulary is null ? null : checkpoint.TokenizerFiles(File.ReadAllText(vocabulary)),
            ownTensors: null,
            isChecked: false,
            placedFiles: settings is null ? null : SentenceModules.FilesOf(settings)
        );
    }

    /// <summary>Reads an ONNX file in memory, whose values do not lie in another file.</summary>
    /// <param name="model">The whole file.</param>
    /// <param name="name">Its name in error messages.</param>
    /// <param name="options">What the file does not say; null for the defaults.</param>
    /// <returns>The weights; the caller disposes them.</returns>
    /// <exception cref="InvalidDataException">The file is damaged.</exception>
    /// <exception cref="NotSupportedException">The graph is of another layout, quantised, or another model than it looks; the message says
    /// which node or what is missing.</exception>
    public static OnnxCheckpoint Parse(byte[] model, string name = "the ONNX file", OnnxImportOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        return new(name, Graph(model, name, folder: null), options ?? new());
    }

    /// <summary>Writes a checkpoint folder.</summary>
    /// <param name="folder">A new or empty folder, or a checkpoint, which is replaced once the new one is complete.</param>
    /// <param name="vocabulary">The vocabulary's text, one word piece a line.</param>
    /// <exception cref="InvalidDataException">The vocabulary has another number of word pieces than the model has embeddings.</exception>
    /// <exception cref="IOException">The folder could not be written; what was there before is unchanged.</exception>
    public void Save(string folder, string vocabulary) =>
        CheckpointFolder.Save(folder, Config, Tensors, [], textFiles: TokenizerFiles(vocabulary));

    /// <summary>The tokenizer's files by name: the vocabulary with line ends as they should be, and its settings.</summary>
    /// <param name="vocabulary">The vocabulary's text, one word piece a line.</param>
    /// <exception cref="InvalidDataException">It has another number of word pieces than the model has embeddings.</exception>
    public IReadOnlyDictionary<string, string> TokenizerFiles(string vocabulary)
    {
        ArgumentNullException.ThrowIfNull(vocabulary);
        string[] pieces = vocabulary.TrimEnd('\r', '\n').ReplaceLineEndings("\n").Split('\n');
        if (pieces.Length != Config.VocabularySize)
        {
            throw new InvalidDataException(
                $"The vocabulary of {Name} has {pieces.Length} word pieces and the model {Config.VocabularySize} embeddings; right "
                    + "would be one for each."
            );
        }

        var settings = new JsonObject
        {
            ["tokenizer_class"] = "BertTokenizer",
            ["do_lower_case"] = IsLowerCase,
            ["model_max_length"] = Config.MaxPositions,
        };
        return new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["vocab.txt"] = string.Join('\n', pieces) + "\n",
            ["tokenizer_config.json"] = settings.ToJsonString() + "\n",
        };
    }

    /// <summary>Releases the weights.</summary>
    public void Dispose()
    {
        foreach ((_, Tensor value) in _tensors)
        {
            value.Dispose();
        }
    }

    private static OnnxGraph Graph(byte[] model, string name, string? folder)
    {
        TorchRuntime.Require();
        return new OnnxGraph(model, name, folder);
    }

    private static string FileOf(string onnx)
    {
        if (!Directory.Exists(onnx))
        {
            return File.Exists(onnx) ? onnx : throw new FileNotFoundException($"There is no ONNX file '{onnx}'.", onnx);
        }

        if (Usual.Select(name => Path.Join(onnx, name)).FirstOrDefault(File.Exists) is { } usual)
        {
            return usual;
        }

        string[] others = [.. Directory.EnumerateFiles(onnx, "*.onnx", SearchOption.AllDirectories).Order(StringComparer.Ordinal)];
        throw new FileNotFoundException(
            $"'{onnx}' has neither {string.Join(" nor ", Usual)}"
                + (others.Length > 0 ? $"; name one of {string.Join(", ", others.Select(file => $"'{file}'"))}." : ".")
        );
    }

    /// <summary>Where the file's <c>config.json</c> is; null for nowhere.</summary>
    private static string? SettingsOf(string beside)
    {
        string?[] places = [beside, Path.GetFileName(beside) == "onnx" ? Path.GetDirectoryName(beside) : null];
        return places.FirstOrDefault(place => place is not null && File.Exists(Path.Join(place, "config.json")));
    }
}
