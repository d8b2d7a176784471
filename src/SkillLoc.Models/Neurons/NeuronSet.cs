using SkillLoc.Models.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Neurons;

/// <summary>A set of feed-forward neurons, <c>[layers, neurons]</c>, such as the skill neurons of a task.</summary>
public sealed class NeuronSet
{
    private readonly bool[] _members;

    /// <summary>Creates a set from a mask, which it takes over.</summary>
    /// <param name="members">Row-major <c>[layers, width]</c>: true where a neuron is in the set.</param>
    /// <param name="layers">Number of layers.</param>
    /// <param name="width">Number of neurons of a layer.</param>
    /// <exception cref="ArgumentException">The length of the mask differs from layers x width.</exception>
    public NeuronSet(bool[] members, int layers, int width)
    {
        ArgumentNullException.ThrowIfNull(members);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(layers);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(width);
        if (members.Length != layers * width)
        {
            throw new ArgumentException($"A mask of {members.Length} neurons is not [{layers}, {width}].", nameof(members));
        }

        _members = members;
        Layers = layers;
        Width = width;
    }

    /// <summary>Number of layers.</summary>
    public int Layers { get; }

    /// <summary>Number of neurons of a layer.</summary>
    public int Width { get; }

    /// <summary>Number of neurons in the set.</summary>
    public int Count => _members.AsSpan().Count(true);

    /// <summary>The mask, row-major <c>[layers, width]</c>.</summary>
    public ReadOnlySpan<bool> Members => _members;

    /// <summary>Returns the mask of a layer.</summary>
    /// <param name="layer">Zero-based layer.</param>
    /// <returns>True where a neuron is in the set.</returns>
    public ReadOnlySpan<bool> Of(int layer)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(layer);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(layer, Layers);
        return _members.AsSpan(layer * Width, Width);
    }

    /// <summary>Returns the neurons of the set in a layer.</summary>
    /// <param name="layer">Zero-based layer.</param>
    /// <returns>Zero-based neurons, ascending.</returns>
    public int[] Indices(int layer)
    {
        ReadOnlySpan<bool> members = Of(layer);
        int[] indices = new int[members.Count(true)];
        for (int i = 0, found = 0; i < members.Length; i++)
        {
            if (members[i])
            {
                indices[found++] = i;
            }
        }

        return indices;
    }

    /// <summary>Draws a random control: a set with as many neurons in each layer, drawn uniformly (methods, B.9, D.6).</summary>
    /// <param name="seed">Seed.</param>
    /// <returns>A set of the same shape and counts.</returns>
    public NeuronSet RandomControl(int seed)
    {
        var random = new Random(seed);
        bool[] members = new bool[_members.Length];
        for (int layer = 0; layer < Layers; layer++)
        {
            int[] neurons = [.. Enumerable.Range(0, Width)];
            random.Shuffle(neurons);
            foreach (int neuron in neurons.AsSpan(0, Of(layer).Count(true)))
            {
                members[(layer * Width) + neuron] = true;
            }
        }

        return new(members, Layers, Width);
    }

    /// <summary>Returns the neurons of the set within a range of layers.</summary>
    /// <param name="lowLayer">The first layer, zero-based.</param>
    /// <param name="highLayer">The layer after the last.</param>
    /// <returns>The set without the other layers' neurons.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The range is outside the model.</exception>
    public NeuronSet Within(int lowLayer, int highLayer)
    {
        CheckRange(lowLayer, highLayer, Layers);
        bool[] members = new bool[_members.Length];
        int start = lowLayer * Width,
            count = (highLayer - lowLayer) * Width;
        _members.AsSpan(start, count).CopyTo(members.AsSpan(start, count));
        return new(members, Layers, Width);
    }

    /// <summary>Writes a safetensors file with one boolean tensor, named as the file is without its extension.</summary>
    /// <param name="path">The file; an existing file is replaced once the new one is complete.</param>
    /// <exception cref="IOException">It could not be written; an existing file is unchanged.</exception>
    public void Save(string path)
    {
        using Tensor members = tensor(_members);
        using Tensor shaped = members.view(Layers, Width);
        NeuronFile.Write(path, shaped);
    }

    /// <summary>Reads a file that <see cref="Save"/> wrote, or a tensor of 0 and 1 of another origin.</summary>
    /// <param name="path">A safetensors file.</param>
    /// <param name="name">The tensor's name; null for the only tensor of the file.</param>
    /// <param name="expectedShape">The expected shape <c>[layers, neurons]</c>; null accepts any.</param>
    /// <returns>The set.</returns>
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="InvalidDataException">The file is damaged, the shape of the tensor differs (the message names both), or it holds
    /// values other than 0 and 1.</exception>
    public static NeuronSet Load(string path, string? name = null, IReadOnlyList<long>? expectedShape = null)
    {
        using Tensor values = NeuronFile.Read(path, name, expectedShape, ScalarType.Float64);
        if (values.dim() != 2 || values.numel() == 0)
        {
            throw new InvalidDataException(
                $"{path}: a tensor of shape [{string.Join(", ", values.shape)}] is no set of neurons; expected is [layers, neurons]."
            );
        }

        double[] numbers = values.data<double>().ToArray();
        int wrong = Array.FindIndex(numbers, number => number is not (0 or 1));
        return wrong < 0
            ? new([.. numbers.Select(number => number == 1)], (int)values.shape[0], (int)values.shape[1])
            : throw new InvalidDataException($"{path}: value {wrong} of a set of neurons is {numbers[wrong]}; it must be 0 or 1.");
    }

    /// <summary>Throws if a range of layers is outside a model.</summary>
    internal static void CheckRange(int lowLayer, int highLayer, int layers)
    {
        if (lowLayer < 0 || highLayer > layers || lowLayer > highLayer)
        {
            throw new ArgumentOutOfRangeException(
                nameof(lowLayer),
                $"The layers from {lowLayer} up to, but not including, {highLayer} do not lie in a model of {layers} layers (0 to "
                    + $"{layers})."
            );
        }
    }

    /// <summary>Throws if the shape of the set differs from a model's.</summary>
    /// <param name="config">The model's configuration.</param>
    /// <exception cref="ArgumentException">The shapes differ; the message names both.</exception>
    internal void CheckFits(ModelConfig config) => CheckFits(Layers, Width, config);

    internal static void CheckFits(int layers, int width, ModelConfig config)
    {
        if (layers != config.Layers || config.FeedForwardSizes.Any(size => size != width))
        {
            throw new ArgumentException(
                $"The neurons given are [{layers}, {width}], and the model has {config.Layers} layers of {Widths(config)} neurons."
            );
        }
    }

    /// <summary>The width that all layers of a model have.</summary>
    /// <exception cref="NotSupportedException">The layers differ in width, as in a pruned model.</exception>
    internal static int WidthOf(ModelConfig config) =>
        config.FeedForwardSizes.Distinct().Count() == 1
            ? config.FeedForwardSizes[0]
            : throw new NotSupportedException(
                $"Neurons are probed, perturbed and pruned in models whose layers are of one width; {config.Source} has layers of "
                    + $"{Widths(config)} "
                    + "neurons, as pruning leaves them. Use the model from before pruning."
            );

    private static string Widths(ModelConfig config) => string.Join(", ", config.FeedForwardSizes.Distinct());
}

