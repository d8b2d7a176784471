using SkillLoc.Models.Backbones;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Hooks;

/// <summary>The hooks of one pass as they are when it begins: the model's, and then those that it was given.</summary>
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
    /// <returns>What the pass goes on with.</returns>
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
            using var scope = NewDisposeScope();
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
        if (!edited.shape.SequenceEqual(activation.shape) || edited.dtype != activation.dtype || edited.device_type != activation.device_type)
        {
            throw new InvalidOperationException(
                $"A hook at {point.Name} returned {Describe(edited)} for {Describe(activation)}; shape, type and device must stay.");
        }

        static string Describe(Tensor x) => $"{x.dtype} [{string.Join(", ", x.shape)}] on {x.device}";
    }
}
