using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.NativeCalls;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Trainers;

/// <summary>
/// A parameter, or some of its coordinates, with optimizer state and best snapshot. Few coordinates are trained as a separate vector, so
/// that the others are never touched and cost nothing.
/// </summary>
internal sealed class TrainedParameter : IDisposable
{
    private const string BestSuffix = ".best";

    private readonly bool _decays;
    private readonly Tensor? _region;
    private readonly Tensor? _frozen;
    private readonly Tensor? _frozenValues;
    private Tensor? _start;
    private Tensor? _best;

    /// <param name="name">The parameter's Hugging Face name.</param>
    /// <param name="weight">The model's parameter.</param>
    /// <param name="region">Flat indices of the coordinates that train; null for all.</param>
    /// <param name="frozen">Flat indices that keep their values, when all others train.</param>
    /// <param name="decays">False to disable weight decay regardless of the name (methods, B.3).</param>
    public TrainedParameter(string name, Parameter weight, long[]? region, long[]? frozen, bool decays = true)
    {
        _decays = decays;
        Name = name;
        Weight = weight;
        Value = weight;
        using IDisposable noGradients = no_grad();
        using DisposeScope scope = NewDisposeScope();
        if (region is not null)
        {
            _region = tensor(region, device: weight.device).DetachFromDisposeScope();
            Value = new Parameter(weight.view(-1).index_select(0, _region), requires_grad: false);
            Value.DetachFromDisposeScope();
        }
        else if (frozen is not null)
        {
            _frozen = tensor(frozen, device: weight.device).DetachFromDisposeScope();
            _frozenValues = weight.view(-1).index_select(0, _frozen).DetachFromDisposeScope();
        }
    }

    public string Name { get; }

    /// <summary>The model's parameter, used in passes.</summary>
    public Parameter Weight { get; }

    /// <summary>The values that the optimiser changes: <see cref="Weight"/> itself, or its trained coordinates.</summary>
    public Parameter Value { get; }

    /// <summary>AdamW's running means of the gradient and of its square.</summary>
    public (Tensor First, Tensor Second)? Moments { get; private set; }

    /// <summary>
    /// Adafactor's running means of the gradient's square along the last and the last but one dimension; for a vector, one per coordinate.
    /// </summary>
    public (Tensor Rows, Tensor? Columns)? Squares { get; private set; }

    /// <summary>Whether weight decay applies, which excludes biases and layer norms (methods, A.9).</summary>
    public bool Decays =>
        _decays
        && !Name.Contains("bias", StringComparison.Ordinal)
        && !Name.Contains("LayerNorm.weight", StringComparison.Ordinal)
        && !Name.Contains("layer_norm.weight", StringComparison.Ordinal)
        && !Name.Contains(".ln_", StringComparison.Ordinal);

    /// <summary>Whether the L1 anchor applies: to the encoder's parameters, embeddings included (methods, A.1).</summary>
    public bool IsAnchored => ParameterPlace.Of(Name).Region != ParameterRegion.Head;

    /// <summary>Its tensors in a state file.</summary>
    public IEnumerable<(string Name, Tensor Value)> State
    {
        get
        {
            yield return (Name + ".value", Value);
            if (Moments is { } moments)
            {
                yield return (Name + ".first", moments.First);
                yield return (Name + ".second", moments.Second);
            }

            if (Squares is { } squares)
            {
                yield return (Name + ".rows", squares.Rows);
                if (squares.Columns is { } columns)
                {
                    yield return (Name + ".columns", columns);
                }
            }

            if (_best is not null)
            {
                yield return (Name + BestSuffix, _best);
            }
        }
    }

    /// <summary>Stores the current values as the target of the L1 anchor.</summary>
    public void Anchor() => _start = Copy();

    /// <summary>Creates the optimiser's moments, if it has any.</summary>
    public void AddMoments(OptimizerKind kind)
    {
        long[] shape = Value.shape;
        if (kind == OptimizerKind.AdamW)
        {
            Moments = (Zeros(shape), Zeros(shape));
        }
        else if (kind == OptimizerKind.Adafactor)
        {
            Squares = shape.Length < 2 ? (Zeros(shape), null) : (Zeros(shape[..^1]), Zeros([.. shape[..^2], shape[^1]]));
        }

        Tensor Zeros(long[] size) => zeros(size, dtype: Value.dtype, device: Value.device).DetachFromDisposeScope();
    }

