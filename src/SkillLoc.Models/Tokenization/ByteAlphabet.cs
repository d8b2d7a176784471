using System.Collections.Frozen;
using System.Text;

namespace SkillLoc.Models.Tokenization;

/// <summary>
/// The alphabet of byte-level BPE vocabularies (GPT-2, RoBERTa): every byte is written as one printable character,
/// itself where it is printable Latin-1, else one from U+0100 on; a space becomes <c>Ġ</c>.
/// </summary>
internal static class ByteAlphabet
{
    private static readonly char[] Chars = MakeChars();

    private static readonly FrozenDictionary<char, byte> Bytes =
        Enumerable.Range(0, 256).ToFrozenDictionary(b => Chars[b], b => (byte)b);

    /// <summary>The character that stands for a byte.</summary>
    public static char CharOf(byte value) => Chars[value];

    /// <summary>The spelling of a text's UTF-8 bytes in this alphabet.</summary>
    public static string Spell(string text) => string.Concat(Encoding.UTF8.GetBytes(text).Select(CharOf));

    /// <summary>The text that a sequence of tokens spells. Characters outside the alphabet stand for themselves.</summary>
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
