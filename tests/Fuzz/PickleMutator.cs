using System.Buffers.Binary;
using System.Text;

namespace SkillLoc.Fuzz;

/// <summary>Makes mutants of pickles: operations that are others, missing, there twice or in another order.</summary>
internal static class PickleMutator
{
    private static readonly byte[][] Operations =
    [
        .. new[]
        {
            "(",
            ".",
            "0",
            "1",
            "2",
            "N",
            "I1\n",
            "I01\n",
            "L5L\n",
            "F1.5\n",
            "K\u0001",
            "M\u0001\u0001",
            "J\u00ff\u00ff\u00ff\u00ff",
            "\u008a\u0001\u0080",
            "\u008b\u0001\0\0\0\u0001",
            "G?\u00f0\0\0\0\0\0\0",
            "S'a'\n",
            "T\u0001\0\0\0a",
            "U\u0001a",
            "Va\n",
            "X\u0001\0\0\0a",
            "\u008c\u0001a",
            "\u008d\u0001\0\0\0\0\0\0\0a",
            "B\u0001\0\0\0a",
            "C\u0001a",
            "]",
            "a",
            "e",
            "l",
            ")",
            "t",
            "\u0085",
            "\u0086",
            "\u0087",
            "}",
            "d",
            "s",
            "u",
            "\u008f",
            "\u0090",
            "\u0091",
            "q\0",
            "q\u0001",
            "r\u0001\0\0\0",
            "\u0094",
            "h\0",
            "h\u0001",
            "j\u0001\0\0\0",
            "g0\n",
            "p0\n",
            "cposix\nsystem\n",
            "ctorch._utils\n_rebuild_tensor_v2\n",
            "ccollections\nOrderedDict\n",
            "ctorch\nFloatStorage\n",
            "ctorch\nSize\n",
            "\u0093",
            "iposix\nsystem\n",
            "o",
            "\u0081",
            "\u0092",
            "R",
            "b",
            "Q",
            "P1\n",
            "\u0082\u0001",
            "\u0083\u0001\0",
            "\u0084\u0001\0\0\0",
            "\u0080\u0002",
            "\u0080\u0005",
            "\u0095\u0001\0\0\0\0\0\0\0",
            "\u0096\u0001\0\0\0\0\0\0\0a",
            "\u0097",
            "\u0098",
            "\u0088",
            "\u0089",
        }.Select(Encoding.Latin1.GetBytes),
    ];

    /// <summary>A mutant; null where the bytes have no operations.</summary>
    public static byte[]? Next(byte[] pickle, IReadOnlyList<byte[]> words, Dice dice)
    {
        List<int> starts = Starts(pickle);
        if (starts.Count < 2)
        {
            return null;
        }

        int one = dice.Next(starts.Count - 1),
            other = dice.Next(starts.Count - 1);
        int start = starts[one],
            end = starts[one + 1];
        switch (dice.Next(7))
        {
            case 0:
                return [.. pickle.AsSpan(0, start), .. pickle.AsSpan(end)];
            case 1:
                return [.. pickle.AsSpan(0, end), .. pickle.AsSpan(start)];
            case 2:
                return
                [
                    .. pickle.AsSpan(0, start),
                    .. pickle.AsSpan(starts[other], starts[other + 1] - starts[other]),
                    .. pickle.AsSpan(end),
                ];
            case 3:
                return [.. pickle.AsSpan(0, start), .. dice.Pick(Operations), .. pickle.AsSpan(end)];
            case 4 when end > start + 1:
                byte[] argument = Mutator.Bytes(pickle[(start + 1)..end], words, [pickle], dice);
                return [.. pickle.AsSpan(0, start + 1), .. argument, .. pickle.AsSpan(end)];
            default:
                return [.. pickle.AsSpan(0, start), .. dice.Pick(Operations), .. pickle.AsSpan(start)];
        }
    }

    /// <summary>Where operations begin, as far as the bytes have some, and where the last ends.</summary>
    private static List<int> Starts(byte[] pickle)
    {
        List<int> starts = [];
        for (int at = 0; at < pickle.Length; )
        {
            starts.Add(at);
            ReadOnlySpan<byte> rest = pickle.AsSpan(at + 1);
            long length = pickle[at] switch
            {
                0x80 or (byte)'K' or (byte)'q' or (byte)'h' or 0x82 => 1,
                (byte)'M' or 0x83 => 2,
                (byte)'J' or (byte)'r' or (byte)'j' or 0x84 => 4,
                (byte)'G' or 0x95 => 8,
                0x8a or 0x8c or (byte)'U' or (byte)'C' => rest.IsEmpty ? 0 : 1 + rest[0],
                (byte)'X' or (byte)'T' or (byte)'B' or 0x8b => rest.Length < 4 ? 0 : 4L + BinaryPrimitives.ReadUInt32LittleEndian(rest),
                0x8d or 0x8e or 0x96 => rest.Length < 8 ? 0 : 8 + (BinaryPrimitives.ReadInt64LittleEndian(rest) & 0xffffff),
                (byte)'S' or (byte)'V' or (byte)'I' or (byte)'L' or (byte)'F' or (byte)'g' or (byte)'p' or (byte)'P' => rest.IndexOf(
                    (byte)'\n'
                ) + 1,
                (byte)'c' or (byte)'i' => rest.IndexOf((byte)'\n') is >= 0 and var line
                    ? line + 1 + rest[(line + 1)..].IndexOf((byte)'\n') + 1
                    : 0,
                _ => 0,
            };
            at = (int)Math.Min(at + 1 + length, pickle.Length);
        }

        starts.Add(pickle.Length);
        return starts;
    }
}