    /// <summary>Extracts the gradient of the trained coordinates after the backward pass.</summary>
    public void TakeGradient()
    {
        if (_region is null && _frozen is null)
        {
            return;
        }

        using DisposeScope scope = NewDisposeScope();
        if (Weight.grad is not { } gradient)
        {
            return;
        }

        if (_region is not null)
        {
            Value.grad = gradient.view(-1).index_select(0, _region);
            Weight.grad = null!;
        }
        else
        {
            gradient.view(-1).IndexFill_(0, _frozen!, 0);
        }
    }

    /// <summary>Adds the gradient of the L1 penalty, strength * sign(value - start).</summary>
    /// <returns>The sum of |value - start|, a scalar tensor in the caller's scope.</returns>
    public Tensor Pull(double strength)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor difference = Value - _start!;
        Value.grad?.Add_(difference.sign(), strength);
        return difference.abs_().sum().MoveToOuterDisposeScope();
    }

    /// <summary>Copies changed values to the model and restores frozen coordinates.</summary>
    public void WriteBack()
    {
        using IDisposable noGradients = no_grad();
        using DisposeScope scope = NewDisposeScope();
        if (_region is not null)
        {
            Weight.view(-1).index_copy_(0, _region, Value);
        }
        else if (_frozen is not null)
        {
            Weight.view(-1).index_copy_(0, _frozen, _frozenValues!);
        }
    }

    public void KeepAsBest()
    {
        using IDisposable noGradients = no_grad();
        if (_best is null)
        {
            _best = Copy();
        }
        else
        {
            _best.copy_(Value);
        }
    }

    /// <summary>Restores the best values, if any.</summary>
    public void RestoreBest()
    {
        if (_best is not null)
        {
            Set(Value, _best);
            WriteBack();
        }
    }

    /// <summary>Restores the tensors of <see cref="State"/>.</summary>
    /// <exception cref="InvalidDataException">The store lacks a tensor, or has values that training cannot produce.</exception>
    public void Load(ITensorStore store)
    {
        foreach ((string name, Tensor target) in State.ToArray())
        {
            using Tensor stored = Read(store, name, target.shape);
            Set(target, stored);
        }

        string best = Name + BestSuffix;
        if (store.Contains(best))
        {
            using Tensor stored = Read(store, best, Value.shape);
            _best = stored.to(Value.dtype, Value.device, copy: true).DetachFromDisposeScope();
        }

        WriteBack();
    }

    private Tensor Read(ITensorStore store, string name, long[] shape)
    {
        TensorInfo info =
            store.Tensors.FirstOrDefault(tensor => tensor.Name == name)
            ?? throw new InvalidDataException($"{store.Path} lacks the tensor '{name}'. The state is damaged: remove it to start anew.");
        if (
            !info.Shape.SequenceEqual(shape)
            || info.Dtype is not (ScalarType.Float16 or ScalarType.BFloat16 or ScalarType.Float32 or ScalarType.Float64)
        )
        {
            throw new InvalidDataException(
                $"{store.Path}: tensor '{name}' is {info.Dtype} of the shape [{string.Join(", ", info.Shape)}]; it must hold "
                    + "floating-point numbers of the "
                    + $"shape [{string.Join(", ", shape)}]. The state is damaged: remove it to start anew."
            );
        }

        Tensor stored = store.ReadFinite(name);
        if (name != Name + ".value" && name != Name + ".first" && name != Name + BestSuffix)
        {
            // Means of squares.
            using Tensor signs = stored.signbit(),
                any = signs.any();
            if (any.item<bool>())
            {
                stored.Dispose();
                throw new InvalidDataException(
                    $"{store.Path}: tensor '{name}' holds means of squares, and some are negative. The state is damaged: remove it to "
                        + "start anew."
                );
            }
        }

        return stored;
    }

    public void Dispose()
    {
        if (!ReferenceEquals(Value, Weight))
        {
            Value.Dispose();
        }

        Moments?.First.Dispose();
        Moments?.Second.Dispose();
        Squares?.Rows.Dispose();
        Squares?.Columns?.Dispose();
        _region?.Dispose();
        _frozen?.Dispose();
        _frozenValues?.Dispose();
        _start?.Dispose();
        _best?.Dispose();
    }

    private static void Set(Tensor target, Tensor value)
    {
        using IDisposable noGradients = no_grad();
        target.copy_(value);
    }

    private Tensor Copy()
    {
        using Tensor detached = Value.detach();
        return detached.clone().DetachFromDisposeScope();
    }
}
