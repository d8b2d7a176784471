using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.NativeCalls;
using static TorchSharp.torch;

namespace SkillLoc.Models.Onnx;

/// <summary>Finds the parts of an encoder by following the values of a graph, whatever weights and nodes are called.</summary>
/// <param name="graph">The graph.</param>
/// <param name="values">Its constants.</param>
/// <param name="source">Its name in error messages.</param>
internal sealed class OnnxWalk(OnnxGraph graph, OnnxEvaluator values, string source)
{
    // What leaves values as they are, but for their order or type.
    private static readonly HashSet<string> Moves = new(StringComparer.Ordinal)
    {
        "Cast",
        "Dropout",
        "Expand",
        "Identity",
        "Reshape",
        "Squeeze",
        "Transpose",
        "Unsqueeze",
    };

    private static readonly HashSet<string> ElementWise = new(StringComparer.Ordinal) { "Add", "Div", "Max", "Min", "Mul", "Sub", "Where" };

    /// <summary>A linear layer that a node is the product of; null for other nodes.</summary>
    public OnnxLinear? Linear(OnnxNode node)
    {
        bool isGemm = node.Operator is "Gemm" or "FusedGemm";
        if (
            (!isGemm && node.Operator is not ("MatMul" or "FusedMatMul"))
            || node.Inputs.Count < 2
            || node.Outputs.Count == 0
            || values.IsConstant(node.Inputs[0])
            || !values.IsConstant(node.Inputs[1])
        )
        {
            return null;
        }

        string product = node.Outputs[0];
        if (isGemm)
        {
            return new(node, node.Inputs[1], node.Inputs.ElementAtOrDefault(2), product);
        }

        foreach (OnnxNode reader in graph.Readers(product))
        {
            string? bias = reader.Operator switch
            {
                "Add" => reader.Inputs.FirstOrDefault(values.IsConstant),
                "BiasGelu" or "FastGelu" => reader.Inputs.ElementAtOrDefault(1),
                "SkipLayerNormalization" => reader.Inputs.ElementAtOrDefault(4),
                _ => null,
            };
            if (bias is not null && values.IsConstant(bias))
            {
                return new(node, node.Inputs[1], bias, reader.Operator == "Add" ? reader.Outputs[0] : product);
            }
        }

        return new(node, node.Inputs[1], null, product);
    }

    /// <summary>A layer normalisation that a node ends; null for other nodes.</summary>
    public OnnxNorm? Norm(OnnxNode node)
    {
        int first = node.Operator switch
        {
            "LayerNormalization" => 1,
            "SkipLayerNormalization" => 2,
            "EmbedLayerNormalization" => 5,
            _ => 0,
        };
        if (first > 0)
        {
            return node.Inputs.Count > first + 1
                ? new(
                    node,
                    node.Inputs[first],
                    node.Inputs[first + 1],
                    node.Attributes.GetValueOrDefault("epsilon")?.Number ?? (first == 1 ? 1e-5f : 1e-12f),
                    node.Outputs[0]
                )
                : null;
        }

        // (x - mean) / sqrt(variance + epsilon) * weight + bias.
        if (
            node.Operator != "Add"
            || Split(node) is not var (bias, scaled)
            || Maker(scaled) is not { Operator: "Mul" } mul
            || Split(mul) is not var (weight, normed)
            || Maker(normed) is not { Operator: "Div", Inputs.Count: 2 } div
            || Maker(div.Inputs[1]) is not { Operator: "Sqrt" } root
            || Maker(root.Inputs[0]) is not { Operator: "Add" } sum
            || Split(sum) is not var (epsilon, _)
        )
        {
            return null;
        }

        Tensor value = values.Constant(epsilon);
        return new(node, weight, bias, value.numel() == 1 ? value.reshape(1).data<float>()[0] : null, node.Outputs[0]);
    }

    /// <summary>A node that multiplies attention weights or scores: both of its inputs depend on the text.</summary>
    public bool IsProductOfValues(OnnxNode node) =>
        node.Operator is "MatMul" or "FusedMatMul" && node.Inputs.Count >= 2 && !node.Inputs.Take(2).Any(values.IsConstant);

    /// <summary>The first thing of a kind that is computed from a value.</summary>
    /// <param name="value">The value.</param>
    /// <param name="match">Returns it for its node; null for others.</param>
    /// <param name="what">What is missing otherwise.</param>
    /// <exception cref="NotSupportedException">There is none.</exception>
    public T Next<T>(string value, Func<OnnxNode, T?> match, string what)
        where T : class => Find(value, match) ?? throw Missing($"nothing that is computed from '{value}' is {what}");

