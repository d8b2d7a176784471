using System.Buffers.Binary;
using System.Text;

namespace SkillLoc.Models.Tokenization;

/// <summary>What a <c>spiece.model</c> holds: the fields of SentencePiece's <c>ModelProto</c> that encoding needs.</summary>
/// <remarks>
/// Read field by field: a generated class would tie the project to one version of Google.Protobuf, of which ML.NET and TorchSharp
/// bring their own.
/// </remarks>
internal sealed class SentencePieceFile
{
    private const int Varint = 0, Fixed64 = 1, Bytes = 2, Fixed32 = 5;

    private SentencePieceFile()
    {
    }

    /// <summary>SentencePiece's <c>SentencePiece.Type</c>.</summary>
    internal enum PieceType
    {
        Normal = 1,
        Unknown = 2,
        Control = 3,
        UserDefined = 4,
        Unused = 5,
        Byte = 6,
    }

    /// <summary>Pieces by id.</summary>
    public List<(string Text, float Score, PieceType Type)> Pieces { get; } = [];

    /// <summary>The rules that characters are replaced by; empty for none.</summary>
    public ReadOnlyMemory<byte> CharsMap { get; private set; }

    /// <summary>Whether a text begins with a space that it does not have.</summary>
    public bool AddsDummyPrefix { get; private set; } = true;

    /// <summary>Whether spaces around a text go, and of several within one stays.</summary>
    public bool RemovesExtraSpaces { get; private set; } = true;

    /// <summary>Whether characters that no piece has become bytes.</summary>
    public bool FallsBackToBytes { get; private set; }

    /// <summary>Reads a file.</summary>
    /// <exception cref="InvalidDataException">It is not complete.</exception>
    /// <exception cref="NotSupportedException">Its model is not a unigram model, or marks words at their end.</exception>
    public static SentencePieceFile Read(string path)
    {
        var file = new SentencePieceFile();
        try
        {
            file.ReadModel(File.ReadAllBytes(path), path);
        }
        catch (Exception e) when (e is ArgumentOutOfRangeException or IndexOutOfRangeException or OverflowException or DecoderFallbackException)
        {
            throw new InvalidDataException($"{path} is not a complete SentencePiece model.", e);
        }

        return file.Pieces.Count > 0 ? file : throw new InvalidDataException($"{path} is not a SentencePiece model: it holds no pieces.");
    }

    private void ReadModel(ReadOnlyMemory<byte> bytes, string path)
    {
        foreach (var (field, number, content) in Fields(bytes))
        {
            if (field == 1)
                ReadPiece(content);
            else if (field == 2)
                ReadTraining(content, path);
            else if (field == 3)
                ReadNormalizer(content);
        }
    }

    private void ReadPiece(ReadOnlyMemory<byte> bytes)
    {
        var (text, score, type) = ("", 0f, PieceType.Normal);
        foreach (var (field, number, content) in Fields(bytes))
        {
            if (field == 1)
                text = new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(content.Span);
            else if (field == 2)
                score = BitConverter.Int32BitsToSingle((int)number);
            else if (field == 3)
                type = (PieceType)number;
        }
        Pieces.Add((text, score, type));
    }

    private void ReadTraining(ReadOnlyMemory<byte> bytes, string path)
    {
        foreach (var (field, number, _) in Fields(bytes))
        {
            if (field == 3 && number != 1)
                throw new NotSupportedException($"{path} holds a SentencePiece model of type {number}; only unigram models (1) are supported.");
            if (field == 24 && number != 0)
                throw new NotSupportedException($"{path} holds a SentencePiece model that marks words at their end (treat_whitespace_as_suffix), which is not supported.");
            if (field == 35)
                FallsBackToBytes = number != 0;
        }
    }

    private void ReadNormalizer(ReadOnlyMemory<byte> bytes)
    {
        foreach (var (field, number, content) in Fields(bytes))
        {
            if (field == 2)
                CharsMap = content;
            else if (field == 3)
                AddsDummyPrefix = number != 0;
            else if (field == 4)
                RemovesExtraSpaces = number != 0;
        }
    }

    /// <summary>The fields of a message: number, and either a number or bytes.</summary>
    private static IEnumerable<(int Field, long Number, ReadOnlyMemory<byte> Content)> Fields(ReadOnlyMemory<byte> bytes)
    {
        var at = 0;
        while (at < bytes.Length)
        {
            var key = ReadVarint(bytes.Span, ref at);
            var (field, number, content) = ((int)(key >> 3), 0L, ReadOnlyMemory<byte>.Empty);
            switch ((int)(key & 7))
            {
                case Varint:
                    number = ReadVarint(bytes.Span, ref at);
                    break;
                case Fixed64:
                    at += 8;
                    break;
                case Bytes:
                    var length = checked((int)ReadVarint(bytes.Span, ref at));
                    content = bytes.Slice(at, length);
                    at += length;
                    break;
                case Fixed32:
                    number = BinaryPrimitives.ReadInt32LittleEndian(bytes.Span[at..]);
                    at += 4;
                    break;
                default:
                    throw new ArgumentOutOfRangeException(nameof(bytes), "A field has a type that protocol buffers do not have.");
            }
            yield return (field, number, content);
        }
    }

    private static long ReadVarint(ReadOnlySpan<byte> bytes, ref int at)
    {
        var value = 0L;
        for (var shift = 0; shift < 64; shift += 7)
        {
            var part = bytes[at++];
            value |= (long)(part & 0x7F) << shift;
            if (part < 0x80)
                return value;
        }
        throw new OverflowException("A number is longer than 64 bits.");
    }
}
