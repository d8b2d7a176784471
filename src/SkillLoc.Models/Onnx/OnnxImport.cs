using System.Globalization;
using SkillLoc.Models.Architectures;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.NativeCalls;
using SkillLoc.Models.Prompts;
using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace SkillLoc.Models.Onnx;

/// <summary>Takes the weights of an encoder out of an ONNX graph, and compares what they compute with what the graph computes.</summary>
internal sealed class OnnxImport
{
    private const string Mask = "attention_mask";
    private const string Types = "token_type_ids";

    // Of the largest value; sums in another order differ by a hundredth of it.
    private const double Tolerance = 1e-4;

    // As many rows and tokens are computed, where the graph does not say how many it reads.
    private const int Rows = 3;
    private const int Length = 8;
    private const int MostTokens = 8192;

    private static readonly string[] Scores = ["logits", "prediction_logits"];
    private static readonly string[] HiddenOutputs = ["last_hidden_state", "token_embeddings", "sentence_embedding", "pooler_output"];
    private static readonly string[] Activations = ["gelu", "gelu_new", "relu", "silu", "quick_gelu"];

    private readonly OnnxGraph _graph;
    private readonly string _source;
    private readonly OnnxEvaluator _values;
    private readonly OnnxWalk _walk;
    private readonly OnnxEncoderParts _parts;
    private readonly OrderedDictionary<string, Tensor> _weights = new(StringComparer.Ordinal);

    private OnnxImport(OnnxGraph graph, string source)
    {
        (_graph, _source) = (graph, source);
        _values = new(graph, source);
        _walk = new(graph, _values, source);
        _parts = new(graph, _values, _walk);
    }

    /// <summary>Takes a model out of a graph.</summary>
    /// <param name="graph">The graph.</param>
    /// <param name="source">Its name in error messages.</param>
    /// <param name="given">Its configuration; null for that of a BERT with the sizes of the graph.</param>
    /// <param name="weights">The weights by their Hugging Face names, which the caller owns.</param>
    /// <returns>The configuration of what the graph computes.</returns>
    /// <exception cref="NotSupportedException">The graph is of another layout, or computes something else.</exception>
    public static ModelConfig Read(
        OnnxGraph graph,
        string source,
        ModelConfig? given,
        out IReadOnlyList<(string Name, Tensor Value)> weights
    )
    {
        using IDisposable gradients = no_grad();
        using DisposeScope scope = NewDisposeScope();
        OnnxImport import;
        ModelConfig config;
        OnnxKinds.Check(graph, source, given);
        try
        {
            import = new(graph, source);
            config = import.Read(given);
        }
        catch (Exception error) when (error is not (NotSupportedException or InvalidDataException or OutOfMemoryException))
        {
            // Parts of shapes that fit nothing.
            throw new NotSupportedException($"{source} is of no layout that is read: {error.Message.Split('\n')[0]}", error);
        }

        foreach ((string name, Tensor value) in import._weights)
        {
            TensorStoreExtensions.CheckFinite(value, name, source);
        }

        weights = [.. import._weights.Select(weight => (weight.Key, weight.Value.contiguous().alias().DetachFromDisposeScope()))];
        return config;
    }

    private ModelConfig Read(ModelConfig? given)
    {
        EncoderArchitecture architecture = ArchitectureOf(given);
        OnnxSample sample = Sample(given);
        using TokenBatch batch = sample.Batch;
        string? scores = ScoresOf(given, architecture);
        _values.Compute([
            _parts.Hidden,
            .. _parts.Attentions.Select(attention => attention.Split).OfType<string>(),
            .. scores is null ? Array.Empty<string>() : [scores],
        ]);
        ModelConfig config = Settle(given ?? Found(), architecture);
        ReadEncoder(config, architecture.Names);
        Tensor? logits = scores is null ? null : _values.Value(scores);
        config = logits switch
        {
            null => ReadPooler(config, architecture),
            _ when logits.dim() == 2 => ReadClassifier(config, architecture, logits.shape[^1]),
            _ when logits.dim() == 3 && logits.shape[^1] == config.VocabularySize => ReadLanguageModel(config, architecture),
            _ => throw _walk.Missing(
                $"its output '{scores}' is of shape [{string.Join(", ", logits.shape)}]; classifiers of texts and language models are "
                    + "imported, not those of tokens or spans"
            ),
        };
        Check(config, architecture, withHead: logits?.dim() == 3);
        Compare(config, architecture, sample, logits);
        return config;
    }

