using System.Text;

namespace SkillLoc.Models.Prompts;

/// <summary>One piece of a <see cref="PromptTemplate"/>.</summary>
internal abstract record TemplatePiece
{
    private TemplatePiece()
    {
    }

    /// <summary>A special token.</summary>
    /// <param name="Token">The token.</param>
    public sealed record Special(SpecialPiece Token) : TemplatePiece;

    /// <summary>The word of a label.</summary>
    /// <param name="Index">The label's index in the verbalizer.</param>
    public sealed record Label(int Index) : TemplatePiece;

    /// <summary>Literal text, with its spaces.</summary>
    /// <param name="Text">The text.</param>
    public sealed record Literal(string Text) : TemplatePiece;

    /// <summary>A sentence of the row.</summary>
    /// <param name="Index">0 for the text, 1 for the text pair.</param>
    /// <param name="LeadingSpace">Whether a space precedes it.</param>
    /// <param name="FirstLetter">How its first letter is changed.</param>
    /// <param name="DropsLastCharacter">Whether its last character, usually a full stop, is dropped.</param>
    public sealed record Sentence(int Index, bool LeadingSpace, FirstLetter FirstLetter, bool DropsLastCharacter) : TemplatePiece
    {
        /// <summary>Applies the changes to a sentence.</summary>
        /// <param name="text">The row's sentence.</param>
        /// <returns>The text to encode.</returns>
        public string Apply(string text)
        {
            ArgumentNullException.ThrowIfNull(text);
            if (DropsLastCharacter && text.Length > 0)
            {
                Rune.DecodeLastFromUtf16(text, out _, out var length);
                text = text[..^length];
            }
            if (FirstLetter != FirstLetter.AsIs && text.Length > 0 && Rune.DecodeFromUtf16(text, out var first, out var firstLength) == System.Buffers.OperationStatus.Done)
            {
                var letter = FirstLetter == FirstLetter.Lower ? Rune.ToLowerInvariant(first) : Rune.ToUpperInvariant(first);
                text = string.Concat(letter.ToString(), text.AsSpan(firstLength));
            }
            return LeadingSpace ? " " + text : text;
        }
    }
}

/// <summary>How a template changes the first letter of a sentence.</summary>
public enum FirstLetter
{
    /// <summary><c>sent_i</c>: unchanged.</summary>
    AsIs,

    /// <summary><c>sentl_i</c>: lower case.</summary>
    Lower,

    /// <summary><c>sentu_i</c>: upper case.</summary>
    Upper,
}

/// <summary>A special token that a template inserts.</summary>
public enum SpecialPiece
{
    /// <summary><c>cls</c>: the token that starts a sequence.</summary>
    Cls,

    /// <summary><c>mask</c>: the token whose prediction is the label.</summary>
    Mask,

    /// <summary><c>sep</c>: the separator.</summary>
    Sep,

    /// <summary><c>sep+</c>: the separator, after which the next segment (token type) begins.</summary>
    SepAndNextSegment,
}
