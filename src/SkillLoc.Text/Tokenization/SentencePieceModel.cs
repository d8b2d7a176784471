using System.Buffers.Binary;
using System.Text;
using Google.Protobuf;
using Microsoft.ML.Tokenizers;
using SkillLoc.Models.Checkpoints;

namespace SkillLoc.Models.Tokenization;

/// <summary>A <c>spiece.model</c>: its pieces, and the encoding of texts by <see cref="SentencePieceTokenizer"/>.</summary>
/// <remarks>
/// The library's version 2.0.1 throws on T5's models, which have no token for the start of a text; it keeps characters that the model's
/// rules remove, and throws where they make more than twice as many; it gives each of several unknown characters in a row an id of its own,
/// and looks for bytes at wrong ids. So it receives an adapted model and a text in which such characters are replaced; the rest is done
/// here.
/// </remarks>
internal sealed class SentencePieceModel
{
    // The library's trie is built by one call within another for each byte of a piece. SentencePiece's own end at 16 characters.
    private const int LongestPiece = 1024;

    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    // Of pieces of a few letters, in the library's trie and here.
    private const int BytesOfPiece = 200;

    private readonly string _path;
    private readonly SentencePieceTokenizer _tokenizer;
    private readonly CharsMap? _rules;

    /// <summary>Reads a file.</summary>
    /// <param name="file">The file.</param>
    /// <param name="path">Its name in error messages.</param>
    /// <param name="isSpecial">Returns true for pieces that are never matched, whatever their type.</param>
    /// <exception cref="InvalidDataException">The file is incomplete.</exception>
    /// <exception cref="NotSupportedException">The model is not a unigram model.</exception>
    public SentencePieceModel(byte[] file, string path, Predicate<string> isSpecial)
    {
        _path = path;
        using var model = new MemoryStream(file.Length + 64);
        ByteString rules = Complete(() => Copy(file, model, isSpecial));
        Unknown = Check();
        _rules = rules.IsEmpty ? null : new CharsMap(rules.Span, path);
        WriteField(model, 2, TrainingWithoutStart());
        WriteField(model, 3, []); // The library needs a NormalizerSpec, if only an empty one.
        model.Position = 0;
        _tokenizer = Complete(() => SentencePieceTokenizer.Create(model, addBeginningOfSentence: false));
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

    /// <summary>Pieces by id, all different.</summary>
    public List<(string Text, PieceType Type)> Pieces { get; } = [];

    /// <summary>The id of unknown text.</summary>
    public int Unknown { get; }

    /// <summary>True when <c>byte_fallback</c> is set: characters without a piece become bytes.</summary>
    public bool FallsBackToBytes { get; private set; }

    /// <summary>Encodes a text without lone surrogates.</summary>
    /// <param name="text">The text.</param>
    /// <param name="bytes">Ids of the 256 bytes for characters without a piece; null if a run of such characters is one unknown
    /// token.</param>
    public List<int> Encode(string text, int[]? bytes)
    {
        if (_rules is not null && text.AsSpan().ContainsAnyExceptInRange(' ', '~'))
        {
            text = Replace(text, _rules);
        }

        var ids = new List<int>();
        IReadOnlyList<EncodedToken> tokens = Complete(() => _tokenizer.EncodeToTokens(text, out _));
        for (int i = 0; i < tokens.Count; i++)
        {
            EncodedToken token = tokens[i];
            if (token.Id != Unknown)
            {
                ids.Add(token.Id);
            }
            else if (bytes is not null)
            {
                ids.AddRange(Encoding.UTF8.GetBytes(token.Value).Select(value => bytes[value]));
            }
            else if (ids.Count == 0 || ids[^1] != Unknown)
            {
                ids.Add(Unknown);
            }
        }
        return ids;
    }

    /// <summary>
    /// Applies the rules that the library gets wrong: characters that become none or more than two. (A mark after a removed character then
    /// joins the previous letter.)
    /// </summary>
    private static string Replace(string text, CharsMap rules)
    {
        var result = new StringBuilder(text.Length);
        Span<byte> utf8 = stackalloc byte[4];
        for (ReadOnlySpan<char> rest = text.AsSpan(); !rest.IsEmpty; )
        {
            int plain = rest.IndexOfAnyExceptInRange(' ', '~');
            result.Append(plain < 0 ? rest : rest[..plain]);
            if (plain < 0)
            {
                break;
            }

            Rune.DecodeFromUtf16(rest[plain..], out Rune letter, out int units);
            (int length, string? replacement) = rules.Match(utf8[..letter.EncodeToUtf8(utf8)]);
            result.Append(length > 0 && replacement.Length is 0 or > 2 ? replacement : rest.Slice(plain, units));
            rest = rest[(plain + units)..];
        }
        return result.ToString();
    }

    /// <summary>Reads a <c>ModelProto</c> and copies it, special pieces as unused ones.</summary>
    /// <returns>The normalization rules; empty for none.</returns>
    private ByteString Copy(byte[] bytes, MemoryStream copy, Predicate<string> isSpecial)
    {
        var ids = new Dictionary<string, int>(StringComparer.Ordinal);
        long most = FileMemory.MostObjects(bytes.Length, BytesOfPiece);
        ByteString rules = ByteString.Empty;
        using var input = new CodedInputStream(bytes);
        for (int start = 0; input.ReadTag() is not 0 and var tag; start = (int)input.Position)
        {
            switch (WireFormat.GetTagFieldNumber(tag))
            {
                case 1:
                    ByteString piece = input.ReadBytes();
                    Add(ReadPiece(piece), ids, most);
                    if (isSpecial(Pieces[^1].Text))
                    {
                        WriteField(
                            copy,
                            1,
                            [.. piece.Span, (byte)WireFormat.MakeTag(3, WireFormat.WireType.Varint), (byte)PieceType.Unused]
                        );
                        continue;
                    }
                    break;
                case 2:
                    ReadTraining(input.ReadBytes());
                    break;
                case 3:
                    rules = ReadRules(input.ReadBytes()) ?? rules;
                    break;
                default:
                    input.SkipLastField();
                    break;
            }
            copy.Write(bytes.AsSpan(start, (int)input.Position - start));
        }
        return rules;
    }

    private void Add((string Text, PieceType Type) piece, Dictionary<string, int> ids, long most)
    {
        int id = Pieces.Count;
        if (!ids.TryAdd(piece.Text, id))
        {
            throw Malformed($"piece '{piece.Text}' has the ids {ids[piece.Text]} and {id}; every piece should occur once");
        }

        if (Encoding.UTF8.GetByteCount(piece.Text) > LongestPiece)
        {
            throw Malformed($"piece {id} is longer than {LongestPiece} bytes");
        }

        if (id >= most)
        {
            throw Malformed($"it has more than {most} pieces, which would take too much memory for their length");
        }

        Pieces.Add(piece);
    }

    private static (string Text, PieceType Type) ReadPiece(ByteString bytes)
    {
        (string? text, PieceType type) = ("", PieceType.Normal);
        Read(
            bytes,
            (field, input) =>
            {
                if (field == 1)
                {
                    text = Utf8.GetString(input.ReadBytes().Span);
                }
                else if (field == 3)
                {
                    type = (PieceType)input.ReadEnum();
                }

                return field is 1 or 3;
            }
        );
        return (text, type);
    }

    private void ReadTraining(ByteString bytes) =>
        Read(
            bytes,
            (field, input) =>
            {
                if (field == 3 && input.ReadEnum() is not 1 and var type)
                {
                    throw new NotSupportedException(
                        $"{_path} holds a SentencePiece model of type {type}; only unigram models (1) are supported."
                    );
                }

                if (field == 35)
                {
                    FallsBackToBytes = input.ReadBool();
                }

                return field is 3 or 35;
            }
        );

    private static ByteString? ReadRules(ByteString bytes)
    {
        ByteString? rules = null;
        Read(
            bytes,
            (field, input) =>
            {
                rules = field == 2 ? input.ReadBytes() : rules;
                return field == 2;
            }
        );
        return rules;
    }

    private static void Read(ByteString message, Func<int, CodedInputStream, bool> takes)
    {
        using CodedInputStream input = message.CreateCodedInput();
        while (input.ReadTag() is not 0 and var tag)
        {
            if (!takes(WireFormat.GetTagFieldNumber(tag), input))
            {
                input.SkipLastField();
            }
        }
    }

    /// <summary>The id of the unknown piece.</summary>
    private int Check()
    {
        int unknown = Pieces.FindIndex(piece => piece.Type == PieceType.Unknown);
        return unknown >= 0 ? unknown : throw Malformed("it has no piece for what it cannot spell");
    }

    /// <summary>
    /// A <c>TrainerSpec</c> without byte fallback, with the unknown token for all special tokens. Appended to a <c>ModelProto</c>, its
    /// fields override existing ones.
    /// </summary>
    private byte[] TrainingWithoutStart()
    {
        using var bytes = new MemoryStream();
        using (var output = new CodedOutputStream(bytes, leaveOpen: true))
        {
            output.WriteTag(35, WireFormat.WireType.Varint);
            output.WriteBool(false);
            for (int field = 40; field <= 43; field++)
            {
                output.WriteTag(field, WireFormat.WireType.Varint);
                output.WriteInt32(Unknown);
            }
        }
        return bytes.ToArray();
    }

    private static void WriteField(Stream stream, int field, ReadOnlySpan<byte> content)
    {
        using var output = new CodedOutputStream(stream, leaveOpen: true);
        output.WriteTag(field, WireFormat.WireType.LengthDelimited);
        output.WriteBytes(ByteString.CopyFrom(content));
    }

    /// <summary>Runs code that reads the file or its rules, and converts the library's various exceptions for damaged files.</summary>
    private T Complete<T>(Func<T> read)
    {
        try
        {
            return read();
        }
        catch (Exception e)
            when (e
                    is InvalidProtocolBufferException
                        or not (
                            IOException
                            or UnauthorizedAccessException
                            or NotSupportedException
                            or InvalidDataException
                            or OutOfMemoryException
                        )
            )
        {
            throw new InvalidDataException($"{_path} is not a complete SentencePiece model.", e);
        }
    }

    private InvalidDataException Malformed(string problem) => new($"{_path} is malformed: {problem}.");
}

/// <summary>
/// SentencePiece's compiled normalization rules (<c>precompiled_charsmap</c>): a double-array trie over UTF-8 from replaced texts to the
/// offsets of their replacements.
/// </summary>
internal sealed class CharsMap
{
    private readonly uint[] _trie;
    private readonly byte[] _replacements;

