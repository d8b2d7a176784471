using System.Buffers;
using System.IO.Compression;

namespace SkillLoc.Models.Datasets;

/// <summary>A stream that is read once from its start.</summary>
internal abstract class ForwardStream : Stream
{
    public sealed override bool CanRead => true;

    public sealed override bool CanSeek => false;

    public sealed override bool CanWrite => false;

    public sealed override long Length => throw new NotSupportedException();

    public sealed override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public abstract override int Read(Span<byte> buffer);

    public sealed override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public sealed override void Flush() { }

    public sealed override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public sealed override void SetLength(long value) => throw new NotSupportedException();

    public sealed override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}

/// <summary>What is decompressed, unless it becomes so much more that it must be made to fill memory.</summary>
internal sealed class BoundedText(Stream text, Stream file) : ForwardStream
{
    // Rows of text shrink to a third or a tenth; the same row again and again, to a thousandth.
    private const int MostTimes = 200;
    private const long AnyBytes = 64L << 20;

    private long _count;

    public override int Read(Span<byte> buffer)
    {
        int count = text.Read(buffer);
        _count += count;
        return _count <= AnyBytes || _count / MostTimes <= file.Position
            ? count
            : throw new InvalidDataException(
                $"what is compressed becomes more than {MostTimes} times as long, which no text does. If it is right, decompress the file."
            );
    }

    protected override void Dispose(bool disposing)
    {
        text.Dispose();
        base.Dispose(disposing);
    }
}

/// <summary>
/// What gzip compressed. .NET's stream takes a file that was cut off for a whole one. So another compressed part of known bytes is put
/// after the file, as parts of gzip files may follow one another: only if the file is complete, these are what comes out last.
/// </summary>
internal sealed class GzipText : ForwardStream
{
    private static readonly byte[] End = new Guid("5c0de1ab-7a11-4e0d-9f5e-d2c3a4b5e6f7").ToByteArray();
    private static readonly byte[] CompressedEnd = Compress(End);

    private readonly LengthenedFile _file;
    private readonly GZipStream _text;
    private MemoryStream? _rest;

    public GzipText(Stream file)
    {
        _file = new LengthenedFile(file);
        _text = new GZipStream(_file, CompressionMode.Decompress);
    }

    public override int Read(Span<byte> buffer)
    {
        if (_rest is null)
        {
            int count = Decompress(buffer);
            if (!_file.IsOver)
            {
                return count > 0 || buffer.IsEmpty ? count : throw new InvalidDataException("bytes follow what gzip compressed.");
            }

            _rest = Rest(buffer[..count]);
        }

        return _rest.Read(buffer);
    }

    protected override void Dispose(bool disposing)
    {
        _text.Dispose();
        base.Dispose(disposing);
    }

    // What comes after the file's last byte was taken, without the end that was added. It is short: what a small buffer had no place for,
    // or, where the file was cut off, what the decoder makes of some forty bytes.
    private MemoryStream Rest(ReadOnlySpan<byte> first)
    {
        var rest = new MemoryStream();
        rest.Write(first);
        byte[] buffer = new byte[1024];
        for (int count = Decompress(buffer); count > 0; count = Decompress(buffer))
        {
            rest.Write(buffer, 0, count);
        }

        if (!rest.GetBuffer().AsSpan(0, (int)rest.Length).EndsWith(End))
        {
            throw new InvalidDataException("what gzip compressed is cut off, or other bytes follow it.");
        }

        rest.SetLength(rest.Length - End.Length);
        rest.Position = 0;
        return rest;
    }

    private int Decompress(Span<byte> buffer)
    {
        try
        {
            return _text.Read(buffer);
        }
        catch (InvalidDataException e)
        {
            throw new InvalidDataException("what gzip compressed is damaged or cut off.", e);
        }
    }

    private static byte[] Compress(byte[] bytes)
    {
        using var compressed = new MemoryStream();
        using (var gzip = new GZipStream(compressed, CompressionLevel.Fastest, leaveOpen: true))
        {
            gzip.Write(bytes);
        }

        return compressed.ToArray();
    }

    private sealed class LengthenedFile(Stream file) : ForwardStream
    {
        private readonly MemoryStream _end = new(CompressedEnd);

        public bool IsOver { get; private set; }

        public override int Read(Span<byte> buffer)
        {
            int count = IsOver ? 0 : file.Read(buffer);
            IsOver |= count == 0 && !buffer.IsEmpty;
            return IsOver ? _end.Read(buffer) : count;
        }

        protected override void Dispose(bool disposing)
        {
            file.Dispose();
            base.Dispose(disposing);
        }
    }
}

/// <summary>What Brotli compressed. .NET's stream takes a file that was cut off for a whole one; its decoder knows.</summary>
internal sealed class BrotliText(Stream file) : ForwardStream
{
    private readonly byte[] _buffer = new byte[8192];
    private BrotliDecoder _decoder;
    private int _start;
    private int _end;
    private bool _isOver;

    public override int Read(Span<byte> buffer)
    {
        while (!_isOver && !buffer.IsEmpty)
        {
            OperationStatus status = _decoder.Decompress(_buffer.AsSpan(_start, _end - _start), buffer, out int consumed, out int written);
            _start += consumed;
            if (status == OperationStatus.InvalidData)
            {
                throw new InvalidDataException("what Brotli compressed is damaged.");
            }

            if (status == OperationStatus.Done)
            {
                _isOver = true;
                if (_start < _end || file.ReadByte() >= 0)
                {
                    throw new InvalidDataException("bytes follow what Brotli compressed.");
                }
            }

            if (written > 0)
            {
                return written;
            }

            if (!_isOver)
            {
                _start = 0;
                _end = file.Read(_buffer);
                if (_end == 0)
                {
                    throw new InvalidDataException("what Brotli compressed is cut off.");
                }
            }
        }

        return 0;
    }

    protected override void Dispose(bool disposing)
    {
        _decoder.Dispose();
        file.Dispose();
        base.Dispose(disposing);
    }
}
