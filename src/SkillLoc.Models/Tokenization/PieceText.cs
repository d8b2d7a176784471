using System.Text;

namespace SkillLoc.Models.Tokenization;

/// <summary>Prepares text as SentencePiece does: characters are replaced by rule, spaces squeezed, and each written as U+2581.</summary>
internal sealed class PieceText(SentencePieceFile file, string source)
{
    /// <summary>What a space is in a piece.</summary>
    public const char Space = '\u2581';

    private readonly CharsMap? _rules = file.CharsMap.IsEmpty ? null : new CharsMap(file.CharsMap.Span, source);

    /// <summary>The text as pieces spell it; empty where nothing but spaces was.</summary>
    public string Prepare(string text)
    {
        ReadOnlySpan<byte> rest = Encoding.UTF8.GetBytes(text);
        var result = new StringBuilder(text.Length + 1);
        if (file.AddsDummyPrefix)
            result.Append(Space);
        var prefix = result.Length;
        var afterSpace = file.RemovesExtraSpaces;
        Span<char> own = stackalloc char[2];
        while (!rest.IsEmpty)
        {
            var (length, replacement) = _rules?.Match(rest, longest: true) ?? (0, "");
            scoped ReadOnlySpan<char> letters = replacement;
            if (length == 0)
            {
                Rune.DecodeFromUtf8(rest, out var letter, out length);
                letters = own[..letter.EncodeToUtf16(own)];
            }
            rest = rest[length..];
            if (afterSpace)
                letters = letters.TrimStart(' ');
            if (letters.IsEmpty)
                continue;
            foreach (var letter in letters)
                result.Append(letter == ' ' ? Space : letter);
            afterSpace = file.RemovesExtraSpaces && letters[^1] == ' ';
        }

        if (file.RemovesExtraSpaces)
        {
            while (result.Length > prefix && result[^1] == Space)
                result.Length--;
        }
        return result.Length == prefix ? "" : result.ToString();
    }
}
