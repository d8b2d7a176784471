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
}

/// <summary>The names of a graph's inputs.</summary>
/// <param name="Ids">Int64 <c>[batch, sequence]</c>, padded on the right.</param>
/// <param name="Mask">Int64 <c>[batch, sequence]</c>, 1 for tokens.</param>
/// <param name="Types">Int64 <c>[batch, sequence]</c>; null for none.</param>
/// <param name="Positions">The scored position of each row, Int64 <c>[batch]</c>.</param>
internal sealed record OnnxInputs(string Ids, string Mask, string? Types, string Positions);
