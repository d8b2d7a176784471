using System.Diagnostics.CodeAnalysis;

namespace SkillLoc.Models.Prompts;

/// <summary>A row as a model takes it, without padding.</summary>
/// <param name="Ids">Token ids <c>[length]</c>.</param>
/// <param name="TokenTypes">Segment ids <c>[length]</c>, or null where the model has none.</param>
/// <param name="Position">The position that is scored: the mask's, 0 where a head reads the first token, or the last of a text that a causal model continues.</param>
[SuppressMessage("Performance", "CA1819:Properties should not return arrays", Justification = "Batches copy the ids in bulk.")]
public sealed record EncodedText(int[] Ids, int[]? TokenTypes, int Position);
