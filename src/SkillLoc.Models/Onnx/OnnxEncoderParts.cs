using SkillLoc.Models.Checkpoints;
using static TorchSharp.torch;

namespace SkillLoc.Models.Onnx;

/// <summary>The parts of an encoder in a graph: embeddings, layers of attention and feed-forward that end with norms, and what follows.</summary>
internal sealed class OnnxEncoderParts
{
    private const string Ids = "input_ids";
    private const string Types = "token_type_ids";

    private readonly OnnxGraph _graph;
    private readonly OnnxEvaluator _values;
    private readonly OnnxWalk _walk;

    /// <exception cref="NotSupportedException">The graph is no such encoder; the message says what is missing.</exception>
    public OnnxEncoderParts(OnnxGraph graph, OnnxEvaluator values, OnnxWalk walk)
    {
        (_graph, _values, _walk) = (graph, values, walk);
        if (!graph.Inputs.Any(input => input.Name == Ids))
        {
            throw walk.Missing($"it has no input '{Ids}', but {string.Join(", ", graph.Inputs.Select(input => $"'{input.Name}'"))}");
        }

        EmbeddingNorm = walk.Next(Ids, walk.Norm, "a layer normalisation");
        Attentions = [.. graph.Nodes.Select(Attention).OfType<OnnxAttention>()];
        if (Attentions.Count == 0)
        {
            throw walk.Missing("it has no attention, a Softmax between two products");
        }

        Layers = [.. Attentions.Select(Layer)];
        ReadTables();
    }

    /// <summary>The norm of the embeddings.</summary>
    public OnnxNorm EmbeddingNorm { get; }

    /// <summary>The linear map from the embeddings to the hidden size; null for none.</summary>
    public OnnxLinear? Projection =>
        _walk.Find(EmbeddingNorm.Output, _walk.Linear) is { } first && first.Node.Index < Attentions[0].Start ? first : null;

    /// <summary>The word embeddings.</summary>
    public string Words { get; private set; } = "";

    /// <summary>The position embeddings.</summary>
    public string Positions { get; private set; } = "";

    /// <summary>The token-type embeddings; null for none.</summary>
    public string? TokenTypes { get; private set; }

    /// <summary>Tables of another width that are looked up: biases by relative position.</summary>
    public IReadOnlyList<string> OtherTables { get; private set; } = [];

    /// <summary>The attention of each layer.</summary>
    public IReadOnlyList<OnnxAttention> Attentions { get; }

    /// <summary>The layers.</summary>
    public IReadOnlyList<OnnxLayerParts> Layers { get; }

    /// <summary>All norms of the encoder.</summary>
    public IEnumerable<OnnxNorm> Norms =>
        Layers.SelectMany(layer => new[] { layer.AttentionNorm, layer.OutputNorm }).Prepend(EmbeddingNorm);

    /// <summary>The last layer's result.</summary>
    public string Hidden => Layers[^1].OutputNorm.Output;

    /// <summary>The linear layers behind the encoder, in order.</summary>
    public IReadOnlyList<OnnxLinear> Behind()
    {
        List<OnnxLinear> found = [];
        string value = Hidden;
        while (_walk.Find(value, _walk.Linear) is { } next)
        {
            found.Add(next);
            value = next.Output;
        }

        return found;
    }

    private OnnxAttention? Attention(OnnxNode node)
    {
        if (node is { Operator: "Attention" or "MultiHeadAttention", Inputs.Count: > 2 })
        {
            return node is { Operator: "Attention", Domain: "com.microsoft" } ? Packed(node) : Fused(node);
        }

        // A softmax over words or labels is of a product with weights.
        if (
            node is not { Operator: "Softmax", Inputs.Count: > 0 }
            || _walk.Back(node.Inputs[0], each => _walk.IsProductOfValues(each) ? each : null) is not { } scores
        )
        {
            return null;
        }

        OnnxNode context = _walk.Next(node.Outputs[0], each => _walk.IsProductOfValues(each) ? each : null, "a product with values");
        OnnxLinear[] maps = Maps(node, scores.Inputs[0], scores.Inputs[1], context.Inputs[1]);
        return new(maps[0], maps[1], maps[2], context.Outputs[0], Start(maps), scores.Inputs[0], null);
    }

    /// <summary>ONNX Runtime's operator, with one matrix for queries, keys and values.</summary>
    private static OnnxAttention Packed(OnnxNode node)
    {
        OnnxLinear[] maps =
        [
            .. Enumerable
                .Range(0, 3)
                .Select(third => new OnnxLinear(node, node.Inputs[1], node.Inputs[2], node.Outputs[0])
                {
                    Third = third,
                    BiasThird = third,
                }),
        ];
        return new(maps[0], maps[1], maps[2], node.Outputs[0], node.Index, null, Heads(node, "num_heads"));
    }

