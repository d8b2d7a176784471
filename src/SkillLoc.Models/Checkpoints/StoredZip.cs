using System.Buffers.Binary;
using System.IO.Hashing;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace SkillLoc.Models.Checkpoints;

/// <summary>
/// Reads where the entries of a zip lie that are stored as they are, as <c>torch.save</c> writes it. All that two readers could
/// understand otherwise is refused: bytes before, between or after entries, headers that disagree, names that occur twice.
/// </summary>
/// <remarks>Our own since ZipArchive looks at the directory only, not at what other readers go by, nor at checksums.</remarks>
internal static class StoredZip
{
    private const int EndBytes = 22,
        LocatorBytes = 20,
        End64Bytes = 56,
        EntryBytes = 46,
        HeaderBytes = 30;

    private const uint EndMark = 0x06054b50,
        LocatorMark = 0x07064b50,
        End64Mark = 0x06064b50,
        EntryMark = 0x02014b50,
        HeaderMark = 0x04034b50,
        DescriptorMark = 0x08074b50;

    private const ushort HasDescriptor = 1 << 3,
        IsUtf8 = 1 << 11,
        LargeFile = 1,
        AnotherName = 0x7075;

    private const int MaxDirectoryBytes = 1 << 26;

    private static readonly Encoding StrictUtf8 = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>Reads the directory and compares it with what stands before each entry.</summary>
    /// <param name="file">The file.</param>
    /// <returns>The entries by their names.</returns>
    /// <exception cref="InvalidDataException">It is no such zip; the message does not name the file.</exception>
    public static Dictionary<string, StoredBlock> Read(SafeFileHandle file)
    {
        (long start, long end, long count) = Directory(file);
        if (end - start > MaxDirectoryBytes)
        {
            throw new InvalidDataException($"its directory has {end - start} bytes, more than the {MaxDirectoryBytes} that are read");
        }

        byte[] directory = new byte[end - start];
        Fill(file, start, directory);
        var entries = new List<Entry>();
        for (int at = 0; at < directory.Length; )
        {
            entries.Add(ReadEntry(directory, ref at));
        }

        if (entries.Count != count)
        {
            throw new InvalidDataException($"its directory lists {entries.Count} entries, and {count} by its end");
        }

        entries.Sort((one, other) => one.Offset.CompareTo(other.Offset));
        var blocks = new Dictionary<string, StoredBlock>(StringComparer.Ordinal);
        long next = 0;
        for (int i = 0; i < entries.Count; i++)
        {
            Entry entry = entries[i];
            if (entry.Offset != next)
            {
                throw new InvalidDataException(
                    $"its entry '{entry.Name}' begins at byte {entry.Offset}, and what is before it ends at {next}; there must be neither "
                        + "gaps nor overlaps"
                );
            }

            next = i + 1 < entries.Count ? entries[i + 1].Offset : start;
            if (!blocks.TryAdd(entry.Name, new(CheckHeader(file, entry, next), entry.Length, entry.Checksum)))
            {
                throw new InvalidDataException($"it has the entry '{entry.Name}' twice");
            }
        }

        return next == start ? blocks : throw new InvalidDataException($"bytes that belong to no entry lie before byte {start}");
    }

    /// <summary>Where the directory begins and ends, and how many entries it should have.</summary>
    private static (long Start, long End, long Count) Directory(SafeFileHandle file)
    {
        long length = RandomAccess.GetLength(file);
        Span<byte> tail = stackalloc byte[EndBytes + LocatorBytes + End64Bytes];
        if (length < EndBytes)
        {
            throw new InvalidDataException($"it has {length} bytes, too few for a zip");
        }

        tail = tail[Math.Max(0, tail.Length - (int)Math.Min(length, tail.Length))..];
        Fill(file, length - tail.Length, tail);
        Span<byte> end = tail[^EndBytes..];
        if (UInt32(end, 0) != EndMark || UInt16(end, 20) != 0)
        {
            throw new InvalidDataException("it does not end as a zip does; it is truncated, or other bytes follow it");
        }

        (long start, long size, long count) = (UInt32(end, 16), UInt32(end, 12), UInt16(end, 10));
        long directoryEnd = length - EndBytes;
        if (tail.Length > EndBytes + LocatorBytes && UInt32(tail[^(EndBytes + LocatorBytes)..], 0) == LocatorMark)
        {
            Span<byte> locator = tail[^(EndBytes + LocatorBytes)..];
            directoryEnd -= LocatorBytes + End64Bytes;
            if (
                tail.Length < EndBytes + LocatorBytes + End64Bytes
                || Int64(locator, 8) != directoryEnd
                || UInt32(locator, 4) != 0
                || UInt32(locator, 16) != 1
                || UInt32(tail, 0) != End64Mark
                || Int64(tail, 4) != End64Bytes - 12
                || UInt32(tail, 16) != 0
                || UInt32(tail, 20) != 0
                || Int64(tail, 24) != Int64(tail, 32)
                || !Agrees(start, Int64(tail, 48), uint.MaxValue)
                || !Agrees(size, Int64(tail, 40), uint.MaxValue)
                || !Agrees(count, Int64(tail, 32), ushort.MaxValue)
            )
            {
                throw new InvalidDataException("the two ends of its directory disagree");
            }

            (start, size, count) = (Int64(tail, 48), Int64(tail, 40), Int64(tail, 32));
        }

        if (UInt16(end, 4) != 0 || UInt16(end, 6) != 0 || UInt16(end, 8) != UInt16(end, 10))
        {
            throw new InvalidDataException("it is one of several volumes");
        }

        return start >= 0 && start <= directoryEnd && size == directoryEnd - start
            ? (start, directoryEnd, count)
            : throw new InvalidDataException($"its directory should have {size} bytes at byte {start}, and it ends at {directoryEnd}");
    }

