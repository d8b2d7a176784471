using System.IO.Hashing;
using System.Text;

namespace SkillLoc.Models.Tests.Checkpoints;

/// <summary>A zip of stored entries in which anything can be made to disagree.</summary>
internal sealed class CraftedZip
{
    private readonly List<Entry> _entries = [];

    /// <summary>Bytes before the first entry, which no header counts.</summary>
    public byte[] Before { get; init; } = [];

    /// <summary>Bytes between the entries and their directory.</summary>
    public byte[] Gap { get; init; } = [];

    /// <summary>Bytes behind the end.</summary>
    public byte[] Behind { get; init; } = [];

    public ushort CommentLength { get; init; }

    public int CountOff { get; init; }

    public int StartOff { get; init; }

    public ushort Disk { get; init; }

    public CraftedZip Add(string name, byte[] content, Func<Entry, Entry>? change = null)
    {
        var entry = new Entry(name, content) { Checksum = Crc32.HashToUInt32(content) };
        _entries.Add(change?.Invoke(entry) ?? entry);
        return this;
    }

    public byte[] ToArray()
    {
        using var bytes = new MemoryStream();
        using var writer = new BinaryWriter(bytes);
        using var directory = new MemoryStream();
        using var list = new BinaryWriter(directory);
        writer.Write(Before);
        foreach (Entry entry in _entries)
        {
            uint start = (uint)(bytes.Position + entry.OffsetOff);
            byte[] local = Encoding.UTF8.GetBytes(entry.LocalName ?? entry.Name),
                listed = Encoding.UTF8.GetBytes(entry.Name);
            if (!entry.IsOnlyListed)
            {
                writer.Write(0x04034b50);
                byte[] extra = entry.LocalExtra ?? entry.Extra;
                Common(writer, entry, local, extra, entry.LocalSizeOff);
                writer.Write(local);
                writer.Write(extra);
                writer.Write(entry.Content);
                writer.Write(entry.Descriptor);
                writer.Write(entry.Hole);
            }

            if (!entry.IsUnlisted)
            {
                list.Write(0x02014b50);
                list.Write((ushort)20);
                Common(list, entry, listed, entry.Extra, 0);
                list.Write((ushort)0);
                list.Write((ushort)0);
                list.Write((ushort)0);
                list.Write(0);
                list.Write(start);
                list.Write(listed);
                list.Write(entry.Extra);
            }
        }

        writer.Write(Gap);
        uint offset = (uint)(bytes.Position + StartOff);
        writer.Write(directory.ToArray());
        int count = _entries.Count(entry => !entry.IsUnlisted) + CountOff;
        writer.Write(0x06054b50);
        writer.Write(Disk);
        writer.Write(Disk);
        writer.Write((ushort)count);
        writer.Write((ushort)count);
        writer.Write((uint)directory.Length);
        writer.Write(offset);
        writer.Write(CommentLength);
        writer.Write(Behind);
        return bytes.ToArray();
    }

    private static void Common(BinaryWriter to, Entry entry, byte[] name, byte[] extra, int sizeOff)
    {
        to.Write((ushort)20);
        to.Write(entry.Flags);
        to.Write(entry.Method);
        to.Write(0x00210000);
        to.Write(entry.Checksum);
        to.Write(entry.Content.Length + sizeOff);
        to.Write(entry.Content.Length + sizeOff);
        to.Write((ushort)name.Length);
        to.Write((ushort)extra.Length);
    }

    public sealed record Entry(string Name, byte[] Content)
    {
        public string? LocalName { get; init; }

        public uint Checksum { get; init; }

        public ushort Flags { get; init; }

        public ushort Method { get; init; }

        public int LocalSizeOff { get; init; }

        public int OffsetOff { get; init; }

        public byte[] Extra { get; init; } = [];

        /// <summary>The extra fields where it stands; null for those of the directory.</summary>
        public byte[]? LocalExtra { get; init; }

        public byte[] Descriptor { get; init; } = [];

        public byte[] Hole { get; init; } = [];

        public bool IsUnlisted { get; init; }

        public bool IsOnlyListed { get; init; }
    }
}
