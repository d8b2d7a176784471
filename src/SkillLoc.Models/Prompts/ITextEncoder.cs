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