    private static Entry ReadEntry(byte[] directory, ref int at)
    {
        ReadOnlySpan<byte> rest = directory.AsSpan(at);
        if (rest.Length < EntryBytes || UInt32(rest, 0) != EntryMark)
        {
            throw new InvalidDataException($"its directory holds something else than an entry at byte {at}");
        }

        int nameLength = UInt16(rest, 28),
            extraLength = UInt16(rest, 30),
            length = EntryBytes + nameLength + extraLength + UInt16(rest, 32);
        if (length > rest.Length)
        {
            throw new InvalidDataException($"its directory's entry at byte {at} is cut off");
        }

        byte[] letters = rest.Slice(EntryBytes, nameLength).ToArray();
        string name;
        try
        {
            name = StrictUtf8.GetString(letters);
        }
        catch (DecoderFallbackException e)
        {
            throw new InvalidDataException($"the name of its directory's entry at byte {at} is not valid UTF-8", e);
        }

        ushort flags = UInt16(rest, 8);
        if (UInt16(rest, 10) != 0)
        {
            throw new InvalidDataException($"its entry '{name}' is compressed; torch.save stores entries as they are");
        }

        if ((flags & ~(HasDescriptor | IsUtf8)) != 0 || UInt16(rest, 34) is not (0 or ushort.MaxValue))
        {
            throw new InvalidDataException($"its entry '{name}' is encrypted, or of a kind that is not known");
        }

        (long stored, long size, long offset) = (UInt32(rest, 20), UInt32(rest, 24), UInt32(rest, 42));
        ReadOnlySpan<byte> large = Extra(name, rest.Slice(EntryBytes + nameLength, extraLength));
        size = Large(size, ref large);
        stored = Large(stored, ref large);
        offset = Large(offset, ref large);
        if (stored != size || size < 0 || offset < 0)
        {
            throw new InvalidDataException($"its entry '{name}' takes {stored} bytes for {size}");
        }

        at += length;
        return new(name, letters, flags, UInt32(rest, 16), size, offset);

        // What does not fit its field stands in the extra one.
        long Large(long value, ref ReadOnlySpan<byte> extra)
        {
            if (value != uint.MaxValue)
            {
                return value;
            }

            if (extra.Length < sizeof(long))
            {
                throw new InvalidDataException($"its entry '{name}' lacks its sizes");
            }

            value = Int64(extra, 0);
            extra = extra[sizeof(long)..];
            return value;
        }
    }

    /// <summary>The large sizes among an entry's extra fields; empty for none.</summary>
    private static ReadOnlySpan<byte> Extra(string name, ReadOnlySpan<byte> fields)
    {
        ReadOnlySpan<byte> found = default;
        while (fields.Length >= 4)
        {
            int kind = UInt16(fields, 0),
                length = UInt16(fields, 2);
            if (kind == AnotherName || length > fields.Length - 4)
            {
                throw new InvalidDataException($"its entry '{name}' has an extra field that gives it another name, or is cut off");
            }

            found = kind == LargeFile ? fields.Slice(4, length) : found;
            fields = fields[(4 + length)..];
        }

        return found;
    }

