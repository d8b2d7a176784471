using System.Globalization;
using System.Runtime.InteropServices;
using Google.Protobuf;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Onnx;

/// <summary>Collects the nodes and weights of an ONNX graph and writes the file. Weights are read when they are written, one at a
/// time.</summary>
/// <remarks>The messages, fields and their numbers are those of <c>onnx.proto</c>.</remarks>
internal sealed class OnnxModelBuilder
{
    /// <summary>The operator set: the first that has LayerNormalization.</summary>
    public const int Opset = 17;

    // The IR version of ONNX 1.12, which brought the operator set.
    private const int IrVersion = 8;

    private readonly List<byte[]> _nodes = [];
    private readonly List<byte[]> _inputs = [];
    private readonly List<byte[]> _outputs = [];
    private readonly List<Weight> _weights = [];
    private readonly Dictionary<string, FloatWeight> _floats = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _constants = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, string> _metadata = new(StringComparer.Ordinal);
    private readonly SortedSet<string> _domains = new(StringComparer.Ordinal);
    private int _values;

    private sealed record Weight(byte[] Head, long Length, Func<byte[]> Read);

    /// <summary>Adds an input or output.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="type">Its type.</param>
    /// <param name="dimensions">A number for a fixed size, a name for a free one.</param>
    public void Input(string name, OnnxType type, params string[] dimensions) => _inputs.Add(ValueInfo(name, type, dimensions));

    /// <inheritdoc cref="Input"/>
    public void Output(string name, OnnxType type, params string[] dimensions) => _outputs.Add(ValueInfo(name, type, dimensions));

    /// <summary>Adds a text that travels in the file beside the graph.</summary>
    public void Metadata(string key, string value) => _metadata[key] = value;

    /// <summary>Adds a node with one output.</summary>
    /// <param name="operation">The operator.</param>
    /// <param name="inputs">The names of its inputs.</param>
    /// <param name="attributes">Its attributes: <see cref="long"/>, <see cref="float"/>, <see cref="string"/> or <see cref="long"/>
    /// arrays.</param>
    /// <returns>The name of the output.</returns>
    public string Add(string operation, string[] inputs, params (string Name, object Value)[] attributes)
    {
        string output = $"{operation}_{_values++}";
        AddNamed(operation, inputs, [output], attributes);
        return output;
    }

    /// <summary>Adds a node whose outputs have given names.</summary>
    public void AddNamed(string operation, string[] inputs, string[] outputs, params (string Name, object Value)[] attributes) =>
        AddForeign("", operation, "/" + outputs[0], inputs, outputs, attributes);

    /// <summary>Adds a node of another domain than ONNX's.</summary>
    /// <param name="domain">The domain.</param>
    /// <param name="operation">The operator.</param>
    /// <param name="name">The node's name.</param>
    /// <param name="inputs">The names of its inputs.</param>
    /// <param name="outputs">The names of its outputs.</param>
    /// <param name="attributes">Its attributes, also arrays of <see cref="string"/> and of bytes, which are a text.</param>
    public void AddForeign(
        string domain,
        string operation,
        string name,
        string[] inputs,
        string[] outputs,
        params (string Name, object Value)[] attributes
    )
    {
        if (domain.Length > 0)
        {
            _domains.Add(domain);
        }

        _nodes.Add(
            Message(node =>
            {
                foreach (string input in inputs)
                {
                    Text(node, 1, input);
                }

                foreach (string output in outputs)
                {
                    Text(node, 2, output);
                }

                Text(node, 3, name);
                Text(node, 4, operation);
                foreach ((string attribute, object value) in attributes)
                {
                    Bytes(node, 5, Attribute(attribute, value));
                }

                if (domain.Length > 0)
                {
                    Text(node, 7, domain);
                }
            })
        );
    }

    /// <summary>The float tensors by name.</summary>
    public IReadOnlyDictionary<string, FloatWeight> Floats => _floats;

    /// <summary>Adds a float tensor, which must live until the file is written.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="tensor">The values.</param>
    /// <param name="parameter">The parameter that it is a view of; by default the one of its name.</param>
    /// <param name="isDerived">Whether it is computed from the parameter instead.</param>
    /// <returns>The name.</returns>
    public string Add(string name, Tensor tensor, string? parameter = null, bool isDerived = false)
    {
        long[] shape = tensor.shape;
        _floats.Add(name, new(tensor, parameter ?? name, isDerived));
        return Add(name, OnnxType.Float, shape, sizeof(float), () => FloatBytes(tensor));
    }

    /// <summary>Adds a tensor whose bytes are computed when the file is written.</summary>
    public string Add(string name, OnnxType type, long[] shape, int size, Func<byte[]> read)
    {
        _weights.Add(new(TensorHead(name, type, shape), shape.Aggregate((long)size, (product, next) => product * next), read));
        return name;
    }