    /// <summary>Parses a map: the size of the trie in bytes, the trie, and zero-terminated replacements.</summary>
    /// <exception cref="InvalidDataException">The map is incomplete.</exception>
    public CharsMap(ReadOnlySpan<byte> blob, string source)
    {
        uint size = blob.Length < 4 ? 0 : BinaryPrimitives.ReadUInt32LittleEndian(blob);
        if (size == 0 || size % 4 != 0 || size > blob.Length - 4)
        {
            throw new InvalidDataException($"{source}: its normalization rules (precompiled_charsmap) are not complete.");
        }

        _trie = new uint[size / 4];
        for (int i = 0; i < _trie.Length; i++)
        {
            _trie[i] = BinaryPrimitives.ReadUInt32LittleEndian(blob[(4 + (4 * i))..]);
        }

        _replacements = blob[(4 + (int)size)..].ToArray();
    }

    /// <summary>Finds the shortest rule for the beginning of a text.</summary>
    /// <param name="text">UTF-8.</param>
    /// <returns>The number of replaced bytes, 0 without a rule, and the replacement.</returns>
    public (int Length, string Replacement) Match(ReadOnlySpan<byte> text)
    {
        uint node = Offset(_trie[0]);
        for (int i = 0; i < text.Length; i++)
        {
            node ^= text[i];
            if (node >= _trie.Length || (_trie[node] & 0x8000_00FF) != text[i])
            {
                break;
            }

            uint unit = _trie[node];
            node ^= Offset(unit);
            if ((unit >> 8 & 1) != 0 && node < _trie.Length)
            {
                return (i + 1, ReplacementAt((int)(_trie[node] & 0x7FFF_FFFF)));
            }
        }
        return (0, "");
    }

    private string ReplacementAt(int place)
    {
        Span<byte> rest = _replacements.AsSpan(Math.Min(place, _replacements.Length));
        int end = rest.IndexOf((byte)0);
        return Encoding.UTF8.GetString(end < 0 ? rest : rest[..end]);
    }

    private static uint Offset(uint unit) => unit >> 10 << (int)((unit & 0x200) >> 6);
}
