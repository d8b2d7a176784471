using SkillLoc.Models.Backbones;

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
        : this(PointsOf(model))
    {
    }

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