    /// <summary>A constant of whole numbers; equal ones are kept once.</summary>
    /// <param name="values">The values.</param>
    /// <param name="shape">The shape; a vector by default.</param>
    public string Int64(long[] values, params long[] shape) =>
        Constant(OnnxType.Int64, MemoryMarshal.AsBytes<long>(values).ToArray(), shape.Length == 0 ? [values.Length] : shape);

    /// <summary>A single whole number without dimensions.</summary>
    public string Scalar(long value) => Constant(OnnxType.Int64, BitConverter.GetBytes(value), []);

    /// <summary>A single number without dimensions.</summary>
    public string Scalar(float value) => Constant(OnnxType.Float, BitConverter.GetBytes(value), []);

    /// <summary>A constant of numbers; equal ones are kept once.</summary>
    public string Numbers(float[] values, params long[] shape) =>
        Constant(OnnxType.Float, MemoryMarshal.AsBytes<float>(values).ToArray(), shape);

    /// <summary>A constant of texts.</summary>
    public string Texts(string name, IReadOnlyList<string> values)
    {
        byte[] head = Message(tensor =>
        {
            tensor.WriteTag(1, WireFormat.WireType.Varint);
            tensor.WriteInt64(values.Count);
            tensor.WriteTag(2, WireFormat.WireType.Varint);
            tensor.WriteInt32((int)OnnxType.Text);
            Text(tensor, 8, name);
            foreach (string value in values)
            {
                Text(tensor, 6, value);
            }
        });
        _weights.Add(new(head, -1, () => []));
        return name;
    }

    /// <summary>Writes the file.</summary>
    /// <exception cref="NotSupportedException">It would be larger than the 2 GiB that an ONNX file of one part can have.</exception>
    public void Write(Stream stream)
    {
        (int Field, byte[] Bytes)[] parts =
        [
            .. _nodes.Select(node => (1, node)),
            (2, "skillloc"u8.ToArray()),
            .. _inputs.Select(input => (11, input)),
            .. _outputs.Select(output => (12, output)),
        ];
        long length = parts.Sum(part => Framed(part.Field, part.Bytes.Length)) + _weights.Sum(weight => Framed(5, Length(weight)));
        if (length > int.MaxValue - (1 << 20))
        {
            throw new NotSupportedException($"The model takes {length:N0} bytes; an ONNX file of one part has at most 2 GiB.");
        }

        using var output = new CodedOutputStream(stream, leaveOpen: true);
        output.WriteTag(1, WireFormat.WireType.Varint);
        output.WriteInt64(IrVersion);
        Text(output, 2, "SkillLoc.MLNet");
        Text(output, 3, typeof(OnnxModelBuilder).Assembly.GetName().Version!.ToString(3));
        foreach ((string key, string value) in _metadata)
        {
            Bytes(
                output,
                14,
                Message(entry =>
                {
                    Text(entry, 1, key);
                    Text(entry, 2, value);
                })
            );
        }

        foreach (string domain in _domains.Prepend(""))
        {
            Bytes(
                output,
                8,
                Message(set =>
                {
                    Text(set, 1, domain);
                    set.WriteTag(2, WireFormat.WireType.Varint);
                    set.WriteInt64(
                        domain switch
                        {
                            "" => Opset,
                            "ai.onnx.ml" => 2,
                            _ => 1,
                        }
                    );
                })
            );
        }

        output.WriteTag(7, WireFormat.WireType.LengthDelimited);
        output.WriteLength((int)length);
        foreach ((int field, byte[] bytes) in parts)
        {
            Bytes(output, field, bytes);
        }

        foreach (Weight weight in _weights)
        {
            output.WriteTag(5, WireFormat.WireType.LengthDelimited);
            output.WriteLength((int)Length(weight));
            output.Flush();
            stream.Write(weight.Head);
            if (weight.Length >= 0)
            {
                byte[] values = weight.Read();
                if (values.LongLength != weight.Length)
                {
                    throw new InvalidOperationException($"A tensor has {values.Length} bytes instead of {weight.Length}.");
                }

                Bytes(output, 9, values);
            }
        }
    }

    /// <summary>A tensor's values as little-endian float32.</summary>
    public static byte[] FloatBytes(Tensor tensor)
    {
        using DisposeScope scope = NewDisposeScope();
        return MemoryMarshal.AsBytes<float>(tensor.detach().to(ScalarType.Float32).cpu().contiguous().data<float>().ToArray()).ToArray();
    }

