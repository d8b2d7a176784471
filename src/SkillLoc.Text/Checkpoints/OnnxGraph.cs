using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using Google.Protobuf;

namespace SkillLoc.Models.Checkpoints;

/// <summary>The parts of an ONNX file that an import needs: nodes, initialisers, and the constants among the nodes. Tensors are not
/// copied.</summary>
/// <remarks>The fields and their numbers are those of <c>onnx.proto</c>.</remarks>
internal sealed class OnnxGraph
{
    private const int BytesOfField = 128;
    private const int BytesOfNode = 512;
    private const int MostDimensions = 64;

    // They are shapes and places; weights are not packed.
    private const int MostNumbers = 1 << 16;

    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly string _name;
    private readonly Dictionary<string, OnnxTensor> _tensors = new(StringComparer.Ordinal);
    private readonly Dictionary<string, OnnxNode> _makers = new(StringComparer.Ordinal);
    private readonly Dictionary<string, List<OnnxNode>> _readers = new(StringComparer.Ordinal);
    private readonly List<OnnxNode> _nodes = [];

    /// <summary>Reads a file's bytes, which must not change while the graph is used.</summary>
    /// <param name="bytes">A whole ONNX file.</param>
    /// <param name="name">Its name in error messages.</param>
    /// <exception cref="InvalidDataException">The bytes are not a complete ONNX file.</exception>
    public OnnxGraph(byte[] bytes, string name)
    {
        _name = name;
        try
        {
            foreach ((int Number, ArraySegment<byte> Bytes, ulong Value) field in Fields(bytes).Where(field => field.Number == 7))
            {
                ReadGraph(field.Bytes);
            }
        }
        catch (InvalidProtocolBufferException e)
        {
            throw Damaged(e.Message.TrimEnd('.'), e);
        }
        catch (DecoderFallbackException e)
        {
            throw Damaged("a name is not valid UTF-8", e);
        }
        if (_nodes.Count == 0)
        {
            throw Damaged("it holds no graph");
        }
    }

    /// <summary>The nodes in the order of the file.</summary>
    public IReadOnlyList<OnnxNode> Nodes => _nodes;

    /// <summary>The initialisers and constants by name.</summary>
    public IReadOnlyDictionary<string, OnnxTensor> Tensors => _tensors;

    /// <summary>The node that makes a value; null for an initialiser or an input.</summary>
    public OnnxNode? Maker(string value) => _makers.GetValueOrDefault(value);

    /// <summary>The nodes that read a value.</summary>
    public IReadOnlyList<OnnxNode> Readers(string value) => _readers.TryGetValue(value, out List<OnnxNode>? nodes) ? nodes : [];

    private void ReadGraph(ArraySegment<byte> graph)
    {
        long most = FileMemory.MostObjects(graph.Count, BytesOfNode);
        foreach ((int Number, ArraySegment<byte> Bytes, ulong Value) field in Fields(graph))
        {
            if (_nodes.Count + _tensors.Count > most)
            {
                throw Damaged($"it has more than {most} nodes and tensors, which would take too much memory for their length");
            }

            if (field.Number == 1)
            {
                Add(ReadNode(field.Bytes));
            }
            else if (field.Number == 5)
            {
                Add(ReadTensor(field.Bytes));
            }
        }
    }

    private void Add(OnnxTensor tensor)
    {
        if (!_tensors.TryAdd(tensor.Name, tensor))
        {
            throw Damaged($"it has two tensors '{tensor.Name}'");
        }
    }

    private void Add(OnnxNode node)
    {
        if (node is { Operator: "Constant", Value: { } value, Outputs: [var output] })
        {
            Add(value with { Name = output });
            return;
        }

        _nodes.Add(node);
        foreach (string name in node.Outputs)
        {
            _makers[name] = node;
        }

        foreach (string? name in node.Inputs.Distinct(StringComparer.Ordinal))
        {
            if (!_readers.TryGetValue(name, out List<OnnxNode>? readers))
            {
                _readers.Add(name, readers = []);
            }

            readers.Add(node);
        }
    }

