using SkillLoc.Models.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Onnx;

/// <summary>Computes values of an ONNX graph with TorchSharp, to read its constants and to see what it computes. Floats are float32, whole
/// numbers Int64. Its tensors belong to the dispose scope in which they are made.</summary>
internal sealed class OnnxEvaluator
{
    private readonly OnnxGraph _graph;
    private readonly string _source;
    private readonly Dictionary<string, Tensor> _values = new(StringComparer.Ordinal);
    private readonly HashSet<string> _constant = new(StringComparer.Ordinal) { "" };

    /// <param name="graph">The graph.</param>
    /// <param name="source">Its name in error messages.</param>
    public OnnxEvaluator(OnnxGraph graph, string source)
    {
        _graph = graph;
        _source = source;
        _constant.UnionWith(graph.Tensors.Keys);
        foreach (OnnxNode node in graph.Nodes)
        {
            if (node.Inputs.All(_constant.Contains))
            {
                _constant.UnionWith(node.Outputs);
            }
        }
    }

    /// <summary>Whether a value does not depend on the graph's inputs.</summary>
    public bool IsConstant(string value) => value.Length > 0 && _constant.Contains(value);

    /// <summary>The shape of a constant.</summary>
    public long[] ShapeOf(string constant) =>
        _graph.Tensors.TryGetValue(constant, out OnnxTensor? stored) ? stored.Shape : Constant(constant).shape;

    /// <summary>A constant's values.</summary>
    /// <exception cref="NotSupportedException">It is of an unknown type, or made by an unknown operator.</exception>
    /// <exception cref="InvalidDataException">Its values are not there.</exception>
    public Tensor Constant(string name)
    {
        Compute([name]);
        return Value(name);
    }

    /// <summary>Sets an input of the graph.</summary>
    public void Feed(string input, Tensor value) => _values[input] = value;

    /// <summary>A value that was computed.</summary>
    public Tensor Value(string name)
    {
        if (!_values.TryGetValue(name, out Tensor? value))
        {
            if (!_graph.Tensors.TryGetValue(name, out OnnxTensor? stored))
            {
                throw new InvalidDataException($"{_source}: '{name}' is read before a node makes it; the file is damaged.");
            }

            _values.Add(name, value = Read(stored));
        }

        return value;
    }

    /// <summary>Computes values and all that they depend on.</summary>
    /// <exception cref="NotSupportedException">A node cannot be computed; the message names it.</exception>
    public void Compute(IEnumerable<string> values)
    {
        var needed = new HashSet<OnnxNode>(ReferenceEqualityComparer.Instance);
        var open = new Stack<string>(values);
        while (open.TryPop(out string? value))
        {
            if (!_values.ContainsKey(value) && _graph.Maker(value) is { } node && needed.Add(node))
            {
                foreach (string input in node.Inputs)
                {
                    open.Push(input);
                }
            }
        }

        foreach (OnnxNode node in _graph.Nodes.Where(needed.Contains))
        {
            Compute(node);
        }
    }

    private void Compute(OnnxNode node)
    {
        Tensor?[] inputs = [.. node.Inputs.Select(input => input.Length == 0 ? null : Value(input))];
        Tensor[] results;
        try
        {
            results = OnnxOperators.Compute(node, inputs, tensor => Read(tensor));
        }
        catch (Exception error) when (error is not (OutOfMemoryException or InvalidDataException))
        {
            throw new NotSupportedException($"{_source}: {node.Title} cannot be computed: {FirstLine(error)}", error);
        }

        for (int i = 0; i < Math.Min(results.Length, node.Outputs.Count); i++)
        {
            if (node.Outputs[i].Length > 0)
            {
                _values[node.Outputs[i]] = results[i];
            }
        }
    }

    /// <summary>libtorch appends where in its code it noticed something.</summary>
    private static string FirstLine(Exception error) => error.Message.Split('\n')[0];

    private Tensor Read(OnnxTensor tensor)
    {
        ScalarType type = tensor.Type switch
        {
            OnnxTensor.Float32 => ScalarType.Float32,
            OnnxTensor.Float16 => ScalarType.Float16,
            OnnxTensor.BFloat16 => ScalarType.BFloat16,
            OnnxTensor.Float64 => ScalarType.Float64,
            OnnxTensor.Int32 => ScalarType.Int32,
            OnnxTensor.Int64 => ScalarType.Int64,
            OnnxTensor.Bool => ScalarType.Bool,
            _ => throw new NotSupportedException(
                $"{_source}: '{tensor.Name}' has elements of ONNX's type {tensor.Type}, where float32 (1), float16 (10), bfloat16 (16), "
                    + "float64 (11), int32 (6), int64 (7) and bool (9) can be read."
            ),
        };
        ArraySegment<byte> data = _graph.Data(tensor);
        if (ElementTypes.ByteLength(type, tensor.Shape) is not { } length || length != data.Count)
        {
            throw new InvalidDataException(
                $"{_source}: '{tensor.Name}' is of shape [{string.Join(", ", tensor.Shape)}] and has {data.Count} bytes; the file "
                    + "is damaged."
            );
        }

        return TensorBytes.Read(
            new(tensor.Name, type, tensor.Shape, length),
            (offset, destination) => data.AsSpan((int)offset, destination.Length).CopyTo(destination),
            type switch
            {
                ScalarType.Bool => ScalarType.Bool,
                ScalarType.Int32 or ScalarType.Int64 => ScalarType.Int64,
                _ => ScalarType.Float32,
            },
            device: null
        );
    }
}
