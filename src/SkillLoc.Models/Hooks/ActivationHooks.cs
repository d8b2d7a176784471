using SkillLoc.Models.Backbones;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Hooks;

/// <summary>
/// Hooks at a model's points: of all its passes (<see cref="LanguageModel.Hooks"/>), or of those that they are handed to. At one point
/// they are called in the order in which they were added, each with what the one before returned, a model's before a pass's.
/// </summary>
/// <remarks>Hooks may be added and taken away while passes run on other threads: a pass has those that there were when it began. A hook
/// that is called by passes of several threads must allow for that itself.</remarks>
public sealed class ActivationHooks
{
    private readonly Lock _changing = new();
    private volatile ActivationHook[]?[]? _table;

    /// <summary>Hooks for some passes of a model.</summary>
    /// <param name="model">The model, or one of the same architecture and sizes.</param>
    public ActivationHooks(LanguageModel model)
        : this(PointsOf(model)) { }

    internal ActivationHooks(HookPoints points) => Points = points;

    /// <summary>The model's points.</summary>
    internal HookPoints Points { get; }

    /// <summary>The hooks of each point; null where there is none at all. Never changed, only replaced.</summary>
    internal ActivationHook[]?[]? Table => _table;

    /// <summary>Adds a hook at a point.</summary>
    /// <param name="point">One of the names of <see cref="LanguageModel.HookPoints"/>.</param>
    /// <param name="hook">The hook.</param>
    /// <returns>What takes the hook away again when it is disposed.</returns>
    /// <exception cref="ArgumentException">The model has no such point; the message lists those that it has.</exception>
    public IDisposable Add(string point, ActivationHook hook)
    {
        ArgumentNullException.ThrowIfNull(point);
        return Add([Points.Of(point)], hook);
    }

    /// <summary>Adds a hook at several points.</summary>
    /// <param name="which">True for each of them.</param>
    /// <param name="hook">The hook.</param>
    /// <returns>What takes the hook away again from all of them when it is disposed.</returns>
    /// <exception cref="ArgumentException">None of the model's points is meant.</exception>
    public IDisposable Add(Func<HookPoint, bool> which, ActivationHook hook)
    {
        ArgumentNullException.ThrowIfNull(which);
        HookPoint[] points = [.. Points.Where(which)];
        return points.Length > 0
            ? Add(points, hook)
            : throw new ArgumentException("None of the model's hook points is meant; LanguageModel.HookPoints lists them.", nameof(which));
    }

    /// <summary>Adds a hook at some points, which may be none.</summary>
    internal IDisposable Add(IReadOnlyList<HookPoint> points, ActivationHook hook)
    {
        ArgumentNullException.ThrowIfNull(hook);

        // The same delegate may be added twice; its handle takes away its own.
        ActivationHook own = (activation, context) => hook(activation, context);
        Change(points, hooks => [.. hooks, own]);
        return new Handle(() => Change(points, hooks => [.. hooks.Where(other => !ReferenceEquals(other, own))]));
    }

    /// <exception cref="ArgumentException">These were made for a model with other points.</exception>
    internal void CheckFits(ActivationHooks models)
    {
        if (!Points.Equal(models.Points))
        {
            throw new ArgumentException("The hooks were made for a model of another architecture or size.", nameof(models));
        }
    }

    private static HookPoints PointsOf(LanguageModel model)
    {
        ArgumentNullException.ThrowIfNull(model);
        return model.Points;
    }

    private void Change(IReadOnlyList<HookPoint> points, Func<ActivationHook[], ActivationHook[]> change)
    {
        lock (_changing)
        {
            ActivationHook[]?[] table = _table is { } old ? [.. old] : new ActivationHook[]?[Points.Count];
            foreach (HookPoint point in points)
            {
                table[point.Index] = change(table[point.Index] ?? []) is { Length: > 0 } hooks ? hooks : null;
            }

            _table = Array.Exists(table, hooks => hooks is not null) ? table : null;
        }
    }

    private sealed class Handle(Action remove) : IDisposable
    {
        private Action? _remove = remove;

        public void Dispose() => Interlocked.Exchange(ref _remove, null)?.Invoke();
    }
}