    private string Constant(OnnxType type, byte[] bytes, long[] shape)
    {
        string key = $"{type}:{string.Join(',', shape)}:{Convert.ToHexString(bytes)}";
        if (!_constants.TryGetValue(key, out string? name))
        {
            name = Add("constant_" + _constants.Count.ToString(CultureInfo.InvariantCulture), type, shape, bytes.Length, () => bytes);
            _weights[^1] = _weights[^1] with { Length = bytes.Length };
            _constants.Add(key, name);
        }

        return name;
    }

    private static long Length(Weight weight) => weight.Head.Length + (weight.Length < 0 ? 0 : Framed(9, weight.Length));

    private static long Framed(int field, long length) =>
        CodedOutputStream.ComputeTagSize(field) + CodedOutputStream.ComputeUInt64Size((ulong)length) + length;

    private static byte[] TensorHead(string name, OnnxType type, long[] shape) =>
        Message(tensor =>
        {
            foreach (long size in shape)
            {
                tensor.WriteTag(1, WireFormat.WireType.Varint);
                tensor.WriteInt64(size);
            }

            tensor.WriteTag(2, WireFormat.WireType.Varint);
            tensor.WriteInt32((int)type);
            Text(tensor, 8, name);
        });

    private static byte[] ValueInfo(string name, OnnxType type, string[] dimensions) =>
        Message(value =>
        {
            Text(value, 1, name);
            Bytes(value, 2, Message(info => Bytes(info, 1, Message(tensor => TensorType(tensor, type, dimensions)))));
        });

    private static void TensorType(CodedOutputStream tensor, OnnxType type, string[] dimensions)
    {
        tensor.WriteTag(1, WireFormat.WireType.Varint);
        tensor.WriteInt32((int)type);
        Bytes(
            tensor,
            2,
            Message(shape =>
            {
                foreach (string dimension in dimensions)
                {
                    Bytes(
                        shape,
                        1,
                        Message(size =>
                        {
                            if (long.TryParse(dimension, NumberStyles.None, CultureInfo.InvariantCulture, out long number))
                            {
                                size.WriteTag(1, WireFormat.WireType.Varint);
                                size.WriteInt64(number);
                            }
                            else
                            {
                                Text(size, 2, dimension);
                            }
                        })
                    );
                }
            })
        );
    }

    private static byte[] Attribute(string name, object value) =>
        Message(attribute =>
        {
            Text(attribute, 1, name);
            int type;
            switch (value)
            {
                case float number:
                    attribute.WriteTag(2, WireFormat.WireType.Fixed32);
                    attribute.WriteFloat(number);
                    type = 1;
                    break;
                case long number:
                    attribute.WriteTag(3, WireFormat.WireType.Varint);
                    attribute.WriteInt64(number);
                    type = 2;
                    break;
                case string text:
                    Text(attribute, 4, text);
                    type = 3;
                    break;
                case byte[] bytes:
                    Bytes(attribute, 4, bytes);
                    type = 3;
                    break;
                case long[] numbers:
                    foreach (long number in numbers)
                    {
                        attribute.WriteTag(8, WireFormat.WireType.Varint);
                        attribute.WriteInt64(number);
                    }

                    type = 7;
                    break;
                case string[] texts:
                    foreach (string text in texts)
                    {
                        Text(attribute, 9, text);
                    }

                    type = 8;
                    break;
                default:
                    throw new ArgumentException($"An attribute cannot be a {value.GetType()}.", nameof(value));
            }

            attribute.WriteTag(20, WireFormat.WireType.Varint);
            attribute.WriteInt32(type);
        });

    private static byte[] Message(Action<CodedOutputStream> write)
    {
        using var memory = new MemoryStream();
        using (var output = new CodedOutputStream(memory, leaveOpen: true))
        {
            write(output);
        }

        return memory.ToArray();
    }

    private static void Text(CodedOutputStream output, int field, string value)
    {
        output.WriteTag(field, WireFormat.WireType.LengthDelimited);
        output.WriteString(value);
    }

    private static void Bytes(CodedOutputStream output, int field, byte[] value)
    {
        output.WriteTag(field, WireFormat.WireType.LengthDelimited);
        output.WriteBytes(UnsafeByteOperations.UnsafeWrap(value));
    }
}

/// <summary>A float tensor of a graph.</summary>
/// <param name="Tensor">Its values.</param>
/// <param name="Parameter">The name of the parameter that it is a view of, or computed from.</param>
/// <param name="IsDerived">Whether it is computed.</param>
internal sealed record FloatWeight(Tensor Tensor, string Parameter, bool IsDerived);

/// <summary>Types of tensors, by ONNX's numbers.</summary>
internal enum OnnxType
{
    Float = 1,
    Int8 = 3,
    Int32 = 6,
    Int64 = 7,
    Text = 8,
    Bool = 9,
}