    private OnnxNode ReadNode(ArraySegment<byte> bytes)
    {
        List<string> inputs = [],
            outputs = [];
        string kind = "";
        OnnxTensor? value = null;
        float? epsilon = null;
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
                case 4:
                    kind = Text(field.Bytes);
                    break;
                case 5:
                    ReadAttribute(field.Bytes, ref value, ref epsilon);
                    break;
                default:
                    break;
            }
        }
        return new(kind, inputs, outputs) { Value = value, Epsilon = epsilon };
    }

    /// <summary>Of the attributes, the tensor of a Constant and the epsilon of a LayerNormalization are read.</summary>
    private void ReadAttribute(ArraySegment<byte> bytes, ref OnnxTensor? value, ref float? epsilon)
    {
        string name = "";
        OnnxTensor? tensor = null;
        float? number = null;
        foreach ((int Number, ArraySegment<byte> Bytes, ulong Value) field in Fields(bytes))
        {
            if (field.Number == 1)
            {
                name = Text(field.Bytes);
            }
            else if (field.Number == 2)
            {
                number = BitConverter.UInt32BitsToSingle((uint)field.Value);
            }
            else if (field.Number == 5)
            {
                tensor = ReadTensor(field.Bytes);
            }
        }
        value = string.Equals(name, "value", StringComparison.Ordinal) ? tensor ?? value : value;
        epsilon = string.Equals(name, "epsilon", StringComparison.Ordinal) ? number ?? epsilon : epsilon;
    }

    private OnnxTensor ReadTensor(ArraySegment<byte> bytes) => ReadTensor(bytes, _name);

    /// <summary>Reads a tensor's message.</summary>
    /// <inheritdoc cref="Fields(ArraySegment{byte}, string)"/>
    public static OnnxTensor ReadTensor(ArraySegment<byte> message, string file)
    {
        List<long> shape = [];
        (string? name, int type, bool isElsewhere) = ("", 0, false);
        ArraySegment<byte> data = default;
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
                case 7 when field.Bytes.Array is not null:
                    data = Raw(Integers(field.Bytes, file));
                    break;
                case 8:
                    name = Text(field.Bytes);
                    break;
                case 14:
                    isElsewhere = field.Value == 1;
                    break;
                default:
                    break;
            }
        }
        return new(name, type, [.. shape], data, isElsewhere);
    }

    private static ArraySegment<byte> Raw(List<long> numbers)
    {
        byte[] bytes = new byte[numbers.Count * sizeof(long)];
        for (int i = 0; i < numbers.Count; i++)
        {
            BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(i * sizeof(long)), numbers[i]);
        }

        return bytes;
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

/// <summary>A node of an ONNX graph.</summary>
/// <param name="Operator">The operator, for example <c>MatMul</c>.</param>
/// <param name="Inputs">What it reads.</param>
/// <param name="Outputs">What it makes.</param>
internal sealed record OnnxNode(string Operator, IReadOnlyList<string> Inputs, IReadOnlyList<string> Outputs)
{
    /// <summary>The tensor of a <c>Constant</c>; null for others.</summary>
    public OnnxTensor? Value { get; init; }

    /// <summary>The attribute <c>epsilon</c>; null without one.</summary>
    public float? Epsilon { get; init; }
}

/// <summary>A tensor in an ONNX file.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">The number of its element type: <see cref="Float32"/>, <see cref="Int64"/> or another.</param>
/// <param name="Shape">The lengths of its dimensions.</param>
/// <param name="Data">Its values, row-major and little-endian.</param>
/// <param name="IsElsewhere">Whether its values lie in another file.</param>
internal sealed record OnnxTensor(string Name, int Type, long[] Shape, ArraySegment<byte> Data, bool IsElsewhere)
{
    public const int Float32 = 1;
    public const int Int64 = 7;
    public const int Float16 = 10;

    /// <summary>The values of an Int64 tensor; empty for others.</summary>
    public long[] Integers => Type == Int64 ? [.. MemoryMarshal.Cast<byte, long>(Data.AsSpan())] : [];

    /// <summary>The one value of a float32 tensor of one element; null for others.</summary>
    public float? Single => Type == Float32 && Data.Count == sizeof(float) ? BinaryPrimitives.ReadSingleLittleEndian(Data) : null;
}
