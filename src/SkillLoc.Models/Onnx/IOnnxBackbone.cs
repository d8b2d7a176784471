using SkillLoc.Models.Classification;
using TorchSharp;

namespace SkillLoc.Models.Onnx;

/// <summary>A language model as a graph.</summary>
internal interface IOnnxBackbone
{
    /// <summary>The last layer's hidden states at the scored positions, <c>[batch, hidden]</c>.</summary>
    string HiddenAt(OnnxInputs inputs);

    /// <summary>Logits of words, <c>[..., words]</c>.</summary>
    /// <param name="hidden">Hidden states, <c>[..., hidden]</c>.</param>
    /// <param name="words">Int64 ids.</param>
    string WordScores(string hidden, torch.Tensor words);

    /// <summary>The same for words that are an input of the graph, Int64 <c>[words]</c>. Only after <see cref="HiddenAt"/>, whose word
    /// embeddings it shares.</summary>
    string WordScores(string hidden, string words);
}

/// <summary>The names of a graph's inputs.</summary>
/// <param name="Ids">Int64 <c>[batch, sequence]</c>, padded on the right.</param>
/// <param name="Mask">Int64 <c>[batch, sequence]</c>, 1 for tokens.</param>
/// <param name="Types">Int64 <c>[batch, sequence]</c>; null for none.</param>
/// <param name="Positions">The scored position of each row, Int64 <c>[batch]</c>.</param>
internal sealed record OnnxInputs(string Ids, string Mask, string? Types, string Positions)
{
    /// <summary>The free size of inputs and outputs that have a row for each text.</summary>
    public const string Batch = "batch";

    /// <summary>Adds token ids, mask and segments to the inputs of a graph; positions are left open.</summary>
    public static OnnxInputs Add(OnnxModelBuilder graph, bool hasTypes)
    {
        string[] names = hasTypes ? OnnxMetadata.Inputs : OnnxMetadata.Inputs[..2];
        foreach (string name in names)
        {
            graph.Input(name, OnnxType.Int64, Batch, "sequence");
        }

        return new(names[0], names[1], hasTypes ? names[2] : null, "");
    }
}