/// <summary>Safetensors files with one tensor each, named like the file.</summary>
internal static class NeuronFile
{
    public static void Write(string path, torch.Tensor values) =>
        SafetensorsWriter.Write(path, [(Path.GetFileNameWithoutExtension(path), values)]);

    /// <summary>Reads the tensor with a name, or the only one of the file.</summary>
    /// <exception cref="InvalidDataException">The file has several tensors and none has the name, or the shape differs.</exception>
    public static torch.Tensor Read(string path, string? name, IReadOnlyList<long>? expected, torch.ScalarType type)
    {
        using var file = SafetensorsFile.Open(path);
        TensorInfo info =
            file.Tensors.FirstOrDefault(tensor => tensor.Name == name)
            ?? (
                name is null && file.Tensors.Count == 1
                    ? file.Tensors[0]
                    : throw new InvalidDataException(
                        $"{path} holds {file.Tensors.Count} tensors "
                            + $"({string.Join(", ", file.Tensors.Take(5).Select(tensor => $"'{tensor.Name}'"))}), "
                            + (name is null ? "and one is expected; say which." : $"and none of the name '{name}'.")
                    )
            );
        if (expected is not null && !info.Shape.SequenceEqual(expected))
        {
            throw new InvalidDataException(
                $"{path}: tensor '{info.Name}' has shape [{string.Join(", ", info.Shape)}], and [{string.Join(", ", expected)}] is "
                    + "expected."
            );
        }

        return file.ReadFinite(info.Name, type);
    }
}
