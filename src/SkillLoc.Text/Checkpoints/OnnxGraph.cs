using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using Google.Protobuf;

namespace SkillLoc.Models.Checkpoints;

/// <summary>The parts of an ONNX file that an import needs: nodes, initialisers, the constants among the nodes, inputs and outputs. Tensors
/// are not copied, and those in another file are read when they are asked for.</summary>
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
    private readonly string? _folder;
    private readonly List<OnnxInput> _inputs = [];
    private readonly List<string> _outputs = [];
    private readonly Dictionary<string, OnnxTensor> _tensors = new(StringComparer.Ordinal);
    private readonly Dictionary<string, OnnxNode> _makers = new(StringComparer.Ordinal);
    private readonly Dictionary<string, List<OnnxNode>> _readers = new(StringComparer.Ordinal);
    private readonly List<OnnxNode> _nodes = [];

    /// <summary>Reads a file's bytes, which must not change while the graph is used.</summary>
    /// <param name="bytes">A whole ONNX file.</param>
    /// <param name="name">Its name in error messages.</param>
    /// <param name="folder">Where the files lie that its tensors refer to; null for none.</param>
    /// <exception cref="InvalidDataException">The bytes are not a complete ONNX file.</exception>
    public OnnxGraph(byte[] bytes, string name, string? folder = null)
    {
        _name = name;
        _folder = folder;
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

    /// <summary>The inputs, without those that only name an initialiser.</summary>
    public IEnumerable<OnnxInput> Inputs => _inputs.Where(input => !_tensors.ContainsKey(input.Name));

    /// <summary>The outputs.</summary>
    public IReadOnlyList<string> Outputs => _outputs;

    /// <summary>The initialisers and constants by name.</summary>
    public IReadOnlyDictionary<string, OnnxTensor> Tensors => _tensors;

    /// <summary>The node that makes a value; null for an initialiser or an input.</summary>
    public OnnxNode? Maker(string value) => _makers.GetValueOrDefault(value);

    /// <summary>The nodes that read a value.</summary>
    public IReadOnlyList<OnnxNode> Readers(string value) => _readers.TryGetValue(value, out List<OnnxNode>? nodes) ? nodes : [];

    /// <summary>The values of a tensor, row-major and little-endian.</summary>
    /// <exception cref="InvalidDataException">They lie in another file, which is missing or too short.</exception>
    public ArraySegment<byte> Data(OnnxTensor tensor)
    {
        if (tensor.External is not { } place)
        {
            return tensor.Data;
        }

        if (
            _folder is null
            || place.Location.Length == 0
            || place.Location is "." or ".."
            || place.Location.AsSpan().ContainsAny('/', '\\', ':')
        )
        {
            throw new InvalidDataException($"{_name}: the values of '{tensor.Name}' lie in another file ('{place.Location}').");
        }

        string path = Path.Join(_folder, place.Location);
        if (!File.Exists(path))
        {
            throw new InvalidDataException($"{_name}: the values of '{tensor.Name}' lie in '{path}', which does not exist.");
        }

        using FileStream file = File.OpenRead(path);
        long length = place.Length ?? file.Length - place.Offset;
        if (place.Offset < 0 || length < 0 || length > Array.MaxLength || place.Offset > file.Length - length)
        {
            throw new InvalidDataException(
                $"{_name}: the values of '{tensor.Name}' are {length} bytes at {place.Offset} of '{path}', which has {file.Length}."
            );
        }

        byte[] bytes = new byte[length];
        file.Position = place.Offset;
        file.ReadExactly(bytes);
        return bytes;
    }

    private void ReadGraph(ArraySegment<byte> graph)
    {
        long most = FileMemory.MostObjects(graph.Count, BytesOfNode);
        foreach ((int Number, ArraySegment<byte> Bytes, ulong Value) field in Fields(graph))
        {
            if (_nodes.Count + _tensors.Count + _inputs.Count + _outputs.Count > most)
            {
                throw Damaged($"it has more than {most} nodes and tensors, which would take too much memory for their length");
            }

            switch (field.Number)
            {
                case 1:
                    Add(ReadNode(field.Bytes));
                    break;
                case 5:
                    Add(ReadTensor(field.Bytes));
                    break;
                case 11:
                    _inputs.Add(ReadInput(field.Bytes));
                    break;
                case 12:
                    _outputs.Add(ReadInput(field.Bytes).Name);
                    break;
                default:
                    break;
            }
        }
    }

    /// <summary>A ValueInfo: its name, and its TypeProto's tensor type's shape's dimensions.</summary>
    private OnnxInput ReadInput(ArraySegment<byte> message)
    {
        string name = "";
        List<long> sizes = [];
        foreach ((int Number, ArraySegment<byte> Bytes, ulong Value) field in Fields(message))
        {
            if (field.Number == 1)
            {
                name = Text(field.Bytes);
            }
            else if (field.Number == 2)
            {
                sizes.AddRange(
                    Parts(field.Bytes, 1)
                        .SelectMany(tensor => Parts(tensor, 2))
                        .SelectMany(shape => Parts(shape, 1))
                        .Select(dimension => Fields(dimension).FirstOrDefault(part => part.Number == 1))
                        .Select(size => size.Number == 1 ? (long)size.Value : OnnxInput.Free)
                );
            }
        }

        return new(name, [.. sizes]);
    }

    private IEnumerable<ArraySegment<byte>> Parts(ArraySegment<byte> message, int number) =>
        Fields(message).Where(field => field.Number == number && field.Bytes.Array is not null).Select(field => field.Bytes);

    private void Add(OnnxTensor tensor)
    {
        if (!_tensors.TryAdd(tensor.Name, tensor))
        {
            throw Damaged($"it has two tensors '{tensor.Name}'");
        }
    }

    private void Add(OnnxNode node)
    {
        if (node is { Operator: "Constant", Outputs: [var output] } && Constant(node) is { } value)
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

    private static OnnxTensor? Constant(OnnxNode node)
    {
        foreach ((string name, OnnxAttribute attribute) in node.Attributes)
        {
            switch (name)
            {
                case "value":
                    return attribute.Tensor;
                case "value_float":
                    return OnnxTensor.Of([], [attribute.Number]);
                case "value_floats":
                    return OnnxTensor.Of([attribute.Numbers.Length], attribute.Numbers);
                case "value_int":
                    return OnnxTensor.Of([], [attribute.Integer]);
                case "value_ints":
                    return OnnxTensor.Of([attribute.Integers.Length], attribute.Integers);
                default:
                    break;
            }
        }

        return null;
    }

    private OnnxNode ReadNode(ArraySegment<byte> bytes)
    {
        List<string> inputs = [],
            outputs = [];
        (string kind, string name, string domain) = ("", "", "");
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
            Index = _nodes.Count,
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