    private EncoderArchitecture ArchitectureOf(ModelConfig? given)
    {
        if (given is null)
        {
            return _graph.Nodes.Any(node => node.Operator == "CumSum")
                ? throw _walk.Missing(
                    "it counts positions (CumSum) as RoBERTa does, and there is no config.json beside it that names the model"
                )
                : BertLikeArchitecture.Bert;
        }

        return (EncoderArchitecture)Architecture.Of(given);
    }

    /// <summary>What holds scores of labels or words; null for an encoder alone.</summary>
    /// <remarks>Optimum calls them <c>logits</c>. Others give any name, or probabilities instead: there a linear layer behind the encoder
    /// counts, of the size that the class in <c>config.json</c> has.</remarks>
    private string? ScoresOf(ModelConfig? given, EncoderArchitecture architecture)
    {
        if (Scores.FirstOrDefault(_graph.Outputs.Contains) is { } named)
        {
            return named;
        }

        if (_graph.Outputs.FirstOrDefault(output => output is "start_logits" or "end_logits") is { } span)
        {
            throw _walk.Missing($"its output '{span}' scores spans; classifiers of texts and language models are imported");
        }

        if (_graph.Outputs.Any(HiddenOutputs.Contains) || _parts.Behind() is not [.., var last] behind)
        {
            return null;
        }

        string kind = given?.Architectures is [var first, ..] ? first : "";
        ClassifierForm form = architecture.Classifier;
        bool isScored =
            kind.EndsWith("ForSequenceClassification", StringComparison.Ordinal) ? behind.Count == (form.Dense.Length > 0 ? 2 : 1)
            : kind.EndsWith("ForMaskedLM", StringComparison.Ordinal) ? _walk.Weight(last).shape[0] == given!.VocabularySize
            : kind.EndsWith("ForTokenClassification", StringComparison.Ordinal)
                || kind.EndsWith("ForQuestionAnswering", StringComparison.Ordinal);
        return isScored ? last.Output : null;
    }

    /// <summary>Rows of tokens of several lengths, which become the graph's inputs.</summary>
    private OnnxSample Sample(ModelConfig? given)
    {
        var inputs = _graph.Inputs.ToDictionary(input => input.Name, input => input.Shape, StringComparer.Ordinal);
        if (inputs.Keys.FirstOrDefault(name => !OnnxMetadataInputs.Contains(name)) is { } other)
        {
            throw _walk.Missing($"it has an input '{other}'; encoders have {string.Join(", ", OnnxMetadataInputs)}");
        }

        long[] sizes = inputs["input_ids"];
        (long rows, long length) = sizes is [var batch, var sequence]
            ? (batch == OnnxInput.Free ? Rows : batch, sequence == OnnxInput.Free ? Length : sequence)
            : (Rows, Length);
        long[] words = _values.ShapeOf(_parts.Words),
            positions = _values.ShapeOf(_parts.Positions);
        if (words.Length != 2 || positions.Length != 2 || words[0] < 1)
        {
            throw _walk.Missing("its word or position embeddings are no table");
        }

        // RoBERTa has positions that no token uses.
        int first = given is { } known && ArchitectureOf(known).UncountedToken(known) is { } uncounted ? uncounted + 1 : 0;
        length = Math.Min(length, positions[0] - first);
        if (rows is < 1 or > MostTokens || length < 1 || rows * length > MostTokens)
        {
            throw _walk.Missing($"it reads {rows} rows of {length} tokens");
        }

        bool hasTypes = inputs.ContainsKey(Types) && _parts.TokenTypes is { } table && _values.ShapeOf(table)[0] > 1;
        var sample = OnnxSample.Create((int)rows, (int)length, (int)words[0], hasTypes, inputs.ContainsKey(Mask), given?.PadTokenId ?? 0);
        _values.Feed("input_ids", sample.Batch.Ids);
        _values.Feed(Mask, sample.Mask);
        _values.Feed(Types, sample.Batch.TokenTypes ?? zeros_like(sample.Batch.Ids));
        return sample;
    }

