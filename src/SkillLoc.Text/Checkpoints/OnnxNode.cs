namespace SkillLoc.Models.Checkpoints;

/// <summary>A node of an ONNX graph.</summary>
/// <param name="Operator">The operator, for example <c>MatMul</c>.</param>
/// <param name="Inputs">What it reads; an empty name for an input that is left out.</param>
/// <param name="Outputs">What it makes, one at least.</param>
internal sealed record OnnxNode(string Operator, IReadOnlyList<string> Inputs, IReadOnlyList<string> Outputs)
{
    /// <summary>Its name; may be empty.</summary>
    public string Name { get; init; } = "";

    /// <summary>The operator's domain; empty for ONNX's own.</summary>
    public string Domain { get; init; } = "";

    /// <summary>Which of several functions of that name it calls; mostly empty.</summary>
    public string Overload { get; init; } = "";

    /// <summary>Its place among the nodes, which are in the order of computation.</summary>
    public int Index { get; init; }

    /// <summary>The attributes by name.</summary>
    public IReadOnlyDictionary<string, OnnxAttribute> Attributes { get; init; } = new Dictionary<string, OnnxAttribute>();

    /// <summary>How error messages call it.</summary>
    public string Title => $"{Operator} '{(Name.Length > 0 ? Name : Outputs[0])}'";
}

/// <summary>An attribute of a node: the field of its kind is set.</summary>
internal sealed record OnnxAttribute
{
    /// <summary>A number.</summary>
    public float Number { get; init; }

    /// <summary>A whole number.</summary>
    public long Integer { get; init; }

    /// <summary>A text.</summary>
    public string? Text { get; init; }

    /// <summary>A tensor.</summary>
    public OnnxTensor? Tensor { get; init; }

    /// <summary>The attribute of the function's call that it takes its value from; null for a value of its own.</summary>
    public string? Reference { get; init; }

    /// <summary>Several numbers.</summary>
    public float[] Numbers { get; init; } = [];

    /// <summary>Several whole numbers.</summary>
    public long[] Integers { get; init; } = [];
}

/// <summary>An input of a graph.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Shape">Its sizes, <see cref="Free"/> for those that the caller chooses.</param>
internal sealed record OnnxInput(string Name, long[] Shape)
{
    public const long Free = -1;
}
