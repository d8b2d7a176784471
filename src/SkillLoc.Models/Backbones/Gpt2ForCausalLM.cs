using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Hooks;
using SkillLoc.Models.NativeCalls;
using SkillLoc.Models.Tuning;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace SkillLoc.Models.Backbones;

/// <summary>
/// GPT-2 with its language-model head. Attention is causal, so rows are padded on the right and padding needs no mask: only padded
/// positions attend to padding, and their values are not used.
/// </summary>
public sealed class Gpt2ForCausalLM : LanguageModel
{
    private const string HeadWeight = "lm_head.weight";
    private readonly Tensor _words;
    private readonly Tensor _positions;
    private readonly HookPoint _wordsPoint;
    private readonly HookPoint _lastPoint;
    private readonly Layer[] _layers;
    private readonly Norm _lastNorm;
    private readonly Tensor? _head;
    private readonly Func<Tensor, Tensor> _activation;
    private readonly double[] _queryScales;

    internal Gpt2ForCausalLM(ModelConfig config, OrderedDictionary<string, Parameter> parameters)
        : base(config, parameters)
    {
        _words = parameters["transformer.wte.weight"];
        _positions = parameters["transformer.wpe.weight"];
        _wordsPoint = Points.Of("hook_embed");
        _layers =
        [
            .. Enumerable
                .Range(0, config.Layers)
                .Select(i =>
                {
                    string layer = $"transformer.h.{i}";
                    return new Layer(
                        Points.Blocks[i],
                        NormAt(layer + ".ln_1"),
                        At(layer + ".attn.c_attn"),
                        At(layer + ".attn.c_proj"),
                        NormAt(layer + ".ln_2"),
                        At(layer + ".mlp.c_fc"),
                        At(layer + ".mlp.c_proj")
                    );
                }),
        ];
        _lastNorm = NormAt("transformer.ln_f");
        _lastPoint = Points.Of("ln_final.hook_normalized");
        _head = config.TieWordEmbeddings ? _words : parameters.GetValueOrDefault(HeadWeight);
        _activation = Activation.Of(config);

        // Attention divides by the root of the head size. What else the configuration scales by is multiplied to the queries.
        double root = config.Flag("scale_attn_weights", true) ? 1 : Math.Sqrt(config.HeadSize);
        bool byLayer = config.Flag("scale_attn_by_inverse_layer_idx", false);
        _queryScales = [.. Enumerable.Range(1, config.Layers).Select(number => byLayer ? root / number : root)];

        Projection At(string name) => new(parameters[name + ".weight"], parameters[name + ".bias"]);
        Norm NormAt(string name) => new(parameters[name + ".weight"], parameters[name + ".bias"], config.LayerNormEpsilon);
    }

    /// <inheritdoc/>
    public override bool HasHead => _head is not null;

    /// <inheritdoc/>
    public override int MaxLength => Config.MaxPositions - PromptSize - PastPositions;

    private int PromptSize => PeftModule?.PromptSize ?? 0;

    private int PastPositions => PeftModule?.PastPositions ?? 0;

