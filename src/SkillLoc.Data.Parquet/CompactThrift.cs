namespace SkillLoc.Data.Parquet;

/// <summary>Looks whether bytes are one struct in Thrift's compact protocol. The library takes a list's length from the file as it is, and
/// reads on for hours behind the end.</summary>
internal ref struct CompactThrift
{
    private const int Deepest = 32;

    private ReadOnlySpan<byte> _rest;

    private CompactThrift(ReadOnlySpan<byte> bytes) => _rest = bytes;

    /// <summary>Whether the bytes are a whole struct and nothing else.</summary>
    public static bool IsStruct(ReadOnlySpan<byte> bytes, ParquetStructs fields)
    {
        var reader = new CompactThrift(bytes);
        return reader.SkipStruct(Deepest, fields) && reader._rest.IsEmpty;
    }

    /// <summary>The whole numbers of a struct that bytes begin with, and of the structs within it.</summary>
    /// <param name="bytes">The bytes.</param>
    /// <param name="fields">What its fields must be.</param>
    /// <param name="length">The struct's bytes.</param>
    /// <returns>The numbers by their fields; see <see cref="Within"/>. Null where it is incomplete, damaged, or has a field twice.</returns>
    public static Dictionary<int, long>? Numbers(ReadOnlySpan<byte> bytes, ParquetStructs fields, out int length)
    {
        var reader = new CompactThrift(bytes);
        bool isWhole = reader.SkipStruct(Deepest, fields);
        length = bytes.Length - reader._rest.Length;
        reader = new CompactThrift(bytes);
        var numbers = new Dictionary<int, long>();
        return isWhole && reader.ReadStruct(0, numbers) ? numbers : null;
    }

    /// <summary>The key of a field within a struct.</summary>
    public static int Within(int field, int inner) => (field << 16) | inner;

    private bool ReadStruct(int outer, Dictionary<int, long> numbers)
    {
        for (int field = 0; Take(1, out ReadOnlySpan<byte> head); )
        {
            if (head[0] == 0)
            {
                return true;
            }

            int type = head[0] & 0xF,
                distance = head[0] >> 4;
            ulong number = 0;
            if (distance == 0 && !Varint(out number))
            {
                return false;
            }

            field = distance == 0 ? (short)Signed(number) : field + distance;
            bool isRead = type switch
            {
                1 or 2 => true,
                4 or 5 or 6 => Varint(out number) && numbers.TryAdd(Within(outer, field), Signed(number)),
                12 when outer == 0 => ReadStruct(field, numbers),
                _ => Skip(type, Deepest),
            };
            if (field is <= 0 or > short.MaxValue || !isRead)
            {
                return false;
            }
        }

        return false;
    }

    private static long Signed(ulong zigzag) => (long)(zigzag >> 1) ^ -(long)(zigzag & 1);

    private bool SkipStruct(int depth, ParquetStructs? fields)
    {
        int number = 0;
        while (depth > 0 && Take(1, out ReadOnlySpan<byte> head))
        {
            if (head[0] == 0)
            {
                return true;
            }

            // A number of the field follows where it is not told by its distance; flags are in the type.
            int type = head[0] & 0xF,
                distance = head[0] >> 4;
            ulong named = 0;
            if (distance == 0 && !Varint(out named))
            {
                return false;
            }

            number = distance == 0 ? (short)Signed(named) : number + distance;
            ParquetStructs.Field? field = fields?.Find(number);
            if (field?.Is(type) == false || (type is not (1 or 2) && !Skip(type, depth, field)))
            {
                return false;
            }
        }

        return false;
    }

    private bool Skip(int type, int depth, ParquetStructs.Field? field = null) =>
        type switch
        {
            1 or 2 or 3 => Take(1, out _),
            4 or 5 or 6 => Varint(out ulong value) && (type == 6 || Signed(value) is >= int.MinValue and <= int.MaxValue),
            7 => Take(8, out _),
            8 => Varint(out ulong length) && Take(length, out _),
            9 or 10 => SkipList(depth, field),
            11 => SkipMap(depth),
            12 => SkipStruct(depth - 1, field?.Inner),
            13 => Take(16, out _),
            _ => false,
        };

    private bool SkipList(int depth, ParquetStructs.Field? field)
    {
        if (!Take(1, out ReadOnlySpan<byte> head))
        {
            return false;
        }

        ulong count = (ulong)(head[0] >> 4);
        ParquetStructs.Field? element = field is null ? null : field with { IsList = false };
        return (count < 15 || Varint(out count))
            && (count == 0 || element?.Is(head[0] & 0xF) != false)
            && SkipMany(count, head[0] & 0xF, null, depth, element);
    }

    private bool SkipMap(int depth) =>
        Varint(out ulong count)
        && (count == 0 || (Take(1, out ReadOnlySpan<byte> types) && SkipMany(count, types[0] >> 4, types[0] & 0xF, depth)));

    private bool SkipMany(ulong count, int type, int? second, int depth, ParquetStructs.Field? element = null)
    {
        // Each takes a byte at least.
        if (count > (ulong)_rest.Length)
        {
            return false;
        }

        for (ulong i = 0; i < count; i++)
        {
            if (!Skip(type, depth, element) || (second is { } other && !Skip(other, depth)))
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
