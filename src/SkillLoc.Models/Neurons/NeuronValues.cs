using SkillLoc.Models.Checkpoints;
using static TorchSharp.torch;

namespace SkillLoc.Models.Neurons;

/// <summary>
/// One number per feed-forward neuron, <c>[layers, neurons]</c>, or per neuron and slot of a soft prompt, <c>[layers, slots, neurons]</c>:
/// mean activations, accuracies, predictivity.
/// </summary>
public sealed class NeuronValues
{
    private readonly double[] _values;

    /// <summary>Creates a table from values, which it takes over.</summary>
    /// <param name="values">Row-major values.</param>
    /// <param name="shape"><c>[layers, neurons]</c> or <c>[layers, slots, neurons]</c>.</param>
    /// <exception cref="ArgumentException">The shape is neither of these, or does not fit the number of values.</exception>
    public NeuronValues(double[] values, params IReadOnlyList<long> shape)
    {
        ArgumentNullException.ThrowIfNull(values);
        ArgumentNullException.ThrowIfNull(shape);
        if (shape.Count is not (2 or 3) || shape.Any(size => size < 1))
        {
            throw new ArgumentException(
                $"Values of neurons are [layers, neurons] or [layers, slots, neurons], not [{string.Join(", ", shape)}].",
                nameof(shape)
            );
        }

        if (shape.Aggregate(1L, (product, size) => product * size) != values.Length)
        {
            throw new ArgumentException($"[{string.Join(", ", shape)}] does not make {values.Length} values.", nameof(values));
        }

        _values = values;
        Shape = [.. shape];
    }

    /// <summary><c>[layers, neurons]</c> or <c>[layers, slots, neurons]</c>.</summary>
    public IReadOnlyList<long> Shape { get; }

    /// <summary>Number of layers.</summary>
    public int Layers => (int)Shape[0];

    /// <summary>Number of slots of the soft prompt; null for one number per neuron.</summary>
    public int? Slots => Shape.Count == 3 ? (int)Shape[1] : null;

    /// <summary>Number of neurons of a layer.</summary>
    public int Width => (int)Shape[^1];

    /// <summary>All values, row-major.</summary>
    public ReadOnlySpan<double> Values => _values;

    /// <summary>Returns the values of a layer (and slot).</summary>
    /// <param name="layer">Zero-based layer.</param>
    /// <param name="slot">Zero-based slot; 0 without slots.</param>
    /// <returns>One value per neuron.</returns>
    public ReadOnlySpan<double> Of(int layer, int slot = 0)
    {
        int slots = Slots ?? 1;
        ArgumentOutOfRangeException.ThrowIfNegative(layer);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(layer, Layers);
        ArgumentOutOfRangeException.ThrowIfNegative(slot);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(slot, slots);
        return _values.AsSpan(((layer * slots) + slot) * Width, Width);
    }

    /// <summary>Returns the mean over the slots, or these values if there are no slots.</summary>
    /// <returns><c>[layers, neurons]</c>.</returns>
    public NeuronValues MeanOverSlots()
    {
        if (Slots is not { } slots)
        {
            return this;
        }

        double[] means = new double[Layers * Width];
        for (int layer = 0; layer < Layers; layer++)
        {
            Span<double> mean = means.AsSpan(layer * Width, Width);
            for (int slot = 0; slot < slots; slot++)
            {
                ReadOnlySpan<double> values = Of(layer, slot);
                for (int i = 0; i < mean.Length; i++)
                {
                    mean[i] += values[i] / slots;
                }
            }
        }

        return new(means, Layers, Width);
    }

    /// <summary>Writes a safetensors file with one float64 tensor, named as the file is without its extension.</summary>
    /// <param name="path">The file, for example <c>dev_perf.safetensors</c>; an existing file is replaced once the new one is
    /// complete.</param>
    /// <exception cref="IOException">It could not be written; an existing file is unchanged.</exception>
    public void Save(string path)
    {
        using Tensor values = tensor(_values);
        using Tensor shaped = values.view([.. Shape]);
        NeuronFile.Write(path, shaped);
    }

    /// <summary>Reads a file that <see cref="Save"/> wrote, or a tensor of floating-point numbers of another origin.</summary>
    /// <param name="path">A safetensors file.</param>
    /// <param name="name">The tensor's name; null for the only tensor of the file.</param>
    /// <param name="expectedShape">The expected shape; null accepts any of two or three dimensions.</param>
    /// <returns>The values.</returns>
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="InvalidDataException">The file is damaged, the shape of the tensor differs (the message names both), or a value is
    /// NaN or infinite.</exception>
    public static NeuronValues Load(string path, string? name = null, IReadOnlyList<long>? expectedShape = null)
    {
        using Tensor values = NeuronFile.Read(path, name, expectedShape, ScalarType.Float64);
        return values.dim() is 2 or 3 && values.numel() > 0
            ? new(values.data<double>().ToArray(), values.shape)
            : throw new InvalidDataException(
                $"{path}: a tensor of shape [{string.Join(", ", values.shape)}] holds no values of neurons; expected is [layers, "
                    + "neurons] or "
                    + "[layers, slots, neurons]."
            );
    }

    /// <summary>Throws if the shape differs from a model's.</summary>
    /// <param name="config">The model's configuration.</param>
    /// <exception cref="ArgumentException">The shapes differ; the message names both.</exception>
    internal void CheckFits(ModelConfig config) => NeuronSet.CheckFits(Layers, Width, config);
}

/// <summary>How the predictivity of a neuron is aggregated over runs (methods, B.8).</summary>
public enum RunAggregation
{
    /// <summary>The mean over the runs.</summary>
    Mean,

    /// <summary>The minimum over the runs.</summary>
    Minimum,
}
