using System.Runtime.InteropServices;
using System.Text;
using Google.Protobuf;

namespace SkillLoc.Models.Checkpoints;

/// <content>Reads the messages of a file.</content>
internal sealed partial class OnnxGraph
{
    private const int BytesOfField = 128;
    private const int MostDimensions = 64;

    // They are shapes and places; weights are not packed.
    private const int MostNumbers = 1 << 16;

    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private OnnxFunction ReadFunction(ArraySegment<byte> bytes)
    {
        List<string> inputs = [],
            outputs = [];
        List<OnnxNode> nodes = [];
        (string name, string domain, string overload) = ("", "", "");
        var attributes = new Dictionary<string, OnnxAttribute>(StringComparer.Ordinal);
        foreach ((int Number, ArraySegment<byte> Bytes, ulong Value) field in Fields(bytes))
        {
            switch (field.Number)
            {
                case 1:
                    name = Text(field.Bytes);
                    break;
                case 4:
                    inputs.Add(Text(field.Bytes));
                    break;
                case 5:
                    outputs.Add(Text(field.Bytes));
                    break;
                case 7:
                    nodes.Add(ReadNode(field.Bytes));
                    break;
                case 10:
                    domain = Text(field.Bytes);
                    break;
                case 11:
                    OnnxAttribute attribute = ReadAttribute(field.Bytes, out string key);
                    attributes[key] = attribute;
                    break;
                case 13:
                    overload = Text(field.Bytes);
                    break;
                default:
                    break;
            }
        }

        return new(OnnxFunction.KeyOf(domain, name, overload), inputs, outputs, attributes, nodes);
    }

    private OnnxNode ReadNode(ArraySegment<byte> bytes)
    {
        List<string> inputs = [],
            outputs = [];
        (string kind, string name, string domain, string overload) = ("", "", "", "");
        var attributes = new Dictionary<string, OnnxAttribute>(StringComparer.Ordinal);
        foreach ((int Number, ArraySegment<byte> Bytes, ulong Value) field in Fields(bytes))
        {
            switch (field.Number)
            {
                case 1:
                    inputs.Add(Text(field.Bytes));
                    break;
                case 2:
                    outputs.Add(Text(field.Bytes));
                    break;
                case 3:
                    name = Text(field.Bytes);
                    break;
                case 4:
                    kind = Text(field.Bytes);
                    break;
                case 5:
                    OnnxAttribute attribute = ReadAttribute(field.Bytes, out string key);
                    attributes[key] = attribute;
                    break;
                case 7:
                    domain = Text(field.Bytes);
                    break;
                case 8:
                    overload = Text(field.Bytes);
                    break;
                default:
                    break;
            }
        }

        if (outputs.Count == 0)
        {
            throw Damaged($"a {kind} makes nothing");
        }

        return new(kind, inputs, outputs)
        {
            Name = name,
            Domain = domain,
            Overload = overload,
            Attributes = attributes,
        };
    }

    private OnnxAttribute ReadAttribute(ArraySegment<byte> bytes, out string name)
    {
        name = "";
        var attribute = new OnnxAttribute();
        List<long> integers = [];
        List<float> numbers = [];
        foreach ((int Number, ArraySegment<byte> Bytes, ulong Value) field in Fields(bytes))
        {
            switch (field.Number)
            {
                case 1:
                    name = Text(field.Bytes);
                    break;
                case 2:
                    attribute = attribute with { Number = BitConverter.UInt32BitsToSingle((uint)field.Value) };
                    break;
                case 3:
                    attribute = attribute with { Integer = (long)field.Value };
                    break;
                case 4:
                    attribute = attribute with { Text = Text(field.Bytes) };
                    break;
                case 5:
                    attribute = attribute with { Tensor = ReadTensor(field.Bytes) };
                    break;
                case 7 when field.Bytes.Array is null:
                    numbers.Add(BitConverter.UInt32BitsToSingle((uint)field.Value));
                    break;
                case 7 when field.Bytes.Count % sizeof(float) == 0:
                    numbers.AddRange(MemoryMarshal.Cast<byte, float>(field.Bytes.AsSpan()));
                    break;
                case 8:
                    integers.AddRange(field.Bytes.Array is null ? [(long)field.Value] : Integers(field.Bytes, _name));
                    break;
                case 21:
                    attribute = attribute with { Reference = Text(field.Bytes) };
                    break;
                default:
                    break;
            }
        }

        return attribute with
        {
            Integers = [.. integers],
            Numbers = [.. numbers],
        };
    }

    private OnnxTensor ReadTensor(ArraySegment<byte> bytes) => ReadTensor(bytes, _name);

