using System.Diagnostics.CodeAnalysis;

namespace SkillLoc.Models.Prompts;

/// <summary>Encodes the text of a row as token ids. Implementations are thread-safe.</summary>
internal interface ITextEncoder
{
    /// <summary>The maximum length of a row in tokens.</summary>
    int MaxLength { get; }

    /// <summary>Encodes a row.</summary>
    /// <param name="text">The first sentence.</param>
    /// <param name="textPair">The second sentence, or null.</param>
    /// <returns>At most <see cref="MaxLength"/> ids, without padding.</returns>
    EncodedText Encode(string text, string? textPair);
}

/// <summary>An encoded row without padding.</summary>
/// <param name="Ids">Token ids <c>[length]</c>.</param>
/// <param name="TokenTypes">Segment ids <c>[length]</c>, or null if the model has none.</param>
/// <param name="Position">The scored position: that of the mask, 0 for heads on the first token, or the last position of a causal model's
/// text.</param>
[SuppressMessage("Performance", "CA1819:Properties should not return arrays", Justification = "Batches copy the ids in bulk.")]
public sealed record EncodedText(int[] Ids, int[]? TokenTypes, int Position);

/// <summary>How rows that exceed the length limit are truncated.</summary>
public enum Truncation
{
    /// <summary>Cuts the ends of the sentences, the longest first, and keeps the template with its mask and separators.</summary>
    Sentences,

    /// <summary>Cuts the end of the sequence, whatever the tokens are.</summary>
    Tail,

    /// <summary>Cuts the start of the sequence, whatever the tokens are.</summary>
    Head,
}
