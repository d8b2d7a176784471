using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;

namespace SkillLoc.Fuzz;

/// <summary>Makes mutants of zip files: entries that hold, are called or are listed otherwise, headers that disagree.</summary>
internal static class ZipMutator
{
    private static readonly uint[] Table =
    [
        .. Enumerable
            .Range(0, 256)
            .Select(i => Enumerable.Range(0, 8).Aggregate((uint)i, (sum, _) => (sum & 1) == 0 ? sum >> 1 : 0xEDB88320u ^ (sum >> 1))),
    ];

    /// <summary>A mutant; null where the bytes are no zip.</summary>
    public static byte[]? Next(byte[] file, IReadOnlyList<byte[]> words, Dice dice)
    {
        List<(string Name, byte[] Content)> entries;
        try
        {
            entries = Entries(file);
        }
        catch (Exception error) when (error is InvalidDataException or NotSupportedException or EndOfStreamException or IOException)
        {
            return null;
        }

        if (entries.Count == 0)
        {
            return null;
        }

        int at = dice.Next(entries.Count);
        (string name, byte[] content) = entries[at];
        switch (dice.Next(12))
        {
            case 0:
                entries.RemoveAt(at);
                break;
            case 1:
                entries.Add((name, dice.OneIn(2) ? content : dice.Pick(entries).Content));
                break;
            case 2:
                entries[at] = (dice.Pick(entries).Name, content);
                break;
            case 3:
                byte[] letters = Mutator.Bytes(Encoding.Latin1.GetBytes(name), words, [file], dice);
                entries[at] = (Encoding.Latin1.GetString(letters[..Math.Min(letters.Length, 300)]), content);
                break;
            case 4:
                return HeaderChanged(Write(entries), dice);
            case 5:
                return [.. Mutator.Bytes([], [], [file], dice), .. Write(entries)];
            case 6:
                return [.. Write(entries), .. Mutator.Bytes([], [], [file], dice)];
            default:
                Shape shape =
                    name.EndsWith(".pkl", StringComparison.Ordinal) ? Shape.Pickle
                    : content is [(byte)'{' or (byte)'[', ..] ? Shape.Json
                    : Shape.Bytes;
                entries[at] = (name, Mutator.Once(shape, content, words, [content], dice));
                break;
        }

        return Write(entries);
    }

    /// <summary>Writes a zip of stored entries.</summary>
    public static byte[] Write(IReadOnlyList<(string Name, byte[] Content)> entries)
    {
        var bytes = new MemoryStream();
        var writer = new BinaryWriter(bytes);
        var directory = new MemoryStream();
        var list = new BinaryWriter(directory);
        foreach ((string name, byte[] content) in entries)
        {
            byte[] letters = Encoding.UTF8.GetBytes(name);
            uint start = (uint)bytes.Position,
                sum = Checksum(content);
            writer.Write(0x04034b50);
            Common(writer);
            writer.Write(letters);
            writer.Write(content);
            list.Write(0x02014b50);
            list.Write((ushort)20);
            Common(list);
            list.Write((ushort)0);
            list.Write((ushort)0);
            list.Write((ushort)0);
            list.Write(0);
            list.Write(start);
            list.Write(letters);

            void Common(BinaryWriter to)
            {
                to.Write((ushort)20);
                to.Write((ushort)0x800);
                to.Write((ushort)0);
                to.Write(0x00210000);
                to.Write(sum);
                to.Write(content.Length);
                to.Write(content.Length);
                to.Write((ushort)letters.Length);
                to.Write((ushort)0);
            }
        }

        uint offset = (uint)bytes.Position;
        writer.Write(directory.GetBuffer().AsSpan(0, (int)directory.Length));
        writer.Write(0x06054b50);
        writer.Write(0);
        writer.Write((ushort)entries.Count);
        writer.Write((ushort)entries.Count);
        writer.Write((uint)directory.Length);
        writer.Write(offset);
        writer.Write((ushort)0);
        return bytes.ToArray();
    }

    private static uint Checksum(byte[] content)
    {
        uint sum = uint.MaxValue;
        foreach (byte value in content)
        {
            sum = Table[(byte)(sum ^ value)] ^ (sum >> 8);
        }

        return ~sum;
    }

    /// <summary>A field of one of the headers changed.</summary>
    private static byte[] HeaderChanged(byte[] zip, Dice dice)
    {
        var starts = new List<(int Start, int Length)>();
        for (int i = 0; i + 22 <= zip.Length; i++)
        {
            int length = BinaryPrimitives.ReadUInt32LittleEndian(zip.AsSpan(i)) switch
            {
                0x04034b50 => 30,
                0x02014b50 => 46,
                0x06054b50 => 22,
                _ => 0,
            };
            if (length > 0 && i + length <= zip.Length)
            {
                starts.Add((i, length));
            }
        }

        (int start, int count) = dice.Pick(starts);
        byte[] header = Mutator.Bytes(zip[start..(start + count)], [], [zip], dice);
        header.AsSpan(0, Math.Min(header.Length, count)).CopyTo(zip.AsSpan(start));
        return zip;
    }

    private static List<(string Name, byte[] Content)> Entries(byte[] file)
    {
        using var zip = new ZipArchive(new MemoryStream(file), ZipArchiveMode.Read);
        var entries = new List<(string Name, byte[] Content)>();
        foreach (ZipArchiveEntry entry in zip.Entries)
        {
            using Stream stream = entry.Open();
            byte[] start = new byte[Math.Min(entry.Length, 1 << 16)];
            int read = stream.ReadAtLeast(start, start.Length, throwOnEndOfStream: false);
            entries.Add((entry.FullName, start[..read]));
        }

        return entries;
    }
}