    /// <summary>The same; null if there is none.</summary>
    public T? Find<T>(string value, Func<OnnxNode, T?> match)
        where T : class
    {
        // Nodes are in the order of computation, so the lowest of those that are reached is the first.
        var open = new PriorityQueue<OnnxNode, int>();
        var seen = new HashSet<int>();
        Push(value);
        while (open.TryDequeue(out OnnxNode? node, out _))
        {
            if (match(node) is { } found)
            {
                return found;
            }

            foreach (string output in node.Outputs)
            {
                Push(output);
            }
        }

        return null;

        void Push(string from)
        {
            foreach (OnnxNode reader in graph.Readers(from))
            {
                if (seen.Add(reader.Index))
                {
                    open.Enqueue(reader, reader.Index);
                }
            }
        }
    }

    /// <summary>The node of a kind whose result, moved and scaled, a value is; null if there is none.</summary>
    public T? Back<T>(string value, Func<OnnxNode, T?> match)
        where T : class
    {
        var open = new Stack<string>([value]);
        var seen = new HashSet<string>(StringComparer.Ordinal);
        while (open.TryPop(out string? next))
        {
            if (!seen.Add(next) || values.IsConstant(next) || graph.Maker(next) is not { } node)
            {
                continue;
            }

            if (match(node) is { } found)
            {
                return found;
            }

            IEnumerable<string> inputs =
                Moves.Contains(node.Operator) ? node.Inputs.Take(1)
                : ElementWise.Contains(node.Operator) ? node.Inputs
                : [];
            foreach (string input in inputs.Reverse())
            {
                open.Push(input);
            }
        }

        return null;
    }

    /// <summary>The input of the graph that a value is, apart from its shape; null for others.</summary>
    public string? Origin(string value)
    {
        while (graph.Maker(value) is { Inputs.Count: > 0 } node && Moves.Contains(node.Operator))
        {
            value = node.Inputs[0];
        }

        return graph.Maker(value) is null ? value : null;
    }

    /// <summary>What the graph lacks.</summary>
    public NotSupportedException Missing(string what) =>
        new($"{source} is not of a layout that is read, an encoder such as BERT that PyTorch exported: {what}.");

    /// <summary>The weight of a linear layer, <c>[out, in]</c>.</summary>
    public Tensor Weight(OnnxLinear linear)
    {
        Tensor weight = values.Constant(linear.Weight);
        if (weight.dim() != 2)
        {
            throw Missing($"the weight of {linear.Node.Title} is of shape [{string.Join(", ", weight.shape)}] and should be a matrix");
        }

        bool isStored = linear.Node.Attributes.GetValueOrDefault("transB")?.Integer > 0;
        weight = linear.Third is { } third ? Third(weight, third, 1) : weight;
        double scale = linear.Node.Attributes.GetValueOrDefault("alpha")?.Number ?? 1;
        weight = isStored ? weight : weight.t();
        return scale == 1 ? weight : weight.Mul(scale);
    }

    /// <summary>Its bias; zeros where it has none.</summary>
    public Tensor Bias(OnnxLinear linear)
    {
        Tensor? bias = linear.Bias is { Length: > 0 } name ? values.Constant(name) : null;
        return bias is null ? zeros(Weight(linear).shape[0])
            : linear.BiasThird is { } third ? Third(bias.reshape(-1), third, 0)
            : bias.reshape(-1);
    }

    private static Tensor Third(Tensor joint, int third, long dimension)
    {
        long size = joint.shape[dimension] / 3;
        return joint.narrow(dimension, third * size, size);
    }

    /// <summary>The constant among a node's two inputs, and the other.</summary>
    private (string Constant, string Other)? Split(OnnxNode node) =>
        node.Inputs is not [var first, var second] || values.IsConstant(first) == values.IsConstant(second) ? null
        : values.IsConstant(first) ? (first, second)
        : (second, first);

    /// <summary>The node that makes a value, before changes of its type.</summary>
    private OnnxNode? Maker(string value)
    {
        OnnxNode? node = graph.Maker(value);
        while (node is { Operator: "Cast" or "Identity", Inputs: [var input] })
        {
            node = graph.Maker(input);
        }

        return node;
    }
}

/// <summary>A linear layer of a graph.</summary>
/// <param name="Node">The node that multiplies.</param>
/// <param name="Weight">Its weight.</param>
/// <param name="Bias">Its bias; null or empty for none.</param>
/// <param name="Output">Its result.</param>
internal sealed record OnnxLinear(OnnxNode Node, string Weight, string? Bias, string Output)
{
    /// <summary>Which third of a joint projection of queries, keys and values it is; null for a layer of its own.</summary>
    public int? Third { get; init; }

    /// <summary>Which third of a joint bias its own is; null for a bias of its own.</summary>
    public int? BiasThird { get; init; }
}

/// <summary>A layer normalisation of a graph.</summary>
/// <param name="Node">Its last node.</param>
/// <param name="Weight">Its weight.</param>
/// <param name="Bias">Its bias.</param>
/// <param name="Epsilon">Its epsilon; null where it is no single number.</param>
/// <param name="Output">Its result.</param>
internal sealed record OnnxNorm(OnnxNode Node, string Weight, string Bias, float? Epsilon, string Output);
