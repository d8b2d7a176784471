using System.Buffers.Binary;

namespace SkillLoc.Fuzz;

/// <summary>Makes mutants of Parquet files: numbers and lengths in what describes the columns and in the headers of pages, fields that are
/// missing or there twice, and bytes of pages.</summary>
internal static class ParquetMutator
{
    private static readonly ulong[] Edges =
    [
        0,
        1,
        2,
        3,
        4,
        7,
        8,
        127,
        128,
        255,
        256,
        65535,
        65536,
        int.MaxValue,
        uint.MaxValue,
        ulong.MaxValue,
    ];

    /// <summary>A mutant; null where the bytes are no Parquet file.</summary>
    public static byte[]? Next(byte[] file, Dice dice)
    {
        if (
            file.Length < 12
            || BinaryPrimitives.ReadInt32LittleEndian(file.AsSpan(file.Length - 8)) is not (> 0 and var length)
            || length > file.Length - 12
        )
        {
            return null;
        }

        int footer = file.Length - 8 - length;
        if (dice.OneIn(3))
        {
            byte[]? described = Changed(file, footer, footer + length, dice);
            if (described is not null)
            {
                BinaryPrimitives.WriteInt32LittleEndian(described.AsSpan(described.Length - 8), length + described.Length - file.Length);
            }

            return described;
        }

        // A header in the place of another of the same length leaves what describes it right.
        List<(int Start, int End)> headers = Headers(file, footer);
        if (headers.Count == 0)
        {
            return null;
        }

        (int start, int end) = dice.Pick(headers);
        byte[]? changed = Changed(file, start, end, dice);
        if (changed is null || changed.Length == file.Length || dice.OneIn(4))
        {
            return changed;
        }

        // What follows stays in its place, at the cost of the page's last bytes or with zeros.
        int grown = changed.Length - file.Length,
            next = headers.Where(other => other.Start >= end).Select(other => other.Start).FirstOrDefault(footer);
        if (grown < 0)
        {
            return [.. changed.AsSpan(0, next + grown), .. new byte[-grown], .. changed.AsSpan(next + grown)];
        }

        return next - grown < end ? changed : [.. changed.AsSpan(0, next), .. changed.AsSpan(next + grown)];
    }

    private static List<(int Start, int End)> Headers(byte[] file, int footer)
    {
        var headers = new List<(int Start, int End)>();
        for (int at = 4; at < footer; )
        {
            var walk = new Walk(file, footer);
            int end = walk.Struct(at, 0);
            if (end < 0 || walk.Third is not (>= 0 and var size))
            {
                break;
            }

            headers.Add((at, end));
            at = (int)Math.Min(end + size, footer);
        }

        return headers;
    }

    private static byte[]? Changed(byte[] file, int start, int end, Dice dice)
    {
        var walk = new Walk(file, end);
        if (walk.Struct(start, 0) < 0 || walk.Numbers.Count == 0)
        {
            return null;
        }

        if (dice.OneIn(5))
        {
            (int from, int to) = dice.Pick(walk.Fields);
            return dice.OneIn(2) ? [.. file.AsSpan(0, from), .. file.AsSpan(to)] : [.. file.AsSpan(0, to), .. file.AsSpan(from)];
        }

        (int first, int last) = dice.Pick(walk.Numbers);
        ulong value = dice.OneIn(3) ? dice.Next() >> dice.Next(64) : dice.Pick(Edges) + (ulong)dice.Next(3);
        return [.. file.AsSpan(0, first), .. Varint(value), .. file.AsSpan(last)];
    }

    private static byte[] Varint(ulong value)
    {
        var bytes = new List<byte>();
        for (; value >= 0x80; value >>= 7)
        {
            bytes.Add((byte)(value | 0x80));
        }

        bytes.Add((byte)value);
        return [.. bytes];
    }

    /// <summary>Where the numbers and fields of a struct in Thrift's compact protocol are.</summary>
    private sealed class Walk(byte[] file, int stop)
    {
        private const int Deepest = 16;

        public List<(int Start, int End)> Numbers { get; } = [];

        public List<(int Start, int End)> Fields { get; } = [];

        /// <summary>The outermost struct's field 3, of pages their length.</summary>
        public long? Third { get; private set; }

        /// <summary>Walks through a struct.</summary>
        /// <returns>Where it ends; -1 where it is damaged.</returns>
        public int Struct(int at, int depth)
        {
            for (int field = 0; depth < Deepest && at >= 0 && at < stop; )
            {
                int start = at,
                    head = file[at++];
                if (head == 0)
                {
                    return at;
                }

                field += head >> 4;
                at = head >> 4 == 0 ? Number(at, out _) : at;
                long value = 0;
                at = (head & 0xF) is 4 or 5 or 6 ? Number(at, out value) : Value(at, head & 0xF, depth);
                Third = depth == 0 && field == 3 ? value >> 1 : Third;
                Fields.Add((start, Math.Max(at, start)));
            }

            return -1;
        }

        private int Value(int at, int type, int depth) =>
            at < 0
                ? -1
                : type switch
                {
                    1 or 2 => at,
                    3 => at + 1,
                    4 or 5 or 6 => Number(at, out _),
                    7 => at + 8,
                    8 => Number(at, out long length) is >= 0 and var text && length >= 0 && length <= stop - text ? text + (int)length : -1,
                    9 or 10 => List(at, depth),
                    12 => Struct(at, depth + 1),
                    _ => -1,
                };

        private int List(int at, int depth)
        {
            if (at >= stop)
            {
                return -1;
            }

            int head = file[at++];
            long count = head >> 4;
            at = count == 15 ? Number(at, out count) : at;
            for (long i = 0; i < count && at >= 0; i++)
            {
                // Flags in lists have a byte.
                at = (head & 0xF) is 1 or 2 ? at + 1 : Value(at, head & 0xF, depth);
            }

            return at;
        }

        private int Number(int at, out long value)
        {
            value = 0;
            int start = at;
            for (int shift = 0; at >= 0 && at < stop && shift < 64; shift += 7)
            {
                value |= (long)(file[at] & 0x7F) << shift;
                if (file[at++] < 0x80)
                {
                    Numbers.Add((start, at));
                    return at;
                }
            }

            return -1;
        }
    }
}