    /// <summary>Compares what stands before and behind an entry's bytes with the directory.</summary>
    /// <param name="file">The file.</param>
    /// <param name="entry">The entry, as the directory has it.</param>
    /// <param name="next">Where what follows begins.</param>
    /// <returns>Where its bytes begin.</returns>
    private static long CheckHeader(SafeFileHandle file, Entry entry, long next)
    {
        Span<byte> header = stackalloc byte[HeaderBytes];
        if (next - entry.Offset < HeaderBytes)
        {
            throw new InvalidDataException($"its entry '{entry.Name}' is cut off");
        }

        Fill(file, entry.Offset, header);
        bool isDescribedBehind = (entry.Flags & HasDescriptor) != 0;
        int nameLength = UInt16(header, 26),
            extraLength = UInt16(header, 28);
        long start = entry.Offset + HeaderBytes + nameLength + extraLength;
        if (
            UInt32(header, 0) != HeaderMark
            || UInt16(header, 6) != entry.Flags
            || UInt16(header, 8) != 0
            || !IsSame(UInt32(header, 14), entry.Checksum)
            || !IsSame(UInt32(header, 18), entry.Length)
            || !IsSame(UInt32(header, 22), entry.Length)
            || start > next
        )
        {
            throw new InvalidDataException($"its directory and what stands before the entry '{entry.Name}' disagree");
        }

        byte[] names = new byte[nameLength + extraLength];
        Fill(file, entry.Offset + HeaderBytes, names);
        if (!names.AsSpan(0, nameLength).SequenceEqual(entry.Letters))
        {
            throw new InvalidDataException($"the entry '{entry.Name}' of its directory has another name where it stands");
        }

        _ = Extra(entry.Name, names.AsSpan(nameLength));
        Span<byte> descriptor = stackalloc byte[24];
        long behind = next - start - entry.Length;
        if (!isDescribedBehind || behind is not (16 or 24))
        {
            return !isDescribedBehind && behind == 0
                ? start
                : throw new InvalidDataException(
                    $"its entry '{entry.Name}' of {entry.Length} bytes ends elsewhere than its directory says"
                );
        }

        descriptor = descriptor[..(int)behind];
        Fill(file, start + entry.Length, descriptor);
        (long stored, long size) =
            behind == 16 ? (UInt32(descriptor, 8), UInt32(descriptor, 12)) : (Int64(descriptor, 8), Int64(descriptor, 16));
        return
            UInt32(descriptor, 0) == DescriptorMark && UInt32(descriptor, 4) == entry.Checksum && stored == entry.Length && size == stored
            ? start
            : throw new InvalidDataException($"its directory and what stands behind the entry '{entry.Name}' disagree");

        bool IsSame(uint written, long known) =>
            written == known || (isDescribedBehind && written == 0) || (known >= uint.MaxValue && written == uint.MaxValue);
    }

    /// <summary>Whether a field is as a larger one says, or full because that does not fit.</summary>
    private static bool Agrees(long field, long value, long full) => field == value || field == full;

    /// <summary>Reads bytes of a file that must be there.</summary>
    internal static void Fill(SafeFileHandle file, long offset, Span<byte> destination)
    {
        while (!destination.IsEmpty)
        {
            int count = RandomAccess.Read(file, destination, offset);
            if (count == 0)
            {
                throw new InvalidDataException("the file ends too early");
            }

            destination = destination[count..];
            offset += count;
        }
    }

    private static ushort UInt16(ReadOnlySpan<byte> bytes, int at) => BinaryPrimitives.ReadUInt16LittleEndian(bytes[at..]);

    private static uint UInt32(ReadOnlySpan<byte> bytes, int at) => BinaryPrimitives.ReadUInt32LittleEndian(bytes[at..]);

    private static long Int64(ReadOnlySpan<byte> bytes, int at) => BinaryPrimitives.ReadInt64LittleEndian(bytes[at..]);

    private sealed record Entry(string Name, byte[] Letters, ushort Flags, uint Checksum, long Length, long Offset);
}

/// <summary>Bytes in a file.</summary>
/// <param name="Start">The first.</param>
/// <param name="Length">How many.</param>
/// <param name="Checksum">Their CRC-32; null where the file has none.</param>
internal sealed record StoredBlock(long Start, long Length, uint? Checksum)
{
    private const int PieceBytes = 1 << 20;

    private bool _isChecked;

    /// <summary>Reads some of the bytes. What is read first is compared with the checksum of all.</summary>
    /// <exception cref="InvalidDataException">The checksum differs, or the file has become shorter.</exception>
    public void Read(SafeFileHandle file, long offset, Span<byte> destination)
    {
        if (Checksum is { } expected && !Volatile.Read(ref _isChecked))
        {
            Check(file, expected);
            Volatile.Write(ref _isChecked, true);
        }

        StoredZip.Fill(file, Start + offset, destination);
    }

    /// <summary>Reads all bytes.</summary>
    /// <exception cref="InvalidDataException">The checksum differs.</exception>
    public byte[] ReadAll(SafeFileHandle file)
    {
        byte[] bytes = new byte[Length];
        Read(file, 0, bytes);
        return bytes;
    }

    private void Check(SafeFileHandle file, uint expected)
    {
        var sum = new Crc32();
        byte[] piece = new byte[Math.Min(Length, PieceBytes)];
        for (long at = 0; at < Length; at += piece.Length)
        {
            Span<byte> part = piece.AsSpan(0, (int)Math.Min(piece.Length, Length - at));
            StoredZip.Fill(file, Start + at, part);
            sum.Append(part);
        }

        if (sum.GetCurrentHashAsUInt32() is var found && found != expected)
        {
            throw new InvalidDataException($"their checksum is {found:x8}, and {expected:x8} was written");
        }
    }
}