    /// <inheritdoc/>
    /// <remarks>As in <c>transformers</c>, the last layer's hidden states are those after the final layer norm.</remarks>
    public override Tensor Encode(TokenBatch batch, bool training = false, ActivationHooks? hooks = null)
    {
        ArgumentNullException.ThrowIfNull(batch);
        using Held held = new(this, batch);
        using Lifetime.Hold hold = Hold();
        using DisposeScope scope = NewDisposeScope();
        return Run(batch, null, training, hooks).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor EncodeAt(TokenBatch batch, bool training = false, ActivationHooks? hooks = null)
    {
        ArgumentNullException.ThrowIfNull(batch);
        using Held held = new(this, batch);
        using Lifetime.Hold hold = Hold();
        using DisposeScope scope = NewDisposeScope();
        Tensor positions = PeftModule?.ScoredPositions(batch) ?? batch.Positions;
        return Run(batch, positions.unsqueeze(1), training, hooks).squeeze(1).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor WordScores(Tensor hidden, Tensor? words = null)
    {
        if (_head is null)
        {
            throw new InvalidOperationException("This model was loaded without its language-model head, so it cannot score words.");
        }

        using Held held = new(this, hidden, words);
        using Lifetime.Hold hold = Hold();
        using DisposeScope scope = NewDisposeScope();
        return F.linear(hidden, words is null ? _head : _head.index_select(0, words)).MoveToOuterDisposeScope();
    }

    /// <summary>Returns the hidden states of the last layer at several positions per row; the last layer is not computed at the
    /// others.</summary>
    /// <param name="batch">Token ids.</param>
    /// <param name="positions">Int64 <c>[batch, count]</c>.</param>
    /// <param name="training">True enables dropout.</param>
    /// <returns><c>[batch, count, hidden]</c>.</returns>
    internal Tensor EncodeAt(TokenBatch batch, Tensor positions, bool training)
    {
        using Held held = new(this, batch, positions);
        using DisposeScope scope = NewDisposeScope();
        return Run(batch, positions, training, null).MoveToOuterDisposeScope();
    }

    /// <summary>What a layer's attention scores are divided by.</summary>
    internal double AttentionDivisor(int layer) => Math.Sqrt(Config.HeadSize) / _queryScales[layer];

    /// <summary>The configuration that matches the weights: a stored head that differs from the word embeddings is not tied to
    /// them.</summary>
    internal static ModelConfig Settle(CheckpointFolder checkpoint) =>
        StoredTensor.HasOwnHead(checkpoint, HeadWeight, "transformer.wte.weight")
            ? checkpoint.Config.With("tie_word_embeddings", false)
            : checkpoint.Config;

    /// <summary>Names and shapes of the parameters, in the order of <c>transformers</c>. Projections are stored as [in, out].</summary>
    internal static IEnumerable<(string Name, long[] Shape)> Shapes(ModelConfig config, bool withHead)
    {
        long hidden = config.HiddenSize;
        yield return ("transformer.wte.weight", [config.VocabularySize, hidden]);
        yield return ("transformer.wpe.weight", [config.MaxPositions, hidden]);
        for (int i = 0; i < config.Layers; i++)
        {
            long inner = config.FeedForwardSizes[i];
            (string Name, long[] Shape)[] parts =
            [
                ("ln_1", [hidden]),
                ("attn.c_attn", [hidden, 3 * hidden]),
                ("attn.c_proj", [hidden, hidden]),
                ("ln_2", [hidden]),
                ("mlp.c_fc", [hidden, inner]),
                ("mlp.c_proj", [inner, hidden]),
            ];
            foreach ((string part, long[] shape) in parts)
            {
                yield return ($"transformer.h.{i}.{part}.weight", shape);
                yield return ($"transformer.h.{i}.{part}.bias", [shape[^1]]);
            }
        }

        yield return ("transformer.ln_f.weight", [hidden]);
        yield return ("transformer.ln_f.bias", [hidden]);
        if (withHead && !config.TieWordEmbeddings)
        {
            yield return (HeadWeight, [config.VocabularySize, hidden]);
        }
    }

    /// <inheritdoc/>
    internal override IEnumerable<LinearLayer> LinearLayersOf(int layer)
    {
        Layer parts = _layers[layer];
        return
        [
            Of(TargetModules.Query, 0),
            Of(TargetModules.Key, 1),
            Of(TargetModules.Value, 2),
            At(TargetModules.AttentionOutput, "attn.c_proj", parts.AttentionOutput),
            At(TargetModules.Up, "mlp.c_fc", parts.Up),
            At(TargetModules.Down, "mlp.c_proj", parts.Down),
        ];

        // Queries, keys and values are columns of one weight.
        LinearLayer Of(TargetModules kind, int third)
        {
            LinearLayer map = At(kind, "attn.c_attn", parts.Attention.Columns((long)third * Config.HiddenSize, Config.HiddenSize));
            return map with { Name = $"{map.Name}.{kind.ToString().ToLowerInvariant()}" };
        }

        LinearLayer At(TargetModules kind, string part, Projection projection)
        {
            string name = $"transformer.h.{layer}.{part}";
            return new(new(layer, kind), name, name + ".weight", projection.Weight.transpose(0, 1), name + ".bias", projection.Bias);
        }
    }

    /// <summary>Standard deviation of new weights: projections onto the residual stream are scaled by 1 / sqrt(2 layers).</summary>
    internal static double InitialDeviation(ModelConfig config, string name) =>
        config.InitializerRange / (name.EndsWith("c_proj.weight", StringComparison.Ordinal) ? Math.Sqrt(2.0 * config.Layers) : 1);

    /// <summary>Runs the forward pass; the last layer is computed at <paramref name="positions"/> only, or at all for null.</summary>
    private Tensor Run(TokenBatch batch, Tensor? positions, bool training, ActivationHooks? hooks)
    {
        var pass = new Pass(PeftModule?.KeyValues(), training, HooksOf(batch, training, hooks));
        Tensor hidden = Embed(batch, pass);
        int last = _layers.Length - 1;
        for (int i = 0; i < last; i++)
        {
            hidden = Run(i, hidden, null, pass);
        }

        return pass.At(_lastPoint, _lastNorm.Apply(Run(last, hidden, positions, pass)), positions);
    }

    private Tensor Embed(TokenBatch batch, Pass pass)
    {
        long rows = batch.Ids.size(0),
            length = batch.Ids.size(1);
        if (length > MaxLength)
        {
            throw new ArgumentException($"A row of {length} tokens is longer than the model's {MaxLength} positions.", nameof(batch));
        }

        using DisposeScope scope = NewDisposeScope();
        Tensor words = _words.index_select(0, batch.Ids.view(-1)).view(rows, length, -1);
        if (PromptSize > 0)
        {
            words = PeftModule!.Prompt(words, _words, batch);
        }

        words = pass.At(_wordsPoint, words);
        return Drop(words.Add(_positions.narrow(0, PastPositions, PromptSize + length)), Config.EmbeddingDropout, pass.Training)
            .MoveToOuterDisposeScope();
    }

    /// <summary>One pre-norm layer.</summary>
    private Tensor Run(int index, Tensor hidden, Tensor? positions, Pass pass)
    {
        using DisposeScope scope = NewDisposeScope();
        Layer layer = _layers[index];
        BlockHookPoints points = layer.Points;
        (Tensor? prefix, bool training) = (pass.Prefix, pass.Training);
        hidden = pass.At(points.ResidPre, hidden);
        Tensor normed = layer.AttentionNorm.Apply(hidden);
        double dropout = training ? Dropout ?? Config.AttentionDropout : 0;
        long width = hidden.size(2),
            length = hidden.size(1);
        Tensor queried = normed;
        Tensor[] parts;
        if (positions is null)
        {
            parts = layer.Attention.Apply(normed).chunk(3, -1);
        }
        else
        {
            hidden = At(hidden, positions);
            queried = At(normed, positions);
            parts =
            [
                layer.Attention.Columns(0, width).Apply(queried),
                .. layer.Attention.Columns(width, 2 * width).Apply(normed).chunk(2, -1),
            ];
        }

        Tensor query = SplitHeads(pass.At(points.Attention.Q, Adapt(TargetModules.Query, queried, parts[0]), positions));
        Tensor keys = SplitHeads(pass.At(points.Attention.K, Adapt(TargetModules.Key, normed, parts[1])));
        Tensor values = SplitHeads(pass.At(points.Attention.V, Adapt(TargetModules.Value, normed, parts[2])));
        if (prefix is not null)
        {
            (keys, values) = PrefixTuning.Prepend(prefix[index], keys, values);
        }

        if (_queryScales[index] != 1)
        {
            query = query.Mul(_queryScales[index]);
        }

        Tensor context;
        if (positions is null && prefix is null)
        {
            context = Attend(query, keys, values, mask: null, dropout, isCausal: true);
        }
        else
        {
            // A prefix stands before position 0, so that every position sees it.
            Tensor places = TensorArithmetic.Arange(-(prefix?.size(3) ?? 0), length, hidden.device);
            Tensor seers = positions is null ? TensorArithmetic.Arange(0, length, hidden.device) : positions.unsqueeze(1);
            context = Attend(query, keys, values, places <= seers.unsqueeze(-1), dropout);
        }

        Tensor merged = pass.At(points.Attention.Z, context.transpose(1, 2).reshape(hidden.size(0), hidden.size(1), -1), positions);
        Tensor output = Adapt(TargetModules.AttentionOutput, merged, layer.AttentionOutput.Apply(merged));
        Tensor written = pass.At(points.Attention.Out, Drop(output, Config.HiddenDropout, training), positions);
        Tensor attended = pass.At(points.ResidMid, hidden.Add(written), positions);
        Tensor read = layer.FeedForwardNorm.Apply(attended);
        Tensor neurons = _activation(pass.At(points.Pre, Adapt(TargetModules.Up, read, layer.Up.Apply(read)), positions));
        neurons = pass.At(points.Post, neurons, positions);
        Tensor down = Adapt(TargetModules.Down, neurons, layer.Down.Apply(neurons));
        Tensor sum = attended.Add(pass.At(points.MlpOut, Drop(down, Config.HiddenDropout, training), positions));
        sum = PeftModule?.Correction(index, sum) is { } correction ? sum.Add(correction) : sum;
        return pass.At(points.ResidPost, sum, positions).MoveToOuterDisposeScope();

        Tensor Adapt(TargetModules map, Tensor input, Tensor mapped) => PeftModule?.AfterLinear(new(index, map), input, mapped) ?? mapped;
    }

    private static Tensor At(Tensor hidden, Tensor positions) => hidden.gather(1, positions.unsqueeze(-1).expand(-1, -1, hidden.size(2)));

    private Tensor SplitHeads(Tensor x) => x.view(x.size(0), x.size(1), Config.Heads, -1).transpose(1, 2);

    private Tensor Drop(Tensor x, double probability, bool training) => Drop(x, training ? Dropout ?? probability : 0);

    /// <summary>State that all layers of a pass share.</summary>
    private readonly record struct Pass(Tensor? Prefix, bool Training, PassHooks? Hooks)
    {
        public Tensor At(HookPoint point, Tensor x, Tensor? positions = null) => Hooks?.Run(point, x, positions) ?? x;
    }

    /// <summary>A linear layer whose weight is stored as [in, out] (Conv1D in <c>transformers</c>).</summary>
    private readonly record struct Projection(Tensor Weight, Tensor Bias)
    {
        public Tensor Apply(Tensor x) => F.linear(x, Weight.transpose(0, 1), Bias);

        public Projection Columns(long start, long count) => new(Weight.narrow(1, start, count), Bias.narrow(0, start, count));
    }

    private readonly record struct Norm(Tensor Weight, Tensor Bias, double Epsilon)
    {
        public Tensor Apply(Tensor x) => F.layer_norm(x, [x.size(-1)], Weight, Bias, Epsilon);
    }

    private sealed record Layer(
        BlockHookPoints Points,
        Norm AttentionNorm,
        Projection Attention,
        Projection AttentionOutput,
        Norm FeedForwardNorm,
        Projection Up,
        Projection Down
    );
}
