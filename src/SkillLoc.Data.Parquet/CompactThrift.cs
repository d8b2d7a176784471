namespace SkillLoc.Data.Parquet;

/// <summary>Looks whether bytes are one struct in Thrift's compact protocol. The library takes a list's length from the file as it is, and
/// reads on for hours behind the end.</summary>
internal ref struct CompactThrift
{
    private const int Deepest = 32;

    private ReadOnlySpan<byte> _rest;

    private CompactThrift(ReadOnlySpan<byte> bytes) => _rest = bytes;

    /// <summary>Whether the bytes are a whole struct and nothing else.</summary>
    public static bool IsStruct(ReadOnlySpan<byte> bytes)
    {
        var reader = new CompactThrift(bytes);
        return reader.SkipStruct(Deepest) && reader._rest.IsEmpty;
    }

    private bool SkipStruct(int depth)
    {
        while (depth > 0 && Take(1, out ReadOnlySpan<byte> head))
        {
            if (head[0] == 0)
            {
                return true;
            }

            // A number of the field follows where it is not told by its distance; flags are in the type.
            int type = head[0] & 0xF;
            if ((head[0] >> 4 == 0 && !Varint(out _)) || (type is not (1 or 2) && !Skip(type, depth)))
            {
                return false;
            }
        }

        return false;
    }

    private bool Skip(int type, int depth) =>
        type switch
        {
            1 or 2 or 3 => Take(1, out _),
            4 or 5 or 6 => Varint(out _),
            7 => Take(8, out _),
            8 => Varint(out ulong length) && Take(length, out _),
            9 or 10 => SkipList(depth),
            11 => SkipMap(depth),
            12 => SkipStruct(depth - 1),
            13 => Take(16, out _),
            _ => false,
        };

    private bool SkipList(int depth)
    {
        if (!Take(1, out ReadOnlySpan<byte> head))
        {
            return false;
        }

        ulong count = (ulong)(head[0] >> 4);
        return (count < 15 || Varint(out count)) && SkipMany(count, head[0] & 0xF, null, depth);
    }

    private bool SkipMap(int depth) =>
        Varint(out ulong count)
        && (count == 0 || (Take(1, out ReadOnlySpan<byte> types) && SkipMany(count, types[0] >> 4, types[0] & 0xF, depth)));

    private bool SkipMany(ulong count, int type, int? second, int depth)
    {
        // Each takes a byte at least.
        if (count > (ulong)_rest.Length)
        {
            return false;
        }

        for (ulong i = 0; i < count; i++)
        {
            if (!Skip(type, depth) || (second is { } other && !Skip(other, depth)))
            {
                return false;
            }
        }

        return true;
    }

    private bool Varint(out ulong value)
    {
        value = 0;
        for (int shift = 0; shift < 64 && Take(1, out ReadOnlySpan<byte> next); shift += 7)
        {
            value |= (ulong)(next[0] & 0x7F) << shift;
            if (next[0] < 0x80)
            {
                return true;
            }
        }

        return false;
    }

    private bool Take(ulong count, out ReadOnlySpan<byte> taken)
    {
        bool isThere = count <= (ulong)_rest.Length;
        taken = isThere ? _rest[..(int)count] : default;
        _rest = isThere ? _rest[(int)count..] : default;
        return isThere;
    }
}
