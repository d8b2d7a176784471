using SkillLoc.Models.Backbones;
using SkillLoc.Models.Hooks;
using SkillLoc.Models.NativeCalls;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Neurons;

/// <summary>
/// Perturbs feed-forward neurons at all positions of a model's passes (Wang et al. 2022, section 4; methods, B.9). Add it to the
/// hooks of a model or of a pass (<see cref="AddTo"/>), and dispose it once no pass uses it.
/// </summary>
public sealed class NeuronPerturbation : IDisposable
{
    private readonly Layer?[] _layers;
    private readonly double _alpha;
    private readonly Generator? _generator;
    private readonly Lock _drawing = new();

    private NeuronPerturbation(PerturbationKind kind, Layer?[] layers, double alpha = 0, Generator? generator = null)
    {
        Kind = kind;
        _layers = layers;
        _alpha = alpha;
        _generator = generator;
    }

    private delegate Tensor Values(int layer, int[] neurons);

    /// <summary>The kind of perturbation.</summary>
    public PerturbationKind Kind { get; }

    /// <summary>
    /// Adds noise: alpha N(0, 1), one draw for each row and neuron, the same at every position, fresh for each layer and batch. Concurrent
    /// passes share one sequence of draws; for reproducible results, create a new perturbation and score on one thread.
    /// </summary>
    /// <param name="model">The model; the noise does not depend on its device.</param>
    /// <param name="neurons">The neurons.</param>
    /// <param name="seed">Seed of the noise.</param>
    /// <param name="alpha">Standard deviation of the noise, 0 or more; 0.1 by default.</param>
    /// <returns>The perturbation; the caller disposes it.</returns>
    /// <exception cref="ArgumentException">The shape of the set differs from the model's.</exception>
    public static NeuronPerturbation Gaussian(LanguageModel model, NeuronSet neurons, int seed, double alpha = 0.1)
    {
        if (!(alpha >= 0 && double.IsFinite(alpha)))
        {
            throw new ArgumentOutOfRangeException(nameof(alpha), alpha, "The noise's standard deviation must be 0 or more.");
        }

        Layer?[] layers = Layers(model, neurons, (_, chosen) => tensor(Array.ConvertAll(chosen, i => (long)i), device: model.Device));
        return new(PerturbationKind.Gaussian, layers, alpha, new Generator((ulong)(uint)seed));
    }

    /// <summary>Sets neurons to 0.</summary>
    /// <param name="model">The model.</param>
    /// <param name="neurons">The neurons.</param>
    /// <returns>The perturbation; the caller disposes it.</returns>
    /// <exception cref="ArgumentException">The shape of the set differs from the model's.</exception>
    public static NeuronPerturbation Zero(LanguageModel model, NeuronSet neurons) =>
        new(PerturbationKind.Zero, Layers(model, neurons, (_, _) => zeros(neurons.Width, dtype: model.Dtype, device: model.Device)));

    /// <summary>Sets neurons to their mean activation.</summary>
    /// <param name="model">The model.</param>
    /// <param name="neurons">The neurons.</param>
    /// <param name="means">Means such as a probe's thresholds, <c>[layers, neurons]</c>, or <c>[layers, slots, neurons]</c>, which are
    /// averaged over the slots.</param>
    /// <returns>The perturbation; the caller disposes it.</returns>
    /// <exception cref="ArgumentException">The shape of the set or of the means differs from the model's.</exception>
    public static NeuronPerturbation Mean(LanguageModel model, NeuronSet neurons, NeuronValues means)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(means);
        means.CheckFits(model.Config);
        NeuronValues each = means.MeanOverSlots();
        return new(
            PerturbationKind.Mean,
            Layers(model, neurons, (layer, _) => tensor(each.Of(layer).ToArray()).to(model.Dtype, model.Device))
        );
    }

    /// <summary>Perturbs the passes that have these hooks, at <c>mlp.hook_post</c> of the layers that have some of the neurons.</summary>
    /// <param name="hooks">A model's own, <see cref="LanguageModel.Hooks"/>, or some passes'.</param>
    /// <returns>What ends the perturbing when it is disposed, but does not dispose the perturbation.</returns>
    /// <exception cref="ArgumentException">The model is not of the shape that the perturbation was made for.</exception>
    public IDisposable AddTo(ActivationHooks hooks)
    {
        ArgumentNullException.ThrowIfNull(hooks);
        var places = hooks
            .Points.Blocks.Take(_layers.Length)
            .Index()
            .Where(block => _layers[block.Index] is not null)
            .ToDictionary(block => block.Item.Post, block => _layers[block.Index]!);
        return hooks.Add([.. places.Keys], (activations, context) => Edit(places[context.Point], activations));
    }

    private Tensor Edit(Layer edited, Tensor activations)
    {
        using Held held = new(this, activations);
        using DisposeScope scope = NewDisposeScope();
        return (
            Kind == PerturbationKind.Gaussian
                ? activations.Add(Noise(edited.Values, activations))
                : where(edited.Mask, edited.Values, activations)
        ).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _generator?.Dispose();
        foreach (Layer? layer in _layers)
        {
            layer?.Mask.Dispose();
            layer?.Values.Dispose();
        }
    }

    /// <summary>Drawn on the CPU, so that every device gets the same noise.</summary>
    private Tensor Noise(Tensor neurons, Tensor activations)
    {
        long rows = activations.size(0);
        Tensor drawn;
        lock (_drawing)
        {
            drawn = randn(rows, neurons.numel(), generator: _generator);
        }

        Tensor noise = zeros(rows, activations.size(2), dtype: activations.dtype, device: activations.device);
        return noise.index_copy_(1, neurons, drawn.Mul_(_alpha).to(activations.dtype, activations.device)).unsqueeze(1);
    }

    private static Layer?[] Layers(LanguageModel model, NeuronSet neurons, Values values)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(neurons);
        neurons.CheckFits(model.Config);
        using DisposeScope scope = NewDisposeScope();
        return
        [
            .. Enumerable
                .Range(0, neurons.Layers)
                .Select(layer =>
                    neurons.Indices(layer) is { Length: > 0 } chosen
                        ? new Layer(
                            tensor(neurons.Of(layer).ToArray(), device: model.Device).DetachFromDisposeScope(),
                            values(layer, chosen).DetachFromDisposeScope()
                        )
                        : null
                ),
        ];
    }

    /// <summary>The selected neurons, <c>[width]</c>, and their new values, <c>[width]</c>, or the indices that receive noise.</summary>
    private sealed record Layer(Tensor Mask, Tensor Values);
}

/// <summary>How the activations of neurons are perturbed (methods, B.9).</summary>
public enum PerturbationKind
{
    /// <summary>Adds alpha N(0, 1), one draw per row and neuron, the same at every position.</summary>
    Gaussian,

    /// <summary>Sets them to 0.</summary>
    Zero,

    /// <summary>Sets them to their mean, such as the thresholds of a probe.</summary>
    Mean,
}
