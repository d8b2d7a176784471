using Google.Protobuf;

namespace SkillLoc.Fuzz;

/// <summary>Makes mutants of protobuf messages, whose inner lengths stay right.</summary>
internal static class ProtobufMutator
{
    private const int Deepest = 5;

    /// <summary>A mutant; null where the bytes are no message.</summary>
    public static byte[]? Next(byte[] message, IReadOnlyList<byte[]> words, Dice dice) => Next(message, words, dice, Deepest);

    private static byte[]? Next(byte[] message, IReadOnlyList<byte[]> words, Dice dice, int depth)
    {
        if (Fields(message) is not { Count: > 0 } fields)
        {
            return null;
        }

        int at = dice.Next(fields.Count);
        (uint tag, byte[] content) = fields[at];
        switch (dice.Next(10))
        {
            case 0:
                fields.RemoveAt(at);
                break;
            case 1:
                fields.Insert(dice.Next(fields.Count), fields[at]);
                break;
            case 2:
                fields[at] = (WireFormat.MakeTag(1 + dice.Next(45), WireFormat.GetTagWireType(tag)), content);
                break;
            case 3:
                int other = dice.Next(fields.Count);
                fields[at] = (
                    tag,
                    WireFormat.GetTagWireType(tag) == WireFormat.GetTagWireType(fields[other].Tag) ? fields[other].Content : content
                );
                break;
            default:
                byte[] changed =
                    WireFormat.GetTagWireType(tag) == WireFormat.WireType.LengthDelimited && depth > 0 && !dice.OneIn(6)
                        ? Next(content, words, dice, depth - 1) ?? Mutator.Bytes(content, words, [message], dice)
                        : Varint(dice);
                fields[at] = (
                    WireFormat.GetTagWireType(tag) is WireFormat.WireType.Varint or WireFormat.WireType.LengthDelimited
                        ? tag
                        : WireFormat.MakeTag(WireFormat.GetTagFieldNumber(tag), WireFormat.WireType.LengthDelimited),
                    changed
                );
                break;
        }

        using var bytes = new MemoryStream();
        using (var output = new CodedOutputStream(bytes, leaveOpen: true))
        {
            foreach ((uint number, byte[] value) in fields)
            {
                output.WriteTag(number);
                if (WireFormat.GetTagWireType(number) == WireFormat.WireType.LengthDelimited)
                {
                    output.WriteLength(value.Length);
                }

                output.WriteRawTag0(value);
            }
        }

        return bytes.ToArray();
    }

    private static void WriteRawTag0(this CodedOutputStream output, byte[] value)
    {
        foreach (byte each in value)
        {
            output.WriteRawTag(each);
        }
    }

    private static byte[] Varint(Dice dice)
    {
        using var bytes = new MemoryStream();
        using (var output = new CodedOutputStream(bytes, leaveOpen: true))
        {
            output.WriteUInt64(dice.OneIn(3) ? dice.Next() : (ulong)dice.Next(12));
        }

        return bytes.ToArray();
    }

    /// <summary>The fields of a message; null where the bytes are none.</summary>
    private static List<(uint Tag, byte[] Content)>? Fields(byte[] message)
    {
        var fields = new List<(uint Tag, byte[] Content)>();
        using var input = new CodedInputStream(message);
        try
        {
            while (!input.IsAtEnd)
            {
                uint tag = input.ReadTag();
                int start = (int)input.Position;
                if (WireFormat.GetTagWireType(tag) == WireFormat.WireType.LengthDelimited)
                {
                    fields.Add((tag, input.ReadBytes().ToByteArray()));
                }
                else
                {
                    input.SkipLastField();
                    fields.Add((tag, message[start..(int)input.Position]));
                }
            }
        }
        catch (InvalidProtocolBufferException)
        {
            return null;
        }

        return fields;
    }
}
