using System.Buffers.Binary;
using System.Text;

namespace SkillLoc.Models.Tests.Datasets;

/// <summary>Parts of Parquet files, byte by byte: structs in Thrift's compact protocol, numbers as differences, pages and whole files.</summary>
internal static class ParquetBytes
{
    /// <summary>A struct that is the value of a field.</summary>
    public sealed record Struct(byte[] Bytes);

    /// <summary>A struct of fields in ascending order: flags, whole numbers of 32 (<c>int</c>) and 64 bits (<c>long</c>), texts, bytes, structs
    /// and lists of them.</summary>
    public static Struct Of(params (int Number, object Value)[] fields)
    {
        using var bytes = new MemoryStream();
        int before = 0;
        foreach ((int number, object value) in fields)
        {
            int type = value is bool flag ? (flag ? 1 : 2) : TypeOf(value);
            bytes.WriteByte((byte)(((number - before) << 4) | type));
            before = number;
            Write(bytes, value);
        }

        bytes.WriteByte(0);
        return new(bytes.ToArray());
    }

    /// <summary>A page's header: its type, its bytes decompressed and not, and the header of its kind with its field's number.</summary>
    public static byte[] Header(int type, int uncompressed, int compressed, int field, Struct inner) =>
        Of((1, type), (2, uncompressed), (3, compressed), (field, inner)).Bytes;

    /// <summary>A page of values in the first format.</summary>
    public static byte[] Page(int values, int encoding, byte[] content, int? uncompressed = null) =>
        [.. Header(0, uncompressed ?? content.Length, content.Length, 5, Of((1, values), (2, encoding), (3, 3), (4, 3))), .. content];

    /// <summary>A page of values in the second format.</summary>
    public static byte[] PageV2(int values, int nulls, int encoding, byte[] levels, byte[] content, int uncompressed, bool isCompressed) =>
        [
            .. Header(
                3,
                levels.Length + uncompressed,
                levels.Length + content.Length,
                8,
                Of((1, values), (2, nulls), (3, values), (4, encoding), (5, levels.Length), (6, 0), (7, isCompressed))
            ),
            .. levels,
            .. content,
        ];

    /// <summary>A page of the entries that values refer to.</summary>
    public static byte[] Dictionary(int entries, byte[] content, int? uncompressed = null) =>
        [.. Header(2, uncompressed ?? content.Length, content.Length, 7, Of((1, entries), (2, 0))), .. content];

    /// <summary>Texts as their lengths and bytes.</summary>
    public static byte[] Plain(params string[] texts) =>
        [.. texts.SelectMany(text => (byte[])[.. Number(Encoding.UTF8.GetByteCount(text)), .. Encoding.UTF8.GetBytes(text)])];

    /// <summary>Numbers in the encoding DELTA_BINARY_PACKED, in blocks of 128 in 4 parts, each part of the width that is given.</summary>
    public static byte[] Deltas(int width, params int[] numbers)
    {
        List<byte> bytes = [.. Varint(128), 4, .. Varint((ulong)numbers.Length), .. Varint(ZigZag(numbers.FirstOrDefault()))];
        for (int block = 1; block < numbers.Length; block += 128)
        {
            int[] differences =
            [
                .. Enumerable.Range(block, Math.Min(128, numbers.Length - block)).Select(i => numbers[i] - numbers[i - 1]),
            ];
            int least = differences.Min();
            bytes.AddRange([.. Varint(ZigZag(least)), (byte)width, (byte)width, (byte)width, (byte)width]);
            for (int part = 0; part < differences.Length; part += 32)
            {
                byte[] packed = new byte[width * 4];
                for (int i = part; i < Math.Min(part + 32, differences.Length); i++)
                {
                    for (int bit = 0; bit < width; bit++)
                    {
                        int place = ((i - part) * width) + bit;
                        packed[place / 8] |= (byte)((((differences[i] - least) >> bit) & 1) << (place % 8));
                    }
                }

                bytes.AddRange(packed);
            }
        }

        return [.. bytes];
    }