    /// <summary>A BERT of the graph's sizes.</summary>
    private ModelConfig Found()
    {
        long[] words = _values.ShapeOf(_parts.Words);
        OnnxAttention attention = _parts.Attentions[0];
        long heads =
            attention.Heads
            ?? (
                _values.Value(attention.Split!).shape is [_, var known, _, _]
                    ? known
                    : throw _walk.Missing("its queries are not split into heads")
            );
        long types = _parts.TokenTypes is { } table ? _values.ShapeOf(table)[0] : 0;
        if (types < 2 || heads < 1 || words[1] % heads != 0)
        {
            throw _walk.Missing($"it has {types} token types and {heads} heads of {words[1]} dimensions");
        }

        return ModelConfig
            .Bert(
                (int)words[1],
                _parts.Layers.Count,
                (int)heads,
                (int)_walk.Weight(_parts.Layers[0].Up).shape[0],
                (int)words[0],
                (int)_values.ShapeOf(_parts.Positions)[0]
            )
            .With("type_vocab_size", (int)types)
            .With("layer_norm_eps", Epsilon() ?? 1e-12);
    }

    /// <summary>The configuration with what the graph computes where that is told from it.</summary>
    private ModelConfig Settle(ModelConfig config, EncoderArchitecture architecture)
    {
        if (config.Layers != _parts.Layers.Count)
        {
            throw _walk.Missing($"{config.Source} says {config.Layers} layers and the graph has {_parts.Layers.Count}");
        }

        if (Epsilon() is { } epsilon && Math.Abs(epsilon - config.LayerNormEpsilon) > 0.01 * config.LayerNormEpsilon)
        {
            throw _walk.Missing(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"the epsilon of its norms is {epsilon:R}, and of {config.Source} {config.LayerNormEpsilon:R}"
                )
            );
        }

