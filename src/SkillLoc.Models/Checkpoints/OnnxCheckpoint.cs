using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using SkillLoc.Models.Runtime;
using static TorchSharp.torch;

namespace SkillLoc.Models.Checkpoints;

/// <summary>The weights of a BERT encoder in an ONNX file, under their Hugging Face names: PyTorch's export keeps the names of biases,
/// norms and embeddings, and the weight of a linear layer is the nameless second input of the MatMul whose result its bias is added to,
/// transposed.</summary>
/// <remarks>Read are float32 and float16 weights; sizes are taken from the tensors, the number of heads from the graph. Quantised and
/// optimised graphs, in which layers are fused, are refused.</remarks>
public sealed partial class OnnxCheckpoint : IDisposable
{
    private const string Prefix = "bert.";
    private const string Words = "embeddings.word_embeddings.weight";
    private const string WeightSuffix = ".weight";
    private const string BiasSuffix = ".bias";
    private const double DefaultEpsilon = 1e-12;

    private readonly List<(string Name, Tensor Value)> _tensors = [];

    private OnnxCheckpoint(string name, OnnxGraph graph, OnnxImportOptions options)
    {
        Name = name;
        IsLowerCase = options.LowerCase;
        try
        {
            Config = Read(graph, options);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The file, as named in error messages.</summary>
    public string Name { get; }

    /// <summary>The configuration, of a <c>BertModel</c>.</summary>
    public ModelConfig Config { get; }

    /// <summary>The weights by their names in <c>BertForMaskedLM</c> (<c>bert.embeddings...</c>), float32, which this object owns; with the
    /// pooler's if the file has it.</summary>
    public IReadOnlyList<(string Name, Tensor Value)> Tensors => _tensors;

    /// <summary>Whether the tokenizer lower-cases.</summary>
    private bool IsLowerCase { get; }

    /// <summary>Makes a checkpoint folder of an ONNX file: <c>config.json</c>, <c>model.safetensors</c>, <c>vocab.txt</c> and
    /// <c>tokenizer_config.json</c>.</summary>
    /// <param name="onnxFile">The ONNX file of a BERT encoder that PyTorch exported.</param>
    /// <param name="folder">A new or empty folder, or a checkpoint, which is replaced once the new one is complete.</param>
    /// <param name="options">What the file does not say; null for the defaults.</param>
    /// <exception cref="FileNotFoundException">The file or its vocabulary does not exist.</exception>
    /// <exception cref="InvalidDataException">The file is damaged, or the vocabulary is not its.</exception>
    /// <exception cref="NotSupportedException">The graph is of another layout; the message says what is missing.</exception>
    /// <exception cref="IOException">The folder could not be written, for instance because the disk is full; what was there before is
    /// unchanged.</exception>
    public static void Import(string onnxFile, string folder, OnnxImportOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(onnxFile);
        ArgumentException.ThrowIfNullOrEmpty(folder);
        options ??= new();
        if (!File.Exists(onnxFile))
        {
            throw new FileNotFoundException($"There is no ONNX file '{onnxFile}'.", onnxFile);
        }

        string vocabulary = options.Vocabulary ?? Path.Join(Path.GetDirectoryName(Path.GetFullPath(onnxFile)), "vocab.txt");
        if (!File.Exists(vocabulary))
        {
            throw new FileNotFoundException(
                $"There is no vocabulary '{vocabulary}' for '{onnxFile}'; "
                    + $"{nameof(OnnxImportOptions)}.{nameof(OnnxImportOptions.Vocabulary)} names "
                    + "one that lies elsewhere.",
                vocabulary
            );
        }

        using OnnxCheckpoint checkpoint = Parse(File.ReadAllBytes(onnxFile), onnxFile, options);
        checkpoint.Save(folder, File.ReadAllText(vocabulary));
    }

    /// <summary>Reads an ONNX file in memory.</summary>
    /// <param name="model">The whole file.</param>
    /// <param name="name">Its name in error messages.</param>
    /// <param name="options">What the file does not say; null for the defaults.</param>
    /// <returns>The weights; the caller disposes them.</returns>
    /// <exception cref="InvalidDataException">The file is damaged.</exception>
    /// <exception cref="NotSupportedException">The graph is of another layout; the message says what is missing.</exception>
    public static OnnxCheckpoint Parse(byte[] model, string name = "the ONNX file", OnnxImportOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        options ??= new();
        if (options.Heads is { } heads)
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(heads, 1, nameof(options));
        }

        TorchRuntime.Require();
        return new(name, new OnnxGraph(model, name), options);
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

        _tensors.Clear();
    }

    private ModelConfig Read(OnnxGraph graph, OnnxImportOptions options)
    {
        // What the exported module called itself stands before the names that all have in common.
        string before =
            graph.Tensors.Keys.FirstOrDefault(name => name.EndsWith(Words, StringComparison.Ordinal))?[..^Words.Length]
            ?? throw Other($"it has no initialiser '{Words}'");
        int layers = graph
            .Tensors.Keys.Select(name => LayerName().Match(name))
            .Where(match => match.Success)
            .Select(match => int.Parse(match.Groups["layer"].Value, CultureInfo.InvariantCulture) + 1)
            .DefaultIfEmpty()
            .Max();
        if (layers == 0)
        {
            throw Other("it has no initialisers 'encoder.layer.0...'");
        }

        Tensor words = Add(graph, before, Words);
        (int vocabulary, int hidden) = ((int)words.size(0), (int)words.size(-1));
        int positions = (int)Add(graph, before, "embeddings.position_embeddings.weight", -1, hidden).size(0);
        int types = (int)Add(graph, before, "embeddings.token_type_embeddings.weight", -1, hidden).size(0);
        AddNorm("embeddings.LayerNorm");
        int inner = 0;
        for (int i = 0; i < layers; i++)
        {
            string layer = $"encoder.layer.{i}.";
            AddLinear(layer + "attention.self.query", hidden, hidden);
            AddLinear(layer + "attention.self.key", hidden, hidden);
            AddLinear(layer + "attention.self.value", hidden, hidden);
            AddLinear(layer + "attention.output.dense", hidden, hidden);
            AddNorm(layer + "attention.output.LayerNorm");
            inner = (int)AddLinear(layer + "intermediate.dense", inner == 0 ? -1 : inner, hidden).size(0);
            AddLinear(layer + "output.dense", hidden, inner);
            AddNorm(layer + "output.LayerNorm");
        }

        if (graph.Tensors.ContainsKey(before + "pooler.dense.bias"))
        {
            AddLinear("pooler.dense", hidden, hidden);
        }

        if (types < 2)
        {
            throw Other("it has one token type, as RoBERTa has, whose positions are counted in another way");
        }

        if (!graph.Nodes.Any(node => node.Operator is "Erf" or "Gelu"))
        {
            throw Other("it has no Erf node, so its activation is another than gelu");
        }

        int heads = options.Heads ?? Heads(graph, before, hidden);
        return hidden % heads == 0
            ? ModelConfig
                .Bert(hidden, layers, heads, inner, vocabulary, positions)
                .With("type_vocab_size", types)
                .With("layer_norm_eps", Epsilon(graph))
                .WithArchitecture("BertModel")
            : throw new NotSupportedException($"{Name} has {hidden} hidden dimensions, which {heads} heads do not divide.");

        Tensor AddLinear(string name, long rows, long columns)
        {
            Tensor weight = Keep(name + WeightSuffix, Weight(graph, before + name));
            Check(name + WeightSuffix, weight, rows, columns);
            Add(graph, before, name + BiasSuffix, weight.size(0));
            return weight;
        }

        void AddNorm(string name)
        {
            Add(graph, before, name + WeightSuffix, hidden);
            Add(graph, before, name + BiasSuffix, hidden);
        }
    }

    /// <summary>Adds the initialiser of a name; shapes of -1 may be of any length.</summary>
    private Tensor Add(OnnxGraph graph, string before, string name, params long[] shape)
    {
        Tensor value = Keep(name, Values(Find(graph, before + name)));
        Check(name, value, shape.Length == 0 ? [-1, -1] : shape);
        return value;
    }

    private Tensor Keep(string name, Tensor value)
    {
        _tensors.Add((Prefix + name, value));
        return value;
    }

    private void Check(string name, Tensor value, params long[] shape)
    {
        if (value.dim() != shape.Length || value.shape.Zip(shape).Any(pair => pair.Second >= 0 && pair.First != pair.Second))
        {
            throw Other(
                $"'{name}' is of shape [{string.Join(", ", value.shape)}], where "
                    + $"[{string.Join(", ", shape.Select(size => size < 0 ? "any" : $"{size}"))}] "
                    + "is right"
            );
        }
    }

    private OnnxTensor Find(OnnxGraph graph, string name) =>
        graph.Tensors.GetValueOrDefault(name) ?? throw Other($"it has no initialiser '{name}'");

    /// <summary>The weight of a linear layer, <c>[out, in]</c>.</summary>
    private Tensor Weight(OnnxGraph graph, string linear)
    {
        // A Gemm, as poolers are exported, names the weight, and has it as PyTorch has.
        if (graph.Tensors.GetValueOrDefault(linear + WeightSuffix) is { } named)
        {
            return Values(named);
        }

        string bias = Find(graph, linear + BiasSuffix).Name;
        OnnxTensor weight =
            graph
                .Readers(bias)
                .Where(node => node.Operator == "Add")
                .SelectMany(node => node.Inputs)
                .Select(graph.Maker)
                .Where(maker => maker?.Operator == "MatMul")
                .Select(product => graph.Tensors.GetValueOrDefault(product!.Inputs[^1]))
                .FirstOrDefault(found => found is not null)
            ?? throw Other(
                $"'{bias}' is not added to the product of a MatMul with an initialiser; it may be an optimised or a quantised graph"
            );
        using Tensor stored = Values(weight);
        if (stored.dim() != 2)
        {
            throw Other($"the weight of '{linear}' has {stored.dim()} dimensions");
        }

        using Tensor transposed = stored.t();
        return transposed.contiguous();
    }

    private Tensor Values(OnnxTensor tensor)
    {
        if (tensor.IsElsewhere)
        {
            throw Other($"the values of '{tensor.Name}' lie in another file");
        }

        ScalarType type = tensor.Type switch
        {
            OnnxTensor.Float32 => ScalarType.Float32,
            OnnxTensor.Float16 => ScalarType.Float16,
            _ => throw Other($"'{tensor.Name}' has elements of ONNX's type {tensor.Type}, where float32 (1) and float16 (10) can be read"),
        };
        if (ElementTypes.ByteLength(type, tensor.Shape) is not { } length || length != tensor.Data.Count)
        {
            throw new InvalidDataException(
                $"{Name}: '{tensor.Name}' is of shape [{string.Join(", ", tensor.Shape)}] and has {tensor.Data.Count} bytes; the file "
                    + "is damaged."
            );
        }

        Tensor value = TensorBytes.Read(
            new(tensor.Name, type, tensor.Shape, length),
            (offset, destination) => tensor.Data.AsSpan((int)offset, destination.Length).CopyTo(destination),
            ScalarType.Float32,
            device: null
        );
        try
        {
            TensorStoreExtensions.CheckFinite(value, tensor.Name, Name);
            return value;
        }
        catch
        {
            value.Dispose();
            throw;
        }
    }

    /// <summary>The number of heads: what is made of the first query is reshaped to [batch, length, heads, size].</summary>
    private int Heads(OnnxGraph graph, string before, int hidden)
    {
        string bias = before + "encoder.layer.0.attention.self.query.bias";
        foreach (
            OnnxNode reshape in graph
                .Readers(bias)
                .SelectMany(node => node.Outputs)
                .SelectMany(graph.Readers)
                .Where(node => node.Operator == "Reshape")
        )
        {
            string shape = reshape.Inputs[^1];
            long[] sizes =
                graph.Tensors.GetValueOrDefault(shape)?.Integers
                ??
                [
                    .. (graph.Maker(shape) is { Operator: "Concat" } concat ? concat.Inputs : []).SelectMany(part =>
                        graph.Tensors.GetValueOrDefault(part)?.Integers is { Length: 1 } known ? known : [-1L]
                    ),
                ];
            if (sizes is [_, _, var heads, var size])
            {
                heads =
                    heads > 0 ? heads
                    : size > 0 ? hidden / size
                    : 0;
                if (heads > 0 && heads <= hidden && hidden % heads == 0)
                {
                    return (int)heads;
                }
            }
        }

        throw Other(
            $"its attention heads cannot be told; {nameof(OnnxImportOptions)}.{nameof(OnnxImportOptions.Heads)} says how many there are"
        );
    }

    /// <summary>The epsilon of a layer norm.</summary>
    private double Epsilon(OnnxGraph graph)
    {
        float? found =
            graph.Nodes.FirstOrDefault(node => node.Operator == "LayerNormalization")?.Epsilon
            ?? graph
                .Nodes.Where(node => node.Operator == "Sqrt")
                .Select(root => graph.Maker(root.Inputs[0]))
                .Where(sum => sum?.Operator == "Add")
                .SelectMany(sum => sum!.Inputs)
                .Select(input => graph.Tensors.GetValueOrDefault(input)?.Single)
                .FirstOrDefault(value => value > 0);

        // 1e-12 and not the float32 nearest to it.
        return found is not { } value ? DefaultEpsilon
            : !(value > 0) || !float.IsFinite(value) ? throw Other($"the epsilon of a layer norm is {value}")
            : double.Parse(value.ToString("R", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
    }

    private NotSupportedException Other(string what) =>
        new($"{Name} is not of the layout that is read, a BERT encoder as PyTorch exports it: {what}.");

    [GeneratedRegex(
        @"(^|\.)encoder\.layer\.(?<layer>\d{1,4})\.",
        RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant,
        matchTimeoutMilliseconds: 10_000
    )]
    private static partial Regex LayerName();
}
