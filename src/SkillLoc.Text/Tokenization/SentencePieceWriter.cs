using System.Globalization;
using Google.Protobuf;
using PieceType = SkillLoc.Models.Tokenization.SentencePieceModel.PieceType;

namespace SkillLoc.Models.Tokenization;

/// <summary>Writes SentencePiece models for programs that use the library itself.</summary>
/// <remarks>The messages, fields and their numbers are those of <c>sentencepiece_model.proto</c>.</remarks>
internal static class SentencePieceWriter
{
    private const int PieceField = 1;
    private const int TrainerField = 2;
    private const int NormalizerField = 3;
    private const int SelfTestField = 4;

    /// <summary>A model with the pieces of another under other ids.</summary>
    /// <param name="path">The other, which was read before.</param>
    /// <param name="ids">The ids of the pieces; others between them become pieces that no text has.</param>
    /// <param name="isSpecial">Returns true for pieces that no text has, whatever their type.</param>
    /// <exception cref="InvalidDataException">It was changed since.</exception>
    public static byte[] Renumbered(string path, IReadOnlyDictionary<string, int> ids, Predicate<string> isSpecial)
    {
        byte[] model = File.ReadAllBytes(path);
        var pieces = new SortedDictionary<int, ByteString>();
        using var rest = new MemoryStream();
        using var input = new CodedInputStream(model);
        for (int start = 0; input.ReadTag() is not 0 and var tag; start = (int)input.Position)
        {
            if (WireFormat.GetTagFieldNumber(tag) == PieceField)
            {
                ByteString piece = input.ReadBytes();
                string text = TextOf(piece);
                if (!ids.TryGetValue(text, out int id) || !pieces.TryAdd(id, isSpecial(text) ? Unused(piece) : piece))
                {
                    throw new InvalidDataException($"{path} was changed since the tokenizer was loaded: its piece '{text}' is new.");
                }

                continue;
            }

            input.SkipLastField();

            // What the model says of itself for tests holds for its own ids.
            if (WireFormat.GetTagFieldNumber(tag) != SelfTestField)
            {
                rest.Write(model.AsSpan(start, (int)input.Position - start));
            }
        }

        var texts = ids.ToDictionary(entry => entry.Value, entry => entry.Key);
        byte[] written = Message(output =>
        {
            int next = 0;
            foreach ((int id, ByteString piece) in pieces)
            {
                for (; next < id; next++)
                {
                    Bytes(output, PieceField, Piece(texts.GetValueOrDefault(next) ?? Placeholder(next), 0, PieceType.Control));
                }

                Bytes(output, PieceField, piece);
                next++;
            }
        });
        return [.. written, .. rest.ToArray()];
    }

    /// <summary>A model of pieces, which joins spaces, removes those at both ends, and puts one before a text.</summary>
    /// <param name="pieces">Text, log-probability and type by id.</param>
    /// <param name="rules">The normalization rules; null for none.</param>
    public static byte[] Of(IEnumerable<(string Text, double Score, PieceType Type)> pieces, byte[]? rules) =>
        Message(output =>
        {
            int id = 0;
            foreach ((string text, double score, PieceType type) in pieces)
            {
                Bytes(output, PieceField, Piece(text.Length > 0 ? text : Placeholder(id), (float)score, type));
                id++;
            }

            Bytes(output, TrainerField, ByteString.Empty);
            Bytes(
                output,
                NormalizerField,
                ByteString.CopyFrom(
                    Message(normalizer =>
                    {
                        if (rules is not null)
                        {
                            Bytes(normalizer, 2, ByteString.CopyFrom(rules));
                        }
                    })
                )
            );
        });

    // A control character keeps it from being one of the vocabulary's.
    private static string Placeholder(int id) => string.Create(CultureInfo.InvariantCulture, $"\u0001{id}");

    private static string TextOf(ByteString piece)
    {
        using CodedInputStream input = piece.CreateCodedInput();
        string text = "";
        while (input.ReadTag() is not 0 and var tag)
        {
            if (WireFormat.GetTagFieldNumber(tag) == 1)
            {
                text = input.ReadString();
            }
            else
            {
                input.SkipLastField();
            }
        }

        return text;
    }

    // A later field of a message replaces an earlier one.
    private static ByteString Unused(ByteString piece) =>
        ByteString.CopyFrom([.. piece.Span, (byte)WireFormat.MakeTag(3, WireFormat.WireType.Varint), (byte)PieceType.Unused]);

    private static ByteString Piece(string text, float score, PieceType type) =>
        ByteString.CopyFrom(
            Message(piece =>
            {
                piece.WriteTag(1, WireFormat.WireType.LengthDelimited);
                piece.WriteString(text);
                piece.WriteTag(2, WireFormat.WireType.Fixed32);
                piece.WriteFloat(score);
                piece.WriteTag(3, WireFormat.WireType.Varint);
                piece.WriteEnum((int)type);
            })
        );

    private static void Bytes(CodedOutputStream output, int field, ByteString value)
    {
        output.WriteTag(field, WireFormat.WireType.LengthDelimited);
        output.WriteBytes(value);
    }

    private static byte[] Message(Action<CodedOutputStream> write)
    {
        using var memory = new MemoryStream();
        using (var output = new CodedOutputStream(memory, leaveOpen: true))
        {
            write(output);
        }

        return memory.ToArray();
    }
}
