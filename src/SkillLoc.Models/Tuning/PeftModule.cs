using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.NativeCalls;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tuning;

/// <summary>
/// A parameter-efficient tuning method applied to a model: its parameters and their part in the forward pass. Created by
/// <see cref="TuningOptions.Create(LanguageModel, int)"/>.
/// </summary>
internal abstract class PeftModule : IDisposable
{
    private readonly OrderedDictionary<string, Parameter> _parameters = new(StringComparer.Ordinal);
    private readonly ParameterSource _source;
    private readonly string _fits;

    private protected PeftModule(LanguageModel model, TuningOptions options, ParameterSource source)
    {
        Options = options;
        _source = source;
        _fits = Describe(model);
    }

    /// <summary>The method and its options.</summary>
    public TuningOptions Options { get; }

    /// <summary>The parameters by name; the class of each method documents them.</summary>
    public IReadOnlyDictionary<string, Parameter> Parameters => _parameters;

    /// <summary>Number of virtual tokens added to the input sequence.</summary>
    internal virtual int PromptSize => 0;

    /// <summary>Number of positions that a prefix takes, so that the text's positions come after them.</summary>
    internal virtual int PastPositions => 0;

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Parameter parameter in _parameters.Values)
        {
            parameter.Dispose();
        }

        GC.SuppressFinalize(this);
    }

    /// <summary>Returns the embedded sequence with the prompt.</summary>
    /// <param name="words">The text's word embeddings, <c>[batch, length, hidden]</c>.</param>
    /// <param name="table">The model's word embeddings, <c>[vocabulary, hidden]</c>.</param>
    /// <param name="batch">The batch of <paramref name="words"/>.</param>
    /// <returns><c>[batch, PromptSize + length, hidden]</c>.</returns>
    internal virtual Tensor Prompt(Tensor words, Tensor table, TokenBatch batch) => words;

    /// <summary>The scored positions, prompt included, Int64 <c>[batch]</c>.</summary>
    internal virtual Tensor ScoredPositions(TokenBatch batch) => batch.Positions;

    /// <summary>Returns the keys and values prepended in each layer's self-attention, computed once per pass.</summary>
    /// <param name="decoder">True for T5's decoder.</param>
    /// <returns><c>[layers, 2, heads, prefix, head size]</c>, or null.</returns>
    internal virtual Tensor? KeyValues(bool decoder = false) => null;

    /// <summary>Called after each linear layer of a block.</summary>
    /// <param name="place">The linear layer.</param>
    /// <param name="input">Its input, <c>[batch, positions, in]</c>.</param>
    /// <param name="output">Its output, <c>[batch, positions, out]</c>.</param>
    /// <returns>The output to continue with.</returns>
    internal virtual Tensor AfterLinear(LayerId place, Tensor input, Tensor output) => output;

    /// <summary>Called with the output of a layer, after its final norm if it has one.</summary>
    /// <param name="layer">Zero-based layer.</param>
    /// <param name="normed"><c>[batch, positions, hidden]</c>.</param>
    /// <returns>A term to add to the output before its norm, whose sum is normalised instead; or null.</returns>
    internal virtual Tensor? Correction(int layer, Tensor normed) => null;

    /// <summary>Whether <see cref="Fold"/> changes a parameter of the model.</summary>
    internal virtual bool FoldsInto(string name) => false;

    /// <summary>Folds the adaptation into the model's weights, in place, as far as possible, so that scoring is cheaper.</summary>
    /// <param name="model">The model of this adaptation.</param>
    /// <returns>The remaining adaptation: this, another, or null.</returns>
    internal virtual PeftModule? Fold(LanguageModel model) => this;

    /// <summary>Returns a copy for a copy of the model.</summary>
    internal PeftModule Clone(LanguageModel model, ScalarType? dtype)
    {
        using DisposeScope scope = NewDisposeScope();
        return Options.Build(
            model,
            (name, _, _) =>
            {
                Tensor source = _parameters[name].detach();
                return source.to(dtype ?? source.dtype, copy: true);
            }
        )!;
    }

    /// <exception cref="ArgumentException">It was created for a model of another kind or size.</exception>
    internal void CheckFits(LanguageModel model)
    {
        if (Describe(model) is var found && found != _fits)
        {
            throw new ArgumentException($"The tuning was made for {_fits}; this model is {found}.", nameof(model));
        }
    }

    /// <summary>Creates a parameter; for constructors.</summary>
    private protected Parameter Add(string name, long[] shape, Func<Generator, Tensor> draw)
    {
        var parameter = new Parameter(_source(name, shape, draw), requires_grad: false);
        parameter.DetachFromDisposeScope();
        _parameters.Add(name, parameter);
        return parameter;
    }

    /// <summary>The uniform initialisation of PyTorch's linear layers (Kaiming's, a = sqrt 5).</summary>
    private protected Parameter AddUniform(string name, params long[] shape)
    {
        double bound = 1 / Math.Sqrt(shape[^1]);
        return Add(name, shape, generator => rand(shape, generator: generator).Mul_(2 * bound).Sub_(bound));
    }

    private protected Parameter AddNormal(string name, double deviation, params long[] shape) =>
        Add(name, shape, generator => randn(shape, generator: generator).Mul_(deviation));

    private protected Parameter AddZeros(string name, params long[] shape) => Add(name, shape, _ => zeros(shape));

    private static string Describe(LanguageModel model)
    {
        ModelConfig config = model.Config;
        string text = $"{config.ModelType} with {config.Layers} layers, hidden size {config.HiddenSize} and {config.Heads} heads";
        return model is T5ForConditionalGeneration
            ? $"{text} of size {config.HeadSize}, {config.DecoderLayers} decoder layers and "
                + $"{(config.HasGatedFeedForward ? "gated" : "plain")} feed-forward blocks"
            : text;
    }
}

/// <summary>Provides a parameter of a tuning method: drawn, copied or read. The caller owns the result.</summary>
/// <param name="name">Its name.</param>
/// <param name="shape">Its shape.</param>
/// <param name="draw">Draws its initial value.</param>
internal delegate torch.Tensor ParameterSource(string name, long[] shape, Func<torch.Generator, torch.Tensor> draw);