        string activation = ActivationOf(config.HiddenActivation);
        return activation == config.HiddenActivation ? config : config.With(architecture.ActivationKey, activation);
    }

    /// <summary>The epsilon of all norms; null where it is too small for the graph's numbers.</summary>
    private double? Epsilon()
    {
        float[] found = [.. _parts.Norms.Select(norm => norm.Epsilon).OfType<float>().Where(value => value > 0).Distinct()];
        return found switch
        {
            [] => null,
            // 1e-12 and not the float32 nearest to it.
            [var one] when float.IsFinite(one) => double.Parse(
                one.ToString("R", CultureInfo.InvariantCulture),
                CultureInfo.InvariantCulture
            ),
            _ => throw _walk.Missing($"its norms have different epsilons: {string.Join(", ", found)}"),
        };
    }

    /// <summary>The name of the activation: what stands between the first layer's feed-forward layers is computed for numbers of a
    /// range.</summary>
    private string ActivationOf(string expected)
    {
        OnnxLayerParts layer = _parts.Layers[0];
        string product = layer.Up.Node.Outputs[0];
        long[] shape = _values.Value(product).shape;
        long count = shape.Aggregate(1L, (all, size) => all * size);
        Tensor x = tensor([.. Enumerable.Range(0, (int)count).Select(place => (float)((8.0 * place / Math.Max(count - 1, 1)) - 4))])
            .reshape(shape);
        var values = new OnnxEvaluator(_graph, _source);
        foreach (string input in OnnxMetadataInputs)
        {
            values.Feed(input, _values.Value(input));
        }

        values.Feed(product, x);
        string active = layer.Down.Node.Inputs[0];
        values.Compute([active]);
        bool isAdded = layer.Up.Node.Operator.EndsWith("MatMul", StringComparison.Ordinal) && layer.Up.Bias is not null;
        x = (isAdded ? x.Add(_walk.Bias(layer.Up)) : x).reshape(-1);
        Tensor y = values.Value(active).reshape(-1);
        return Activations.Prepend(expected).FirstOrDefault(name => x.numel() == y.numel() && Off(Activation.Named(name)(x), y) < 1e-5)
            ?? throw _walk.Missing(
                $"the activation before {layer.Down.Node.Title} is none of {string.Join(", ", Activations.Append(expected).Distinct())}"
            );
    }

    private void ReadEncoder(ModelConfig config, EncoderNames names)
    {
        _weights.Add(names.Words, _values.Constant(_parts.Words));
        _weights.Add(names.Positions, _values.Constant(_parts.Positions));
        if (names.TokenTypes is { } types)
        {
            Tensor table = _values.Constant(_parts.TokenTypes ?? throw _walk.Missing("it has no token-type embeddings"));
            _weights.Add(types, table.reshape(-1, table.shape[^1]));
        }

        Add(names.EmbeddingNorm, _parts.EmbeddingNorm);
        if (config.EmbeddingSize != config.HiddenSize)
        {
            Add(names.EmbeddingProjection, _parts.Projection ?? throw _walk.Missing("it has no projection of the embeddings"));
        }

        for (int i = 0; i < _parts.Layers.Count; i++)
        {
            OnnxLayerParts layer = _parts.Layers[i];
            string prefix = $"{names.Layers}{i}.";
            Add(prefix + names.Layer.Query, layer.Attention.Query);
            Add(prefix + names.Layer.Key, layer.Attention.Key);
            Add(prefix + names.Layer.Value, layer.Attention.Value);
            Add(prefix + names.Layer.AttentionOutput, layer.AttentionOutput);
            Add(prefix + names.Layer.AttentionNorm, layer.AttentionNorm);
            Add(prefix + names.Layer.Up, layer.Up);
            Add(prefix + names.Layer.Down, layer.Down);
            Add(prefix + names.Layer.OutputNorm, layer.OutputNorm);
        }

        if (config.RelativeAttentionBuckets > 0)
        {
            long[] shape = [config.RelativeAttentionBuckets, config.Heads];
            string table =
                _parts.OtherTables.FirstOrDefault(each => _values.ShapeOf(each).SequenceEqual(shape))
                ?? throw _walk.Missing($"it looks up no biases by relative position, a table of shape [{string.Join(", ", shape)}]");
            _weights.Add(names.RelativePositions, _values.Constant(table));
        }
    }

    private void Add(string name, OnnxLinear linear)
    {
        _weights.Add(name + ".weight", _walk.Weight(linear));
        _weights.Add(name + ".bias", _walk.Bias(linear));
    }

    private void Add(string name, OnnxNorm norm)
    {
        _weights.Add(name + ".weight", _values.Constant(norm.Weight).reshape(-1));
        _weights.Add(name + ".bias", _values.Constant(norm.Bias).reshape(-1));
    }

    /// <summary>An encoder alone, with BERT's pooler where the graph has it.</summary>
    private ModelConfig ReadPooler(ModelConfig config, EncoderArchitecture architecture)
    {
        ClassifierForm form = architecture.Classifier;
        if (
            form.IsPretrained
            && _parts.Behind() is [var pooler]
            && _walk.Weight(pooler).shape is [var rows, var columns]
            && rows == columns
        )
        {
            Add(form.Dense, pooler);
        }

        return config.WithArchitecture(architecture.ClassPrefix + "Model");
    }

    private ModelConfig ReadClassifier(ModelConfig config, EncoderArchitecture architecture, long labels)
    {
        ClassifierForm form = architecture.Classifier;
        string[] names = [.. new[] { form.Dense, form.Output }.Where(name => name.Length > 0)];
        IReadOnlyList<OnnxLinear> layers = _parts.Behind();
        if (layers.Count != names.Length)
        {
            throw _walk.Missing(
                $"behind the encoder it has {layers.Count} linear layers, and a {architecture.Name} classifier {names.Length}"
            );
        }

        for (int i = 0; i < names.Length; i++)
        {
            Add(names[i], layers[i]);
        }

        config = config.WithArchitecture(architecture.ClassPrefix + "ForSequenceClassification");
        config = config.NamesLabels ? config : config.With("num_labels", (int)labels);
        return config.Labels.Count == labels
            ? config
            : throw _walk.Missing($"{config.Source} names {config.Labels.Count} labels, and the graph scores {labels}");
    }

    private ModelConfig ReadLanguageModel(ModelConfig config, EncoderArchitecture architecture)
    {
        HeadNames names = architecture.Names.Head;

        // A pooler beside the head has no norm.
        OnnxLinear dense = _walk.Next(
            _parts.Hidden,
            node => _walk.Linear(node) is { } linear && _walk.Find(linear.Output, _walk.Norm) is not null ? linear : null,
            "the head's dense layer, before a norm"
        );
        OnnxNorm norm = _walk.Next(dense.Output, _walk.Norm, "the head's norm");
        OnnxLinear decoder = _walk.Next(norm.Output, _walk.Linear, "the head's decoder");
        Add(names.Dense, dense);
        Add(names.Norm, norm);
        Tensor weight = _walk.Weight(decoder),
            words = _weights[architecture.Names.Words];
        bool isTied = weight.shape.SequenceEqual(words.shape) && weight.eq(words).all().item<bool>();
        config = config.WithArchitecture(architecture.LanguageModelClass);
        config = config.TieWordEmbeddings == isTied ? config : config.With("tie_word_embeddings", isTied);
        _weights.Add(names.Bias(config), _walk.Bias(decoder));
        if (!isTied)
        {
            _weights.Add(names.Decoder + ".weight", weight);
        }

        return config;
    }

    /// <summary>Compares the shapes with those that the configuration means.</summary>
    private void Check(ModelConfig config, EncoderArchitecture architecture, bool withHead)
    {
        foreach ((string name, long[] shape) in architecture.Shapes(config, withHead))
        {
            if (!_weights.TryGetValue(name, out Tensor? value) || !value.shape.SequenceEqual(shape) || value.dtype != ScalarType.Float32)
            {
                throw _walk.Missing(
                    $"'{name}' is of shape [{string.Join(", ", value?.shape ?? [])}], where [{string.Join(", ", shape)}] is right"
                );
            }
        }
    }

    /// <summary>Throws where the weights compute something else than the graph.</summary>
    private void Compare(ModelConfig config, EncoderArchitecture architecture, OnnxSample sample, Tensor? logits)
    {
        using var model = LanguageModel.Of(config, _weights, withHead: logits?.dim() == 3);
        Tensor expected = logits ?? _values.Value(_parts.Hidden),
            hidden = model.Encode(sample.Batch);
        Tensor found = logits?.dim() switch
        {
            2 => Classify(architecture.Classifier, hidden.select(1, 0)),
            3 => model.WordScores(hidden.reshape(-1, hidden.shape[^1])).reshape(hidden.shape[0], hidden.shape[1], -1),
            _ => hidden,
        };
        if (!expected.shape.SequenceEqual(found.shape))
        {
            throw _walk.Missing(
                $"it computes a value of shape [{string.Join(", ", expected.shape)}], where [{string.Join(", ", found.shape)}] is right"
            );
        }

        if (expected.dim() == 3)
        {
            Tensor read = sample.Mask.unsqueeze(-1).to(ScalarType.Float32);
            (expected, found) = (expected * read, found * read);
        }

        double off = Off(expected, found);
        double largest = expected.abs().max().item<float>();
        if (!(off <= Tolerance * Math.Max(1, largest)))
        {
            throw _walk.Missing(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"what its weights compute as a {architecture.Name} differs from what it computes by {off:G2} (its largest value is {largest:G2})"
                )
            );
        }
    }

    private Tensor Classify(ClassifierForm form, Tensor first)
    {
        Tensor dense =
            form.Dense.Length == 0
                ? first
                : Activation.Named(form.Activation)(F.linear(first, _weights[form.Dense + ".weight"], _weights[form.Dense + ".bias"]));
        return F.linear(dense, _weights[form.Output + ".weight"], _weights[form.Output + ".bias"]);
    }

    private static double Off(Tensor one, Tensor other) => (one - other).abs().max().item<float>();

    private static string[] OnnxMetadataInputs => Classification.OnnxMetadata.Inputs;
}