    /// <summary>Texts in the encoding DELTA_BYTE_ARRAY.</summary>
    public static byte[] DeltaTexts(params string[] texts)
    {
        int[] common =
        [
            .. texts.Select((text, i) => i == 0 ? 0 : text.Zip(texts[i - 1]).TakeWhile(pair => pair.First == pair.Second).Count()),
        ];
        string[] rests = [.. texts.Select((text, i) => text[common[i]..])];
        return
        [
            .. Deltas(20, common),
            .. Deltas(20, [.. rests.Select(rest => rest.Length)]),
            .. Encoding.ASCII.GetBytes(string.Concat(rests)),
        ];
    }

    /// <summary>A file of columns of one group, not compressed unless the columns say so.</summary>
    public static byte[] Whole(int rows, params Column[] columns)
    {
        List<byte> bytes = [.. "PAR1"u8];
        List<object> schema = [Of((4, "schema"), (5, columns.Length))],
            chunks = [];
        foreach (Column column in columns)
        {
            int at = bytes.Count,
                values = at + (column.Dictionary?.Length ?? 0);
            bytes.AddRange([.. column.Dictionary ?? [], .. column.Pages]);
            schema.Add(
                Of(
                    (1, column.Type),
                    (
                        3,
                        column.IsRepeated ? 2
                        : column.MayBeNull ? 1
                        : 0
                    ),
                    (4, column.Name)
                )
            );
            (int, object)[] place =
            [
                (1, column.Type),
                (2, (object[])[0]),
                (3, (object[])[column.Name]),
                (4, column.Codec),
                (5, (long)rows),
                (6, (long)(bytes.Count - at)),
                (7, (long)(bytes.Count - at)),
                (9, (long)values),
            ];
            chunks.Add(Of((2, (long)at), (3, Of(column.Dictionary is null ? place : [.. place, (11, (long)at)]))));
        }

        byte[] footer = Of(
            (1, 1),
            (2, schema.ToArray()),
            (3, (long)rows),
            (4, (object[])[Of((1, chunks.ToArray()), (2, (long)bytes.Count), (3, (long)rows))])
        ).Bytes;
        return [.. bytes, .. footer, .. Number(footer.Length), .. "PAR1"u8];
    }

    /// <summary>A column: its physical type (1 for 32 bits, 2 for 64, 6 for texts), and its pages.</summary>
    public sealed record Column(string Name, int Type, byte[] Pages)
    {
        public int Codec { get; init; }

        public bool MayBeNull { get; init; }

        public bool IsRepeated { get; init; }

        public byte[]? Dictionary { get; init; }
    }

    private static int TypeOf(object value) =>
        value switch
        {
            int => 5,
            long => 6,
            string or byte[] => 8,
            object[] => 9,
            Struct => 12,
            _ => throw new ArgumentException($"{value.GetType()} is no type of a field."),
        };

    private static void Write(MemoryStream bytes, object value)
    {
        switch (value)
        {
            case int number:
                bytes.Write(Varint(ZigZag(number)));
                break;
            case long number:
                bytes.Write(Varint(ZigZag(number)));
                break;
            case string text:
                Write(bytes, Encoding.UTF8.GetBytes(text));
                break;
            case byte[] content:
                bytes.Write([.. Varint((ulong)content.Length), .. content]);
                break;
            case object[] list:
                bytes.WriteByte((byte)((Math.Min(list.Length, 15) << 4) | TypeOf(list[0])));
                bytes.Write(list.Length < 15 ? [] : Varint((ulong)list.Length));
                Array.ForEach(list, element => Write(bytes, element));
                break;
            case Struct inner:
                bytes.Write(inner.Bytes);
                break;
            default:
                break;
        }
    }

    private static ulong ZigZag(long number) => (ulong)((number << 1) ^ (number >> 63));

    private static byte[] Varint(ulong number)
    {
        List<byte> bytes = [];
        for (; number >= 0x80; number >>= 7)
        {
            bytes.Add((byte)(number | 0x80));
        }

        return [.. bytes, (byte)number];
    }

    private static byte[] Number(int number)
    {
        byte[] bytes = new byte[sizeof(int)];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, number);
        return bytes;
    }
}
