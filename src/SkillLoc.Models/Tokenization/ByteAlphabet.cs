using System.Collections.Frozen;
using System.Text;

namespace SkillLoc.Models.Tokenization;

/// <summary>
/// The alphabet of byte-level BPE vocabularies (GPT-2, RoBERTa): each byte is a printable character, itself if it is printable Latin-1,
/// else one from U+0100 on; a space is <c>Ġ</c>.
/// </summary>
internal static class ByteAlphabet
{
    private static readonly char[] Chars = MakeChars();

    private static readonly FrozenDictionary<char, byte> Bytes =
        Enumerable.Range(0, 256).ToFrozenDictionary(b => Chars[b], b => (byte)b);

    /// <summary>Returns the character of a byte.</summary>
    public static char CharOf(byte value) => Chars[value];

    /// <summary>Returns the UTF-8 bytes of a text in this alphabet.</summary>
    public static string Spell(string text) => string.Concat(Encoding.UTF8.GetBytes(text).Select(CharOf));

    /// <summary>Returns the text of a sequence of tokens. Characters outside the alphabet are kept.</summary>
    public static string Read(IEnumerable<string> tokens)
    {
        var bytes = new List<byte>();
        foreach (var token in tokens)
            foreach (var rune in token.EnumerateRunes())
                if (rune.IsBmp && Bytes.TryGetValue((char)rune.Value, out var value))
                    bytes.Add(value);
                else
                    bytes.AddRange(Encoding.UTF8.GetBytes(rune.ToString()));
        return Encoding.UTF8.GetString([.. bytes]);
    }

    private static char[] MakeChars()
    {
        var chars = new char[256];
        var next = '\u0100';
        for (var b = 0; b < 256; b++)
            chars[b] = b is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or >= 0xAE ? (char)b : next++;
        return chars;
    }
}
