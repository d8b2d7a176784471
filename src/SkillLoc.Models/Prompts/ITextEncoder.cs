namespace SkillLoc.Models.Prompts;

/// <summary>Turns a row's text into token ids. Implementations are thread-safe.</summary>
internal interface ITextEncoder
{
    /// <summary>The most tokens that a row becomes.</summary>
    int MaxLength { get; }

    /// <summary>Encodes a row.</summary>
    /// <param name="text">The first sentence.</param>
    /// <param name="textPair">The second sentence, or null.</param>
    /// <returns>At most <see cref="MaxLength"/> ids, without padding.</returns>
    EncodedText Encode(string text, string? textPair);
}
