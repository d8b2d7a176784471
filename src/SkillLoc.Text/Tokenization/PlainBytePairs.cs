namespace SkillLoc.Models.Tokenization;

/// <summary>A byte-level BPE that does nothing but GPT-2's steps.</summary>
/// <param name="Vocabulary">The content of <c>vocab.json</c>.</param>
/// <param name="Merges">The content of <c>merges.txt</c>.</param>
internal sealed record PlainBytePairs(string Vocabulary, string Merges);