    /// <summary>An operator that reads queries, keys and values: ONNX's, or ONNX Runtime's with one bias for them.</summary>
    private OnnxAttention Fused(OnnxNode node)
    {
        OnnxLinear[] maps = Maps(node, node.Inputs[0], node.Inputs[1], node.Inputs[2]);
        if (node.Operator == "Attention")
        {
            long? own = Heads(node, "q_num_heads");
            return new(maps[0], maps[1], maps[2], node.Outputs[0], Start(maps), own is null ? node.Inputs[0] : null, own);
        }

        if (node.Inputs.ElementAtOrDefault(3) is { Length: > 0 } bias)
        {
            maps = [.. maps.Select((map, third) => map with { Bias = bias, BiasThird = third })];
        }

        return new(maps[0], maps[1], maps[2], node.Outputs[0], Start(maps), null, Heads(node, "num_heads"));
    }

    private static long? Heads(OnnxNode node, string attribute) => node.Attributes.GetValueOrDefault(attribute)?.Integer;

    private static int Start(OnnxLinear[] maps) => maps.Min(map => map.Node.Index);

    private OnnxLinear[] Maps(OnnxNode node, string query, string key, string value) =>
        [Map(node, query, "queries"), Map(node, key, "keys"), Map(node, value, "values")];

    private OnnxLinear Map(OnnxNode node, string from, string what) =>
        _walk.Back(from, _walk.Linear) ?? throw _walk.Missing($"the {what} of {node.Title} do not come from a linear layer");

    private OnnxLayerParts Layer(OnnxAttention attention, int index)
    {
        string title = $"of layer {index}";
        OnnxLinear output = _walk.Next(attention.Context, _walk.Linear, $"the linear layer behind attention {title}");
        OnnxNorm norm = _walk.Next(output.Output, _walk.Norm, $"the norm behind attention {title}");
        OnnxLinear up = _walk.Next(norm.Output, _walk.Linear, $"the first feed-forward layer {title}"),
            down = _walk.Next(up.Output, _walk.Linear, $"the second feed-forward layer {title}");
        return new(attention, output, norm, up, down, _walk.Next(down.Output, _walk.Norm, $"the last norm {title}"));
    }

    /// <summary>What is looked up: words by the ids, segments by theirs, and positions, which may also be cut off after the last.</summary>
    private void ReadTables()
    {
        if (EmbeddingNorm.Node is { Operator: "EmbedLayerNormalization" } fused)
        {
            (Words, Positions) = (fused.Inputs[2], fused.Inputs[3]);
            TokenTypes = fused.Inputs[4] is { Length: > 0 } table ? table : null;
            return;
        }

        List<(string Table, string? Origin, long[] Shape)> tables = [];
        foreach (OnnxNode node in _graph.Nodes)
        {
            if (
                node is { Operator: "Gather" or "Slice", Inputs: [var table, var places, ..] }
                && _values.IsConstant(table)
                && _values.ShapeOf(table) is { Length: 2 } shape
                && _values.Constant(table).dtype == ScalarType.Float32
            )
            {
                tables.Add((table, _walk.Origin(places), shape));
            }
        }

        (Words, _, long[] sizes) = tables.Find(table => table.Origin == Ids);
        if (Words is null)
        {
            throw _walk.Missing(
                $"it looks nothing up by '{Ids}' (Gather), such as the word embeddings 'embeddings.word_embeddings.weight'"
            );
        }

        TokenTypes = tables.Find(table => table.Origin == Types).Table;
        string[] others =
        [
            .. tables
                .Where(table => table.Table != Words && table.Table != TokenTypes && table.Shape[1] == sizes[1])
                .OrderByDescending(table => table.Shape[0])
                .Select(table => table.Table)
                .Distinct(),
        ];
        Positions =
            others.FirstOrDefault()
            ?? throw _walk.Missing($"it looks up no position embeddings (Gather) before {EmbeddingNorm.Node.Title}");
        TokenTypes ??= others.ElementAtOrDefault(1) ?? OneType(sizes[1]);
        OtherTables = [.. tables.Where(table => table.Shape[1] != sizes[1]).Select(table => table.Table).Distinct()];
    }

    /// <summary>The only segment's vector, where it is added to all tokens.</summary>
    private string? OneType(long width) =>
        _graph
            .Nodes.Where(node => node.Operator == "Add" && node.Index < EmbeddingNorm.Node.Index)
            .SelectMany(node => node.Inputs)
            .FirstOrDefault(input =>
                _values.IsConstant(input)
                && input != EmbeddingNorm.Bias
                && _values.ShapeOf(input) is [.., var last] shape
                && last == width
                && shape[..^1].All(size => size == 1)
            );
}

/// <summary>The attention of a layer.</summary>
/// <param name="Query">What makes queries.</param>
/// <param name="Key">What makes keys.</param>
/// <param name="Value">What makes values.</param>
/// <param name="Context">The weighted values.</param>
/// <param name="Start">The place of its first node.</param>
/// <param name="Split">The queries by head, <c>[batch, heads, length, size]</c>; null where the number of heads is an attribute.</param>
/// <param name="Heads">The number of heads, where it is an attribute.</param>
internal sealed record OnnxAttention(
    OnnxLinear Query,
    OnnxLinear Key,
    OnnxLinear Value,
    string Context,
    int Start,
    string? Split,
    long? Heads
);

/// <summary>The parts of a layer.</summary>
internal sealed record OnnxLayerParts(
    OnnxAttention Attention,
    OnnxLinear AttentionOutput,
    OnnxNorm AttentionNorm,
    OnnxLinear Up,
    OnnxLinear Down,
    OnnxNorm OutputNorm
);
