using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using TorchSharp;

namespace SkillLoc.Models.Merging;

/// <summary>One tensor of all models that are merged, as float32 in memory of its own, with the parameters that hold for it.</summary>
internal sealed class MergeTensor : IDisposable
{
    private readonly NativeFloats? _base;
    private readonly NativeFloats[] _models;
    private readonly NativeFloats _output;
    private readonly Func<string, int, MergeValue> _parameter;
    private readonly Func<int, torch.Tensor>? _statistics;
    private readonly int _seed;

    /// <summary>Takes over the tensors.</summary>
    public MergeTensor(
        string name,
        long[] shape,
        torch.Tensor? basis,
        IEnumerable<torch.Tensor> models,
        Func<string, int, MergeValue> parameter,
        Func<int, torch.Tensor>? statistics = null,
        int seed = 0
    )
    {
        Name = name;
        Shape = shape;
        _base = basis is null ? null : new(basis);
        _models = [.. models.Select(model => new NativeFloats(model))];
        _output = new(torch.empty(shape, dtype: torch.ScalarType.Float32));
        _parameter = parameter;
        _statistics = statistics;
        _seed = seed;
    }

    /// <summary>The name in the result.</summary>
    public string Name { get; }

    public long[] Shape { get; }

    /// <summary>Number of models beside the base.</summary>
    public int Count => _models.Length;

    public int Length => _output.Length;

    /// <summary>Length of a row, the last dimension.</summary>
    public int Columns => Shape.Length == 0 ? 1 : (int)Shape[^1];

    public bool HasBase => _base is not null;

    public ReadOnlySpan<float> Base => (_base ?? throw new InvalidOperationException("There is no base.")).Span;

    /// <summary>The result.</summary>
    public Span<float> Output => _output.Span;

    /// <summary>A model's values, at first those of the file.</summary>
    public Span<float> this[int model] => _models[model].Span;

    public double Number(string parameter, int model = -1) => _parameter(parameter, model).Number;

    public bool Flag(string parameter) => _parameter(parameter, -1).Number != 0;

    public string Text(string parameter) => _parameter(parameter, -1).Text!;

    /// <summary>The models' values of a parameter as float32.</summary>
    public float[] Numbers(string parameter)
    {
        float[] values = new float[Count];
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = (float)Number(parameter, i);
        }

        return values;
    }

    /// <summary>A model's statistics of this tensor; the caller disposes them.</summary>
    public torch.Tensor Statistics(int model) => _statistics!(model);

    /// <summary>Random numbers of this tensor and model, whatever the order in which tensors are merged.</summary>
    public MergeRandom Random(int model) => new(_seed, Name, model);

    /// <summary>Replaces the models' values by their differences from the base.</summary>
    public void SubtractBase()
    {
        ReadOnlySpan<float> basis = Base;
        foreach (NativeFloats model in _models)
        {
            VectorMath.Subtract(model.Span, basis, model.Span);
        }
    }

    /// <summary>Adds the base to the output.</summary>
    public void AddBase() => VectorMath.Add(Output, Base, Output);

    /// <summary>Returns a tensor if all its values are finite. Libtorch's own check would need more memory than the tensor.</summary>
    /// <param name="tensor">A contiguous float32 tensor; disposed if it is not finite.</param>
    /// <param name="name">Its name.</param>
    /// <param name="source">Where it is from, for the message.</param>
    /// <exception cref="InvalidDataException">A value is NaN or infinite.</exception>
    public static torch.Tensor Finite(torch.Tensor tensor, string name, string source)
    {
        using var values = new NativeFloats(tensor);
        int count = 0;
        foreach (float value in values.Span)
        {
            count += float.IsFinite(value) ? 0 : 1;
        }

        return count == 0
            ? values.Take()
            : throw new InvalidDataException(
                $"{source}: tensor '{name}' has {count} values that are NaN or infinite (of {values.Length}); weights must be finite."
            );
    }

    /// <summary>Hands the output over to the caller.</summary>
    public torch.Tensor TakeOutput() => _output.Take();

    public void Dispose()
    {
        _base?.Dispose();
        foreach (NativeFloats model in _models)
        {
            model.Dispose();
        }

        _output.Dispose();
    }
}

/// <summary>The values of a contiguous float32 tensor on the CPU, which it takes over.</summary>
internal sealed unsafe class NativeFloats : IDisposable
{
    private torch.Tensor? _tensor;
    private readonly float* _start;

    public NativeFloats(torch.Tensor tensor)
    {
        long length = tensor.numel();
        if (length > int.MaxValue)
        {
            throw new NotSupportedException($"A tensor of {length} scalars is too long to be merged; {int.MaxValue} are possible.");
        }

        _tensor = tensor.DetachFromDisposeScope();
        Length = (int)length;
        if (length > 0)
        {
            using torch.Tensor flat = tensor.view(-1);
            using torch.Tensor first = flat.narrow(0, 0, 1);
            _start = (float*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(first.bytes));
        }
    }

    public int Length { get; }

    public Span<float> Span => new(_start, Length);

    public torch.Tensor Take()
    {
        torch.Tensor tensor = _tensor!;
        _tensor = null;
        return tensor;
    }

    public void Dispose()
    {
        _tensor?.Dispose();
        _tensor = null;
    }
}

/// <summary>SplitMix64 (Steele, Lea and Flood 2014), seeded by a seed, a tensor's name and a model's number.</summary>
internal struct MergeRandom
{
    private const ulong Increment = 0x9E3779B97F4A7C15;
    private ulong _state;

    public MergeRandom(int seed, string name, int model)
    {
        // FNV-1a of the name.
        ulong hash = 14695981039346656037;
        foreach (byte letter in Encoding.UTF8.GetBytes(name))
        {
            hash = (hash ^ letter) * 1099511628211;
        }

        _state = hash ^ ((ulong)(uint)seed << 32) ^ (uint)model;
        Next();
        Next();
    }

    /// <summary>A number from 0 to below 1.</summary>
    public double NextDouble() => (Next() >> 11) * (1.0 / (1L << 53));

    private ulong Next()
    {
        ulong z = _state += Increment;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
