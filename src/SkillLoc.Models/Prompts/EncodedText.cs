using System.Diagnostics.CodeAnalysis;

namespace SkillLoc.Models.Prompts;

/// <summary>An encoded row without padding.</summary>
/// <param name="Ids">Token ids <c>[length]</c>.</param>
/// <param name="TokenTypes">Segment ids <c>[length]</c>, or null if the model has none.</param>
/// <param name="Position">The scored position: that of the mask, 0 for heads on the first token, or the last position of a causal model's
/// text.</param>
[SuppressMessage("Performance", "CA1819:Properties should not return arrays", Justification = "Batches copy the ids in bulk.")]
public sealed record EncodedText(int[] Ids, int[]? TokenTypes, int Position);
