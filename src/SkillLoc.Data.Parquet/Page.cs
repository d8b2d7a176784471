using System.Buffers.Binary;
using System.IO.Compression;
using K4os.Compression.LZ4;
using Parquet.Meta;
using Snappier;
using ZstdSharp;

namespace SkillLoc.Data.Parquet;

/// <summary>A page of a column, and what its bytes become where its header does not say it: the library takes sizes from the compressed
/// bytes, makes room for as many differences at once as the values' first bytes say, and puts texts together that repeat the one before.
/// </summary>
/// <param name="Compressed">Its bytes.</param>
/// <param name="Uncompressed">Its bytes when they are decompressed, as the header says.</param>
internal sealed record Page(int Compressed, int Uncompressed)
{
    // Writers have 128 to 1024.
    private const ulong MostInBlock = 1 << 16;

    /// <summary>The entries of a dictionary.</summary>
    public long Entries { get; init; }

    /// <summary>The values of another page.</summary>
    public long Values { get; init; }

    /// <summary>Those that are not null, as far as the header says it.</summary>
    public long Present { get; init; }

    /// <summary>How they are written.</summary>
    public Encoding Encoding { get; init; }

    /// <summary>The bytes before them that are never compressed; null where what says which values are null is compressed with them.
    /// </summary>
    public int? Levels { get; init; }

    /// <summary>Whether it is not compressed, whatever the column says.</summary>
    public bool IsPlain { get; init; }

    /// <summary>Counts the bytes that the page becomes.</summary>
    /// <param name="file">The file, at the page's bytes.</param>
    /// <param name="codec">How the column is compressed.</param>
    /// <param name="hasLevels">Whether the values begin with what says which are null.</param>
    /// <param name="most">The most bytes that they may be; where there are more, it is not found out how many.</param>
    /// <exception cref="InvalidDataException">The values cannot be.</exception>
    public long CountBytes(Stream file, CompressionCodec codec, bool hasLevels, long most)
    {
        codec = IsPlain ? CompressionCodec.UNCOMPRESSED : codec;
        bool isDelta = Encoding is Encoding.DELTA_BINARY_PACKED or Encoding.DELTA_LENGTH_BYTE_ARRAY or Encoding.DELTA_BYTE_ARRAY;
        if (!isDelta && codec is not (CompressionCodec.SNAPPY or CompressionCodec.ZSTD))
        {
            return Uncompressed;
        }

        byte[] content = new byte[Compressed - (Levels ?? 0)];
        file.Position += Levels ?? 0;
        file.ReadExactly(content);
        long bytes = Math.Max(
            Uncompressed,
            codec switch
            {
                CompressionCodec.SNAPPY => Snappy.GetUncompressedLength(content),
                CompressionCodec.ZSTD => (long)Decompressor.GetDecompressedSize(content),
                _ => 0,
            }
        );
        if (!isDelta || bytes > most)
        {
            return bytes;
        }

        ReadOnlySpan<byte> values = Decompress(codec, content);
        if (hasLevels && Levels is null)
        {
            Take(ref values, BinaryPrimitives.ReadInt32LittleEndian(Take(ref values, sizeof(int))));
        }

        return bytes + BytesOfTexts(values);
    }

    private ReadOnlySpan<byte> Decompress(CompressionCodec codec, byte[] content)
    {
        switch (codec)
        {
            case CompressionCodec.UNCOMPRESSED:
                return content;
            case CompressionCodec.SNAPPY:
                return Snappy.DecompressToArray(content);
            case CompressionCodec.ZSTD:
                using (var decompressor = new Decompressor())
                {
                    return decompressor.Unwrap(content);
                }

            case CompressionCodec.GZIP:
                return Read(new GZipStream(new MemoryStream(content), CompressionMode.Decompress));
            case CompressionCodec.BROTLI:
                return Read(new BrotliStream(new MemoryStream(content), CompressionMode.Decompress));
            case CompressionCodec.LZ4 or CompressionCodec.LZ4_RAW:
                byte[] bytes = new byte[Uncompressed];
                return bytes.AsSpan(0, Math.Max(0, LZ4Codec.Decode(content, bytes)));
            default:
                throw new InvalidDataException($"its pages are compressed by {codec}, which is not read");
        }
    }

