using System.Buffers.Binary;
using System.Text;

namespace SkillLoc.Models.Tokenization;

/// <summary>
/// SentencePiece's compiled normalization rules (<c>precompiled_charsmap</c>): a double-array trie over UTF-8 from replaced texts to the
/// offsets of their replacements.
/// </summary>
internal sealed class CharsMap
{
    private readonly uint[] _trie;
    private readonly byte[] _replacements;

    /// <summary>Parses a map: the size of the trie in bytes, the trie, and zero-terminated replacements.</summary>
    /// <exception cref="InvalidDataException">The map is incomplete.</exception>
    public CharsMap(ReadOnlySpan<byte> blob, string source)
    {
        var size = blob.Length < 4 ? 0 : BinaryPrimitives.ReadUInt32LittleEndian(blob);
        if (size == 0 || size % 4 != 0 || size > blob.Length - 4)
            throw new InvalidDataException($"{source}: its normalization rules (precompiled_charsmap) are not complete.");
        _trie = new uint[size / 4];
        for (var i = 0; i < _trie.Length; i++)
            _trie[i] = BinaryPrimitives.ReadUInt32LittleEndian(blob[(4 + (4 * i))..]);
        _replacements = blob[(4 + (int)size)..].ToArray();
    }

    /// <summary>Finds the shortest rule for the beginning of a text.</summary>
    /// <param name="text">UTF-8.</param>
    /// <returns>The number of replaced bytes, 0 without a rule, and the replacement.</returns>
    public (int Length, string Replacement) Match(ReadOnlySpan<byte> text)
    {
        var node = Offset(_trie[0]);
        for (var i = 0; i < text.Length; i++)
        {
            node ^= text[i];
            if (node >= _trie.Length || (_trie[node] & 0x8000_00FF) != text[i])
                break;
            var unit = _trie[node];
            node ^= Offset(unit);
            if ((unit >> 8 & 1) != 0 && node < _trie.Length)
                return (i + 1, ReplacementAt((int)(_trie[node] & 0x7FFF_FFFF)));
        }
        return (0, "");
    }

    private string ReplacementAt(int place)
    {
        var rest = _replacements.AsSpan(Math.Min(place, _replacements.Length));
        var end = rest.IndexOf((byte)0);
        return Encoding.UTF8.GetString(end < 0 ? rest : rest[..end]);
    }

    private static uint Offset(uint unit) => unit >> 10 << (int)((unit & 0x200) >> 6);
}
