namespace SkillLoc.Data.Parquet;

/// <summary>Looks whether bytes are one struct in Thrift's compact protocol that the library reads as it is. The library takes lengths from
/// the file as they are, reads on for hours behind the end, and passes over unknown fields of some types only.</summary>
internal ref struct CompactThrift
{
    // Fields of Parquet's structs have smaller numbers.
    private const int BitsOfField = 6;

    private readonly Dictionary<int, long>? _numbers;
    private ReadOnlySpan<byte> _rest;

    private CompactThrift(ReadOnlySpan<byte> bytes, Dictionary<int, long>? numbers)
    {
        _rest = bytes;
        _numbers = numbers;
    }

    /// <summary>Whether the bytes are a whole struct and nothing else.</summary>
    public static bool IsStruct(ReadOnlySpan<byte> bytes, ParquetStructs fields)
    {
        var reader = new CompactThrift(bytes, null);
        return reader.Struct(fields, 0) && reader._rest.IsEmpty;
    }

    /// <summary>The whole numbers and flags (1 and 0) of a struct that bytes begin with, and of the structs within it.</summary>
    /// <param name="bytes">The bytes.</param>
    /// <param name="fields">What its fields must be.</param>
    /// <param name="length">The struct's bytes.</param>
    /// <returns>The numbers by their fields; see <see cref="Within"/>. Null where it is incomplete or damaged.</returns>
    public static Dictionary<int, long>? Numbers(ReadOnlySpan<byte> bytes, ParquetStructs fields, out int length)
    {
        var numbers = new Dictionary<int, long>();
        var reader = new CompactThrift(bytes, numbers);
        bool isWhole = reader.Struct(fields, 0);
        length = bytes.Length - reader._rest.Length;
        return isWhole ? numbers : null;
    }

    /// <summary>The key of a field within a struct.</summary>
    public static int Within(int field, int inner) => (field << BitsOfField) | inner;

    /// <summary>The number that an unsigned one stands for, whose last bit is the sign.</summary>
    public static long Signed(ulong zigzag) => (long)(zigzag >> 1) ^ -(long)(zigzag & 1);

    private bool Struct(ParquetStructs fields, int outer)
    {
        ulong seen = 0;
        long number = 0;
        while (Next(out byte head))
        {
            if (head == 0)
            {
                return true;
            }

            // A number of the field follows where it is not told by its distance.
            ulong named = 0;
            int distance = head >> 4,
                type = head & 0xF;
            if (distance == 0 && !Varint(out named))
            {
                return false;
            }

            number = distance == 0 ? Signed(named) : number + distance;
            if (number is < 1 or > short.MaxValue)
            {
                return false;
            }

            if (fields.Find((int)number) is not { } field)
            {
                if (!Unknown(type))
                {
                    return false;
                }

                continue;
            }

            ulong bit = 1UL << (int)number;
            if ((seen & bit) != 0 || !field.Is(type) || !Known(type, field, Within(outer, (int)number)))
            {
                return false;
            }

            seen |= bit;
        }

        return false;
    }

    /// <summary>A value that is what it should be.</summary>
    private bool Known(int type, ParquetStructs.Field field, int key) =>
        type switch
        {
            1 or 2 => Note(key, 2 - type),
            4 or 5 or 6 => Varint(out ulong value)
                && (type == 6 || Signed(value) is >= int.MinValue and <= int.MaxValue)
                && Note(key, Signed(value)),
            9 => List(field with { IsList = false }, key),
            12 => Struct(field.Inner!, key),
            _ => Plain(type),
        };

    private bool Note(int key, long number)
    {
        if (_numbers is not null)
        {
            _numbers[key] = number;
        }

        return true;
    }

    /// <summary>A value of a newer format, which the library passes over. It can do so with an empty struct, and with lists of what has no
    /// parts and is no flag.</summary>
    private bool Unknown(int type) =>
        type switch
        {
            1 or 2 => true,
            9 => List(null, 0),
            12 => Next(out byte end) && end == 0,
            _ => Plain(type),
        };

    private bool Plain(int type) =>
        type switch
        {
            3 => Pass(1),
            4 or 5 or 6 => Varint(out _),
            7 => Pass(8),
            8 => Varint(out ulong length) && Pass(length),
            _ => false,
        };

    private bool List(ParquetStructs.Field? element, int key)
    {
        if (!Next(out byte head))
        {
            return false;
        }

        int type = head & 0xF;
        ulong count = (ulong)(head >> 4);
        // Each takes a byte at least.
        if ((count == 15 && !Varint(out count)) || count > (ulong)_rest.Length || (count > 0 && element?.Is(type) == false))
        {
            return false;
        }

        for (ulong i = 0; i < count; i++)
        {
            if (!(element is null ? Plain(type) : Known(type, element, key)))
            {
                return false;
            }
        }

        return true;
    }

    private bool Varint(out ulong value)
    {
        value = 0;
        for (int shift = 0; shift < 64 && Next(out byte next); shift += 7)
        {
            value |= (ulong)(next & 0x7F) << shift;
            if (next < 0x80)
            {
                return true;
            }
        }

        return false;
    }

    private bool Next(out byte next)
    {
        bool isThere = !_rest.IsEmpty;
        next = isThere ? _rest[0] : (byte)0;
        return isThere && Pass(1);
    }

    private bool Pass(ulong count)
    {
        bool isThere = count <= (ulong)_rest.Length;
        if (isThere)
        {
            _rest = _rest[(int)count..];
        }

        return isThere;
    }
}
