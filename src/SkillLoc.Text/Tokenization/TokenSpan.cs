using System.Runtime.InteropServices;

namespace SkillLoc.Models.Tokenization;

/// <summary>The characters of a row's text that a token was made of.</summary>
/// <param name="Sentence">0 for the row's text, 1 for its second text.</param>
/// <param name="Start">The first character, counted in UTF-16 units from 0.</param>
/// <param name="Length">Number of characters; 0 for a token of white space alone, or of something that the tokenizer put in.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct TokenSpan(int Sentence, int Start, int Length)
{
    /// <summary>The spans of a text that was changed before it was encoded.</summary>
    /// <param name="spans">Places in the changed text.</param>
    /// <param name="sentence">Which text it is.</param>
    /// <param name="shift">How many characters the change put before the text.</param>
    /// <param name="length">The length of the unchanged text.</param>
    public static TokenSpan?[] Shifted(IEnumerable<Range> spans, int sentence, int shift, int length) =>
        [
            .. spans.Select(span =>
            {
                int start = Math.Clamp(span.Start.Value - shift, 0, length),
                    end = Math.Clamp(span.End.Value - shift, start, length);
                return (TokenSpan?)new TokenSpan(sentence, start, end - start);
            }),
        ];
}
