using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;

namespace SkillLoc.Fuzz;

/// <summary>Makes mutants of files.</summary>
internal static class Mutator
{
    private const int LongestFile = 1 << 16;

    private static readonly long[] Edges =
    [
        0,
        1,
        -1,
        2,
        127,
        128,
        255,
        256,
        32767,
        65535,
        65536,
        int.MaxValue,
        int.MinValue,
        uint.MaxValue,
        long.MaxValue,
        long.MinValue,
        1L << 40,
    ];

    /// <summary>A mutant of one of a target's files.</summary>
    /// <param name="target">The target.</param>
    /// <param name="files">Files to begin with.</param>
    /// <param name="dice">Chooses.</param>
    public static byte[] Next(Target target, IReadOnlyList<byte[]> files, Dice dice)
    {
        byte[] file = dice.Pick(dice.OneIn(2) ? target.Seeds : files);
        int rounds = 1 + (dice.OneIn(3) ? dice.Next(6) : 0);
        for (int i = 0; i < rounds; i++)
        {
            file = Once(target.Shape, file, target.Words, files, dice);
            if (file.Length > LongestFile)
            {
                file = file[..LongestFile];
            }
        }

        return file;
    }

    /// <summary>A mutant of some bytes that are built in a way; single bytes are changed where they are not.</summary>
    internal static byte[] Once(Shape shape, byte[] file, IReadOnlyList<byte[]> words, IReadOnlyList<byte[]> others, Dice dice)
    {
        if (dice.OneIn(5))
        {
            return Bytes(file, words, others, dice);
        }

        return shape switch
            {
                Shape.Json => JsonMutator.Next(file, dice),
                Shape.Text => Text(file, words, dice),
                Shape.Safetensors => Safetensors(file, words, others, dice),
                Shape.Pickle => PickleMutator.Next(file, words, dice),
                Shape.Zip => ZipMutator.Next(file, words, dice),
                Shape.Protobuf => ProtobufMutator.Next(file, words, dice),
                Shape.Gzip => Gzip(file, words, dice),
                Shape.Parquet => ParquetMutator.Next(file, dice),
                _ => null,
            } ?? Bytes(file, words, others, dice);
    }

    /// <summary>Changes, removes, repeats and inserts bytes, whole numbers among them.</summary>
    internal static byte[] Bytes(byte[] file, IReadOnlyList<byte[]> words, IReadOnlyList<byte[]> others, Dice dice)
    {
        if (file.Length == 0)
        {
            return [(byte)dice.Next(256)];
        }

        int at = dice.Next(file.Length);
        int length = Math.Min(1 + dice.Next(dice.OneIn(4) ? 64 : 8), file.Length - at);
        switch (dice.Next(9))
        {
            case 0:
                byte[] flipped = [.. file];
                flipped[at] ^= (byte)(1 << dice.Next(8));
                return flipped;
            case 1:
                byte[] changed = [.. file];
                changed[at] = (byte)dice.Next(256);
                return changed;
            case 2:
                return [.. file.AsSpan(0, at), .. file.AsSpan(at + length)];
            case 3:
                return [.. file.AsSpan(0, at + length), .. file.AsSpan(at)];
            case 4:
                return file[..at];
            case 5:
                return [.. file.AsSpan(0, at), (byte)dice.Next(256), .. file.AsSpan(at)];
            case 6:
                return Number(file, at, dice);
            case 7 when words.Count > 0:
                return [.. file.AsSpan(0, at), .. dice.Pick(words), .. file.AsSpan(dice.OneIn(2) ? at : at + length)];
            default:
                byte[] other = dice.Pick(others);
                int from = dice.Next(other.Length + 1);
                return [.. file.AsSpan(0, at), .. other.AsSpan(from, Math.Min(other.Length - from, 1 + dice.Next(64))), .. file.AsSpan(at)];
        }
    }

    private static byte[] Number(byte[] file, int at, Dice dice)
    {
        Span<byte> number = stackalloc byte[8];
        long value = dice.Pick(Edges) + dice.Next(3) - 1;
        if (dice.OneIn(3))
        {
            BinaryPrimitives.WriteInt64BigEndian(number, value);
        }
        else
        {
            BinaryPrimitives.WriteInt64LittleEndian(number, value);
        }

        byte[] changed = [.. file];
        int width = Math.Min(1 << dice.Next(4), file.Length - at);
        number[..width].CopyTo(changed.AsSpan(at));
        return changed;
    }

    /// <summary>Removes, repeats and exchanges lines, or puts words in.</summary>
    private static byte[]? Text(byte[] file, IReadOnlyList<byte[]> words, Dice dice)
    {
        string[] lines = Encoding.Latin1.GetString(file).Split('\n');
        int one = dice.Next(lines.Length),
            other = dice.Next(lines.Length);
        switch (dice.Next(6))
        {
            case 0:
                return Join([.. lines[..one], .. lines[(one + 1)..]]);
            case 1:
                return Join([.. lines[..one], lines[one], .. lines[one..]]);
            case 2:
                (lines[one], lines[other]) = (lines[other], lines[one]);
                return Join(lines);
            case 3:
                // YAML's levels.
                lines[one] = dice.OneIn(2) ? "  " + lines[one] : lines[one].TrimStart(' ');
                return Join(lines);
            case 4 when words.Count > 0:
                string word = Encoding.Latin1.GetString(dice.Pick(words));
                int at = dice.Next(lines[one].Length + 1);
                lines[one] = lines[one][..at] + word + lines[one][(dice.OneIn(2) ? at : lines[one].Length)..];
                return Join(lines);
            default:
                return null;
        }

        static byte[] Join(string[] lines) => Encoding.Latin1.GetBytes(string.Join('\n', lines));
    }

    /// <summary>Changes the header's JSON, with its right length before it, or the bytes after it.</summary>
    private static byte[]? Safetensors(byte[] file, IReadOnlyList<byte[]> words, IReadOnlyList<byte[]> others, Dice dice)
    {
        if (
            file.Length < 8
            || BinaryPrimitives.ReadInt64LittleEndian(file) is not (>= 0 and var length)
            || length > file.Length - 8
            || dice.OneIn(8)
        )
        {
            return null;
        }

        byte[] header = file[8..(8 + (int)length)],
            rest = file[(8 + (int)length)..];
        if (dice.OneIn(8))
        {
            rest = Bytes(rest, [], others, dice);
        }
        else
        {
            header = JsonMutator.Next(header, dice) ?? Bytes(header, words, others, dice);
        }

        byte[] result = new byte[8 + header.Length + rest.Length];
        BinaryPrimitives.WriteInt64LittleEndian(result, header.Length);
        header.CopyTo(result, 8);
        rest.CopyTo(result, 8 + header.Length);
        return result;
    }

    /// <summary>Changes what is compressed.</summary>
    private static byte[]? Gzip(byte[] file, IReadOnlyList<byte[]> words, Dice dice)
    {
        try
        {
            using var packed = new GZipStream(new MemoryStream(file), CompressionMode.Decompress);
            byte[] start = new byte[LongestFile];
            int length = packed.ReadAtLeast(start, start.Length, throwOnEndOfStream: false);
            byte[] changed = Text(start[..length], words, dice) ?? Bytes(start[..length], words, [file], dice);
            using var result = new MemoryStream();
            using (var gzip = new GZipStream(result, CompressionLevel.Fastest, leaveOpen: true))
            {
                gzip.Write(changed);
            }

            return result.ToArray();
        }
        catch (InvalidDataException)
        {
            return null;
        }
    }
}