    /// <summary>Reads a tensor's message.</summary>
    /// <inheritdoc cref="Fields(ArraySegment{byte}, string)"/>
    public static OnnxTensor ReadTensor(ArraySegment<byte> message, string file)
    {
        List<long> shape = [];
        (string name, int type, bool isElsewhere) = ("", 0, false);
        ArraySegment<byte> data = default;
        List<long> integers = [];
        var place = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach ((int Number, ArraySegment<byte> Bytes, ulong Value) field in Fields(message, file))
        {
            switch (field.Number)
            {
                case 1:
                    shape.AddRange(field.Bytes.Array is null ? [(long)field.Value] : Integers(field.Bytes, file));
                    if (shape.Count > MostDimensions)
                    {
                        throw Damaged(file, $"a tensor has more than {MostDimensions} dimensions");
                    }

                    break;
                case 2:
                    type = (int)field.Value;
                    break;
                // Packed numbers of four bytes lie there as raw data does.
                case 4 when field.Bytes.Array is not null:
                case 9:
                    data = field.Bytes;
                    break;
                case 5 or 7:
                    integers.AddRange(field.Bytes.Array is null ? [(long)field.Value] : Integers(field.Bytes, file));
                    break;
                case 8:
                    name = Text(field.Bytes);
                    break;
                case 13:
                    string[] entry = [.. Fields(field.Bytes, file).Where(part => part.Number is 1 or 2).Select(part => Text(part.Bytes))];
                    if (entry is [var key, var value])
                    {
                        place[key] = value;
                    }

                    break;
                case 14:
                    isElsewhere = field.Value == 1;
                    break;
                default:
                    break;
            }
        }

        return new(name, type, [.. shape], integers.Count > 0 ? OnnxTensor.Raw(type, integers) : data)
        {
            External = isElsewhere ? OnnxExternal.Of(place) : null,
        };
    }

    private static List<long> Integers(ArraySegment<byte> packed, string file)
    {
        var numbers = new List<long>();
        using var input = new CodedInputStream(packed.Array!, packed.Offset, packed.Count);
        while (!input.IsAtEnd)
        {
            numbers.Add(input.ReadInt64());
            if (numbers.Count > MostNumbers)
            {
                throw Damaged(file, $"a tensor holds more than {MostNumbers} packed numbers of eight bytes");
            }
        }

        return numbers;
    }

    private static string Text(ArraySegment<byte> bytes) => Utf8.GetString(bytes);

    private InvalidDataException Damaged(string what, Exception? cause = null) => Damaged(_name, what, cause);

    private static InvalidDataException Damaged(string name, string what, Exception? cause = null) =>
        new($"{name} is not a complete ONNX file ({what}); it may be damaged or cut off.", cause);

    private IEnumerable<(int Number, ArraySegment<byte> Bytes, ulong Value)> Fields(ArraySegment<byte> message) => Fields(message, _name);

    /// <summary>The fields of a message, those of length-delimited ones as parts of the message's own array.</summary>
    /// <param name="message">The message.</param>
    /// <param name="name">The file's name in error messages.</param>
    /// <exception cref="InvalidDataException">A field is longer than the message.</exception>
    /// <exception cref="InvalidProtocolBufferException">The bytes are no message.</exception>
    public static IEnumerable<(int Number, ArraySegment<byte> Bytes, ulong Value)> Fields(ArraySegment<byte> message, string name)
    {
        // A field that is no message has no bytes.
        if (message.Count == 0)
        {
            yield break;
        }

        byte[] array = message.Array!;
        int end = message.Offset + message.Count;
        long most = FileMemory.MostObjects(message.Count, BytesOfField);
        using var input = new CodedInputStream(array, message.Offset, message.Count);
        for (long count = 1; input.Position < end; count++)
        {
            int at = (int)input.Position;
            if (count > most)
            {
                throw Damaged(name, $"from byte {message.Offset} to byte {at} it has {count} fields, which would take too much memory");
            }

            uint tag = input.ReadTag();
            int number = WireFormat.GetTagFieldNumber(tag);
            ArraySegment<byte> bytes = default;
            ulong value = 0;
            switch (WireFormat.GetTagWireType(tag))
            {
                case WireFormat.WireType.LengthDelimited:
                    // The library would copy the content; so its length's own bytes are counted, and it is passed over.
                    int start = (int)input.Position;
                    while (start < end && array[start] >= 0x80)
                    {
                        start++;
                    }

                    start++;
                    Pass(input, at, end, name);
                    bytes = new(array, start, (int)input.Position - start);
                    break;
                case WireFormat.WireType.Varint:
                    value = input.ReadUInt64();
                    break;
                case WireFormat.WireType.Fixed32:
                    value = input.ReadFixed32();
                    break;
                default:
                    input.SkipLastField();
                    break;
            }
            yield return (number, bytes, value);
        }
    }

    private static void Pass(CodedInputStream input, int at, int end, string name)
    {
        try
        {
            input.SkipLastField();
        }
        catch (InvalidProtocolBufferException e)
        {
            throw Damaged(name, $"at byte {at} a field begins that is longer than the {end - at} bytes that are left", e);
        }
    }
}
