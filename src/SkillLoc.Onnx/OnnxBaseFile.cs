using System.Runtime.InteropServices;
using System.Text;
using Google.Protobuf;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;

namespace SkillLoc.Onnx;

/// <summary>A base model's file, and the same with some of its weights as inputs of the graph.</summary>
/// <remarks>The fields and their numbers are those of <c>onnx.proto</c>.</remarks>
internal sealed class OnnxBaseFile
{
    private const int Graph = 7,
        Metadata = 14,
        Initialiser = 5,
        Input = 11;

    private readonly byte[] _bytes;
    private readonly string _source;

    /// <param name="bytes">The file.</param>
    /// <param name="source">Its name in error messages.</param>
    /// <exception cref="InvalidDataException">It is damaged, or no base model.</exception>
    public OnnxBaseFile(byte[] bytes, string source)
    {
        (_bytes, _source) = (bytes, source);
        var metadata = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach ((int number, ArraySegment<byte> content, _) in Fields(bytes))
        {
            if (number == Metadata)
            {
                ILookup<int, string> pair = Fields(content).ToLookup(field => field.Number, field => Encoding.UTF8.GetString(field.Bytes));
                if (!metadata.TryAdd(pair[1].LastOrDefault(""), pair[2].LastOrDefault("")))
                {
                    throw new InvalidDataException($"{source} is damaged: its metadata have '{pair[1].LastOrDefault("")}' twice.");
                }
            }
        }

        Properties = metadata;
        Model = OnnxBaseModel.FromJson(
            metadata.GetValueOrDefault(OnnxMetadata.Base)
                ?? throw new InvalidDataException(
                    $"{source} is no base model of grafts: its metadata has no '{OnnxMetadata.Base}'; right would be a file that OnnxBase.Save "
                        + "wrote."
                ),
            $"{source}, {OnnxMetadata.Base}"
        );
    }

    /// <summary>All its metadata.</summary>
    public IReadOnlyDictionary<string, string> Properties { get; }

    /// <summary>What it says of the model.</summary>
    public OnnxBaseModel Model { get; }

    /// <summary>The file with some weights as inputs, which a session then neither copies nor rearranges.</summary>
    /// <param name="names">The weights' names in the graph.</param>
    /// <param name="weights">Receives their values and shapes.</param>
    /// <returns>The file.</returns>
    /// <exception cref="InvalidDataException">It is damaged.</exception>
    public byte[] WithInputs(IReadOnlySet<string> names, IDictionary<string, OnnxInputWeight> weights)
    {
        using var file = new MemoryStream(_bytes.Length);
        using (var output = new CodedOutputStream(file, leaveOpen: true))
        {
            foreach ((int number, ArraySegment<byte> content, ulong value) in Fields(_bytes))
            {
                if (content.Array is null)
                {
                    output.WriteTag(number, WireFormat.WireType.Varint);
                    output.WriteUInt64(value);
                }
                else
                {
                    Write(output, number, number == Graph ? WithInputs(content, names, weights) : content);
                }
            }
        }

        return names.Count == weights.Count
            ? file.ToArray()
            : throw new InvalidDataException(
                $"{_source} lacks the weights {string.Join(", ", names.Except(weights.Keys))}, which its metadata name; it is damaged."
            );
    }

    private ArraySegment<byte> WithInputs(
        ArraySegment<byte> graph,
        IReadOnlySet<string> names,
        IDictionary<string, OnnxInputWeight> weights
    )
    {
        using var memory = new MemoryStream();
        using (var output = new CodedOutputStream(memory, leaveOpen: true))
        {
            foreach ((int number, ArraySegment<byte> content, _) in Fields(graph))
            {
                if (number != Initialiser)
                {
                    Write(output, number, content);
                    continue;
                }

                OnnxTensor tensor = Read(content);
                if (!names.Contains(tensor.Name))
                {
                    Write(output, number, content);
                    continue;
                }

                float[] values = MemoryMarshal.Cast<byte, float>(tensor.Data.AsSpan()).ToArray();
                OnnxWeight place = Model.Weights[tensor.Name];
                if (
                    tensor.Type != OnnxTensor.Float32
                    || !tensor.Shape.SequenceEqual(place.Shape)
                    || values.LongLength != tensor.Shape.Aggregate(1L, (product, size) => product * size)
                )
                {
                    throw new InvalidDataException($"{_source}: '{tensor.Name}' is not of the size that the metadata say; it is damaged.");
                }

                if (!weights.TryAdd(tensor.Name, new(tensor.Shape, values)))
                {
                    throw new InvalidDataException($"{_source} has the weight '{tensor.Name}' twice; it is damaged.");
                }

                Write(output, Input, ValueInfo(tensor.Name, tensor.Shape));
            }
        }

        return new(memory.GetBuffer(), 0, (int)memory.Length);
    }

    private static byte[] ValueInfo(string name, long[] shape)
    {
        byte[] sizes = Message(output =>
        {
            foreach (long size in shape)
            {
                Write(
                    output,
                    1,
                    Message(dimension =>
                    {
                        dimension.WriteTag(1, WireFormat.WireType.Varint);
                        dimension.WriteInt64(size);
                    })
                );
            }
        });
        byte[] tensor = Message(output =>
        {
            output.WriteTag(1, WireFormat.WireType.Varint);
            output.WriteInt32(OnnxTensor.Float32);
            Write(output, 2, sizes);
        });
        return Message(output =>
        {
            Write(output, 1, Encoding.UTF8.GetBytes(name));
            Write(output, 2, Message(type => Write(type, 1, tensor)));
        });
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

    private static void Write(CodedOutputStream output, int number, ArraySegment<byte> content)
    {
        output.WriteTag(number, WireFormat.WireType.LengthDelimited);
        output.WriteBytes(UnsafeByteOperations.UnsafeWrap(content));
    }

    private OnnxTensor Read(ArraySegment<byte> content)
    {
        try
        {
            return OnnxGraph.ReadTensor(content, _source);
        }
        catch (Exception error) when (error is InvalidProtocolBufferException or DecoderFallbackException)
        {
            throw Damaged(error);
        }
    }

    private List<(int Number, ArraySegment<byte> Bytes, ulong Value)> Fields(ArraySegment<byte> message)
    {
        try
        {
            return [.. OnnxGraph.Fields(message, _source)];
        }
        catch (InvalidProtocolBufferException error)
        {
            throw Damaged(error);
        }
    }

    private InvalidDataException Damaged(Exception cause) => new($"{_source} is damaged, or is no ONNX model: {cause.Message}", cause);
}

/// <summary>A weight that is an input of a graph.</summary>
/// <param name="Shape">Its shape.</param>
/// <param name="Values">Its values, row-major.</param>
internal sealed record OnnxInputWeight(long[] Shape, float[] Values);
