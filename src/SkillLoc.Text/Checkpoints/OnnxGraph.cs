using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using Google.Protobuf;

namespace SkillLoc.Models.Checkpoints;

/// <summary>The parts of an ONNX file that an import needs: nodes, initialisers, the constants among the nodes, inputs and outputs. Tensors
/// are not copied, and those in another file are read when they are asked for.</summary>
/// <remarks>The fields and their numbers are those of <c>onnx.proto</c>.</remarks>
internal sealed partial class OnnxGraph
{
    private const int BytesOfNode = 512;

    // Functions that call functions could make a small file a large graph.
    private const int MostCalls = 1 << 16;
    private const int MostDepth = 16;

    private readonly string _name;
    private readonly string? _folder;
    private readonly List<OnnxInput> _inputs = [];
    private readonly List<string> _outputs = [];
    private readonly Dictionary<string, OnnxTensor> _tensors = new(StringComparer.Ordinal);
    private readonly Dictionary<string, OnnxNode> _makers = new(StringComparer.Ordinal);
    private readonly Dictionary<string, List<OnnxNode>> _readers = new(StringComparer.Ordinal);
    private readonly List<OnnxNode> _nodes = [];
    private readonly Dictionary<string, OnnxFunction> _functions = new(StringComparer.Ordinal);
    private int _called;

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
            foreach ((int Number, ArraySegment<byte> Bytes, ulong Value) field in Fields(bytes).Where(field => field.Number == 25))
            {
                OnnxFunction function = ReadFunction(field.Bytes);
                _functions[function.Key] = function;
            }

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
                    Add(ReadNode(field.Bytes), depth: 0);
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

    private void Add(OnnxNode node, int depth)
    {
        if (
            _functions.Count > 0
            && _functions.TryGetValue(OnnxFunction.KeyOf(node.Domain, node.Operator, node.Overload), out OnnxFunction? function)
        )
        {
            if (depth == MostDepth || (_called += function.Nodes.Count) > MostCalls)
            {
                throw Damaged($"its functions call each other more than {MostDepth} deep or make more than {MostCalls} nodes");
            }

            foreach (OnnxNode inner in function.Called(node))
            {
                Add(inner, depth + 1);
            }

            return;
        }

        if (node is { Operator: "Constant", Outputs: [var output] } && Constant(node) is { } value)
        {
            Add(value with { Name = output });
            return;
        }

        node = node with { Index = _nodes.Count };
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
}