    private ReadOnlySpan<byte> Read(Stream compressed)
    {
        using (compressed)
        {
            byte[] bytes = new byte[Uncompressed];
            return bytes.AsSpan(0, compressed.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false));
        }
    }

    /// <summary>Looks at values in one of the delta encodings, and counts the bytes of texts that repeat one another.</summary>
    private long BytesOfTexts(ReadOnlySpan<byte> values)
    {
        // Of nulls alone there is nothing.
        if (values.IsEmpty)
        {
            return 0;
        }

        if (Encoding != Encoding.DELTA_BYTE_ARRAY)
        {
            Blocks blocks = Head(ref values);
            Require(blocks.Count <= Present, $"its page holds {blocks.Count} numbers for {Present} values");
            return 0;
        }

        // Each text is the beginning of the one before and a rest of its own.
        long[] beginnings = Numbers(ref values),
            rests = Numbers(ref values);
        long bytes = 0,
            before = 0;
        for (int i = 0; i < beginnings.Length; i++)
        {
            Require(
                beginnings[i] >= 0 && beginnings[i] <= before && rests[i] >= 0 && rests[i] <= values.Length,
                $"text {i + 1} of its page has {beginnings[i]} bytes of the one before and {rests[i]} of its own"
            );
            before = beginnings[i] + rests[i];
            bytes += before;
        }

        return bytes;
    }

    /// <summary>The numbers that bytes in the encoding DELTA_BINARY_PACKED begin with: each is the one before, the least difference of its
    /// block and some bits.</summary>
    private long[] Numbers(ref ReadOnlySpan<byte> bytes)
    {
        Blocks blocks = Head(ref bytes);
        Require(blocks.Count == Present, $"its page holds {blocks.Count} lengths of {Present} texts");
        long[] numbers = new long[Present];
        numbers.AsSpan(0, Math.Min(1, numbers.Length)).Fill(blocks.First);
        for (int at = 1; at < numbers.Length; )
        {
            long least = CompactThrift.Signed(Varint(ref bytes));
            ReadOnlySpan<byte> widths = Take(ref bytes, blocks.Parts);
            for (int part = 0; part < widths.Length && at < numbers.Length; part++)
            {
                int width = widths[part];
                Require(width <= 32, $"a length of its texts has {width} bits");
                ReadOnlySpan<byte> bits = Take(ref bytes, width * blocks.Size / 8);
                for (int i = 0; i < blocks.Size && at < numbers.Length; i++, at++)
                {
                    numbers[at] = numbers[at - 1] + least + Bits(bits, i * width, width);
                }
            }
        }

        return numbers;
    }

    private static Blocks Head(ref ReadOnlySpan<byte> bytes)
    {
        ulong block = Varint(ref bytes),
            parts = Varint(ref bytes),
            count = Varint(ref bytes);
        Require(
            block <= MostInBlock && parts >= 1 && parts <= block && block / parts % 8 == 0 && count <= int.MaxValue,
            $"its page holds {count} numbers in blocks of {block} in {parts} parts"
        );
        return new((int)parts, (int)(block / parts), (long)count, CompactThrift.Signed(Varint(ref bytes)));
    }

    private static long Bits(ReadOnlySpan<byte> bytes, int from, int width)
    {
        long bits = 0;
        for (int i = 0; i < width; i++)
        {
            bits |= (long)((bytes[(from + i) / 8] >> ((from + i) % 8)) & 1) << i;
        }

        return bits;
    }

    private static ulong Varint(ref ReadOnlySpan<byte> bytes)
    {
        ulong value = 0;
        for (int shift = 0; ; shift += 7)
        {
            Require(shift < 64, "a number of its page has more than ten bytes");
            byte next = Take(ref bytes, 1)[0];
            value |= (ulong)(next & 0x7F) << shift;
            if (next < 0x80)
            {
                return value;
            }
        }
    }

    private static ReadOnlySpan<byte> Take(ref ReadOnlySpan<byte> bytes, int count)
    {
        Require(count >= 0 && count <= bytes.Length, "the values of its page are not complete");
        ReadOnlySpan<byte> taken = bytes[..count];
        bytes = bytes[count..];
        return taken;
    }

    private static void Require(bool isSo, string problem)
    {
        if (!isSo)
        {
            throw new InvalidDataException(problem);
        }
    }

    /// <summary>How numbers are packed.</summary>
    /// <param name="Parts">The parts of a block, each with a width of its own.</param>
    /// <param name="Size">The numbers of a part.</param>
    /// <param name="Count">The numbers in all.</param>
    /// <param name="First">The first.</param>
    private sealed record Blocks(int Parts, int Size, long Count, long First);
}
