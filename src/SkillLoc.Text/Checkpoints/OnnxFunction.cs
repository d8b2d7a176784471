namespace SkillLoc.Models.Checkpoints;

/// <summary>A function that a file defines (<c>FunctionProto</c>): PyTorch's newer exporter writes such for parts of a model.</summary>
/// <param name="Key">What calls it: domain, name and overload.</param>
/// <param name="Inputs">What its inputs are called inside.</param>
/// <param name="Outputs">What its outputs are called inside.</param>
/// <param name="Attributes">The attributes that have a default.</param>
/// <param name="Nodes">Its nodes, in the order of computation.</param>
internal sealed record OnnxFunction(
    string Key,
    IReadOnlyList<string> Inputs,
    IReadOnlyList<string> Outputs,
    IReadOnlyDictionary<string, OnnxAttribute> Attributes,
    IReadOnlyList<OnnxNode> Nodes
)
{
    /// <summary>What a node calls.</summary>
    public static string KeyOf(string domain, string name, string overload) => $"{domain}\n{name}\n{overload}";

    /// <summary>The nodes that a call stands for, whose values are named after the call's first output.</summary>
    public IEnumerable<OnnxNode> Called(OnnxNode call)
    {
        var names = new Dictionary<string, string>(StringComparer.Ordinal) { [""] = "" };
        for (int i = 0; i < Inputs.Count; i++)
        {
            names[Inputs[i]] = i < call.Inputs.Count ? call.Inputs[i] : "";
        }

        for (int i = 0; i < Math.Min(Outputs.Count, call.Outputs.Count); i++)
        {
            if (call.Outputs[i].Length > 0)
            {
                names[Outputs[i]] = call.Outputs[i];
            }
        }

        string prefix = $"{call.Outputs[0]}/";
        return Nodes.Select(node =>
            node with
            {
                Name = prefix + node.Name,
                Inputs = [.. node.Inputs.Select(Named)],
                Outputs = [.. node.Outputs.Select(Named)],
                Attributes = Settled(node, call),
            }
        );

        string Named(string name) => names.TryGetValue(name, out string? known) ? known : prefix + name;
    }

    /// <summary>A node's attributes with those of the call that it refers to; what has no value is left out.</summary>
    private Dictionary<string, OnnxAttribute> Settled(OnnxNode node, OnnxNode call)
    {
        var settled = new Dictionary<string, OnnxAttribute>(StringComparer.Ordinal);
        foreach ((string name, OnnxAttribute attribute) in node.Attributes)
        {
            OnnxAttribute? value = attribute.Reference is not { } reference
                ? attribute
                : call.Attributes.GetValueOrDefault(reference) ?? Attributes.GetValueOrDefault(reference);
            if (value is not null)
            {
                settled.Add(name, value);
            }
        }

        return settled;
    }
}
