using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.NativeCalls;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tuning;

/// <summary>
/// What a parameter-efficient tuning method adds to a model: parameters of its own, and what they do in the forward pass. Made by
/// <see cref="TuningOptions.Create(LanguageModel, int)"/>.
/// </summary>
internal abstract class Adaptation : IDisposable
{
    private readonly OrderedDictionary<string, Parameter> _parameters = new(StringComparer.Ordinal);
    private readonly ParameterSource _source;
    private readonly string _fits;

    private protected Adaptation(LanguageModel model, TuningOptions options, ParameterSource source)
    {
        Options = options;
        _source = source;
        _fits = Describe(model);
    }

    /// <summary>The method and its options.</summary>
    public TuningOptions Options { get; }

    /// <summary>The parameters by name; each method's class says which.</summary>
    public IReadOnlyDictionary<string, Parameter> Parameters => _parameters;

    /// <summary>The number of slots that the input sequence becomes longer by.</summary>
    internal virtual int PromptSize => 0;

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Parameter parameter in _parameters.Values)
        {
            parameter.Dispose();
        }

        GC.SuppressFinalize(this);
    }

    /// <summary>The embedded sequence with its prompt.</summary>
    /// <param name="words">The text's word embeddings, <c>[batch, length, hidden]</c>.</param>
    /// <param name="table">The model's word embeddings, <c>[vocabulary, hidden]</c>.</param>
    /// <param name="batch">The batch that <paramref name="words"/> came from.</param>
    /// <returns><c>[batch, PromptSize + length, hidden]</c>.</returns>
    internal virtual Tensor Prompt(Tensor words, Tensor table, TokenBatch batch) => words;

    /// <summary>The positions that are scored, counted with the prompt, Int64 <c>[batch]</c>.</summary>
    internal virtual Tensor ScoredPositions(TokenBatch batch) => batch.Positions;

    /// <summary>What comes before the keys and values of each layer's self-attention, computed once in a pass.</summary>
    /// <param name="decoder">True for the second of T5's two stacks.</param>
    /// <returns><c>[layers, 2, heads, prefix, head size]</c>, or null.</returns>
    internal virtual Tensor? KeyValues(bool decoder = false) => null;

    /// <summary>Called after each linear map of a layer.</summary>
    /// <param name="place">Which linear map.</param>
    /// <param name="input">What it read, <c>[batch, positions, in]</c>.</param>
    /// <param name="output">What it gave, <c>[batch, positions, out]</c>.</param>
    /// <returns>What the layer goes on with.</returns>
    internal virtual Tensor AfterLinear(LinearPlace place, Tensor input, Tensor output) => output;

    /// <summary>Called with a layer's output, normalised where layers end with a norm.</summary>
    /// <param name="layer">Zero-based layer.</param>
    /// <param name="normed"><c>[batch, positions, hidden]</c>.</param>
    /// <returns>What is added to the output as it was before its norm, and the sum is normalised instead; or null.</returns>
    internal virtual Tensor? Correction(int layer, Tensor normed) => null;

    /// <summary>Whether <see cref="Fold"/> changes a parameter of the model.</summary>
    internal virtual bool FoldsInto(string name) => false;

    /// <summary>Makes scoring as cheap as it can be: weights that a linear map can take over go into the model's, in place.</summary>
    /// <param name="model">The model that has this adaptation.</param>
    /// <returns>What is left: this, another, or null.</returns>
    internal virtual Adaptation? Fold(LanguageModel model) => this;

    /// <summary>A copy for a copy of the model.</summary>
    internal Adaptation Clone(LanguageModel model, ScalarType? dtype)
    {
        using var scope = NewDisposeScope();
        return Options.Build(model, (name, _, _) =>
        {
            Tensor source = _parameters[name].detach();
            return source.to(dtype ?? source.dtype, copy: true);
        })!;
    }

    /// <exception cref="ArgumentException">It was made for a model of another kind or size.</exception>
    internal void CheckFits(LanguageModel model)
    {
        if (Describe(model) is var found && found != _fits)
        {
            throw new ArgumentException($"The tuning was made for {_fits}; this model is {found}.", nameof(model));
        }
    }

    /// <summary>Makes a parameter; for constructors.</summary>
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
            ? $"{text} of size {config.HeadSize}, {config.DecoderLayers} decoder layers and {(config.HasGatedFeedForward ? "gated" : "plain")} feed-forward blocks"
            : text;
    }
}