/// <summary>Reads or edits an activation while a model runs.</summary>
/// <param name="activation"><c>[batch, positions, size]</c>. It belongs to the model and is released after the call: a hook that keeps it
/// keeps a clone, moved out of its dispose scope.</param>
/// <param name="context">Where in which pass.</param>
/// <returns>The activation that the pass continues with, of the same shape and type: a new tensor, which the model then owns, or the same, changed in
/// place, which gradients do not survive. Null changes nothing.</returns>
public delegate torch.Tensor? ActivationHook(torch.Tensor activation, HookContext context);

/// <summary>The context that an <see cref="ActivationHook"/> receives with the activation.</summary>
public sealed class HookContext
{
    internal HookContext(HookPoint point, TokenBatch batch, torch.Tensor? positions, bool isTraining)
    {
        Point = point;
        Batch = batch;
        Positions = positions;
        IsTraining = isTraining;
    }

    /// <summary>The point.</summary>
    public HookPoint Point { get; }

    /// <summary>The texts' token ids, and which of them are padding; in T5's decoder too, where they are the encoder's texts.</summary>
    public TokenBatch Batch { get; }

    /// <summary>The positions of each row that the activation holds, Int64 <c>[batch, positions]</c>, counted with the slots of a soft
    /// prompt; null where it holds all of them. The last layer computes the scored positions only where nothing else is asked for
    /// (<see cref="LanguageModel.EncodeAt"/>), and T5's decoder one step after another while it writes.</summary>
    public torch.Tensor? Positions { get; }

    /// <summary>Whether dropout is on.</summary>
    public bool IsTraining { get; }
}

/// <summary>The hooks of one pass, fixed when it begins: the model's, then those of the call.</summary>
internal sealed class PassHooks
{
    private readonly ActivationHook[]?[]? _models;
    private readonly ActivationHook[]?[]? _own;
    private readonly TokenBatch _batch;
    private readonly bool _training;

    private PassHooks(ActivationHook[]?[]? models, ActivationHook[]?[]? own, TokenBatch batch, bool training)
    {
        _models = models;
        _own = own;
        _batch = batch;
        _training = training;
    }

    /// <summary>Null where there are none.</summary>
    /// <exception cref="ArgumentException">The pass's hooks were made for a model with other points.</exception>
    public static PassHooks? Of(ActivationHooks models, ActivationHooks? own, TokenBatch batch, bool training)
    {
        own?.CheckFits(models);
        return models.Table is null && own?.Table is null ? null : new(models.Table, own?.Table, batch, training);
    }

    /// <summary>Calls the hooks of a point, one after another.</summary>
    /// <param name="point">The point.</param>
    /// <param name="activation">The activation.</param>
    /// <param name="positions">Where it stands in the row; null for all positions.</param>
    /// <returns>The activation that the pass continues with.</returns>
    /// <exception cref="InvalidOperationException">A hook returned a tensor of another shape, type or device.</exception>
    public Tensor Run(HookPoint point, Tensor activation, Tensor? positions)
    {
        Tensor current = Run(_models?[point.Index], point, activation, positions);
        return Run(_own?[point.Index], point, current, positions);
    }

    private Tensor Run(ActivationHook[]? hooks, HookPoint point, Tensor activation, Tensor? positions)
    {
        if (hooks is null)
        {
            return activation;
        }

        var context = new HookContext(point, _batch, positions, _training);
        Tensor current = activation;
        foreach (ActivationHook hook in hooks)
        {
            using DisposeScope scope = NewDisposeScope();
            if (hook(current, context) is { } edited && !ReferenceEquals(edited, current))
            {
                Check(point, current, edited);

                // A tensor that the hook did not make, such as one that it keeps, stays where it is.
                if (scope.Contains(edited))
                {
                    scope.MoveToOuter(edited);
                }

                current = edited;
            }
        }

        GC.KeepAlive(activation);
        return current;
    }

    private static void Check(HookPoint point, Tensor activation, Tensor edited)
    {
        if (
            !edited.shape.SequenceEqual(activation.shape)
            || edited.dtype != activation.dtype
            || edited.device_type != activation.device_type
        )
        {
            throw new InvalidOperationException(
                $"A hook at {point.Name} returned {Describe(edited)} for {Describe(activation)}; shape, type and device must stay."
            );
        }

        static string Describe(Tensor x) => $"{x.dtype} [{string.Join(", ", x.shape)}] on {x.device}";
    }
}
