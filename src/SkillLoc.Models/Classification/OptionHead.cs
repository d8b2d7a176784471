using SkillLoc.Models.Backbones;
using SkillLoc.Models.NativeCalls;
using SkillLoc.Models.Prompts;
using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace SkillLoc.Models.Classification;

/// <summary>Scores options of several tokens by their mean log-likelihood after the text (methods, A.6).</summary>
internal sealed class OptionHead : ClassificationHead
{
    private readonly int[][] _options;
    private readonly int _longest;

    // One entry for each token of each option: its place among the scored positions of a row, its id, and its weight for each option.
    private readonly Tensor _places;
    private readonly Tensor _tokens;
    private readonly Tensor _weights;

    /// <param name="model">A causal model.</param>
    /// <param name="labels">The labels.</param>
    /// <param name="options">Each label's option as token ids, none empty.</param>
    public OptionHead(LanguageModel model, IReadOnlyList<string> labels, IReadOnlyList<int[]> options)
        : this(
            labels,
            options.Count == labels.Count && options.All(option => option.Length > 0) && model is Gpt2ForCausalLM { HasHead: true }
                ? [.. options]
                : throw new ArgumentException("Whole options need one option per label and a causal model with its head.", nameof(options)),
            model.Device
        ) { }

    private OptionHead(IReadOnlyList<string> labels, int[][] options, Device device)
        : base(HeadKind.LabelWords, labels)
    {
        _options = options;
        _longest = options.Max(option => option.Length);
        long[] places = [.. options.SelectMany((option, label) => option.Select((_, i) => ((long)label * _longest) + i))];
        long[] tokens = [.. options.SelectMany(option => option.Select(id => (long)id))];
        float[] weights = new float[tokens.Length * options.Length];
        for (int label = 0, token = 0; label < options.Length; label++)
        {
            foreach (int _ in options[label])
            {
                weights[(token++ * options.Length) + label] = 1f / options[label].Length;
            }
        }

        _places = tensor(places, device: device).DetachFromDisposeScope();
        _tokens = tensor(tokens, device: device).DetachFromDisposeScope();
        _weights = tensor(weights, tokens.Length, options.Length, device: device).DetachFromDisposeScope();
    }

    /// <summary>Each label's option as token ids.</summary>
    internal int[][] Options => _options;

    public override ClassificationHead Clone(ScalarType? dtype = null) => new OptionHead(Labels, _options, _tokens.device);

    internal override int TokensOf(EncodedText row) => _options.Length * (row.Ids.Length + _longest);

    /// <summary>Each row once per option, followed by the option; the scored position remains the last one of the text.</summary>
    internal override IReadOnlyList<EncodedText> Sequences(IReadOnlyList<EncodedText> rows) =>
        [.. rows.SelectMany(row => _options.Select(option => row with { Ids = [.. row.Ids, .. option] }))];

    /// <summary>Mean log-likelihoods of the options, in nats.</summary>
    internal override Tensor Logits(LanguageModel model, TokenBatch batch, bool training)
    {
        using Held held = new(this);
        using DisposeScope scope = NewDisposeScope();
        long rows = batch.Ids.size(0) / _options.Length;

        // Position p predicts token p + 1. A short option's surplus positions may lie past the end; they are not read.
        Tensor places = TensorArithmetic.Arange(0, _longest, _tokens.device);
        Tensor positions = batch.Positions.unsqueeze(1).Add(places).ClampMax(batch.Ids.size(1) - 1);
        Tensor hidden = ((Gpt2ForCausalLM)model).EncodeAt(batch, positions, training);
        Tensor read = hidden.view(rows, (long)_options.Length * _longest, -1).index_select(1, _places);
        Tensor logLikelihoods = F.log_softmax(model.WordScores(read).to(ScalarType.Float32), -1);
        Tensor index = _tokens.view(1, -1, 1).expand(rows, -1, 1);
        return logLikelihoods.gather(2, index).squeeze(2).matmul(_weights).MoveToOuterDisposeScope();
    }

    private protected override void Dispose(bool disposing)
    {
        _places.Dispose();
        _tokens.Dispose();
        _weights.Dispose();
    }
}
