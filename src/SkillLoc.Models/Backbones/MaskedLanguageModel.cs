using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Hooks;
using SkillLoc.Models.NativeCalls;
using SkillLoc.Models.Tuning;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace SkillLoc.Models.Backbones;

/// <summary>The bidirectional encoder with a masked-language-model head that RoBERTa and BERT share.</summary>
public abstract class MaskedLanguageModel : LanguageModel
{
    private readonly Tensor _words;
    private readonly Tensor _positions;
    private readonly Tensor _tokenTypes;
    private readonly Affine _embeddingNorm;
    private readonly string _layerPrefix;
    private readonly HookPoint _wordsPoint;
    private readonly HookPoint _embeddedPoint;
    private readonly Layer[] _layers;
    private readonly Head? _head;
    private readonly long _heads;
    private readonly double _epsilon;
    private readonly bool _looksBackOnly;
    private readonly Func<Tensor, Tensor> _activation;

    private protected MaskedLanguageModel(ModelConfig config, OrderedDictionary<string, Parameter> parameters, Names names)
        : base(config, parameters)
    {
        string embeddings = names.Prefix + ".embeddings";
        _words = parameters[embeddings + ".word_embeddings.weight"];
        _positions = parameters[embeddings + ".position_embeddings.weight"];
        _tokenTypes = parameters[embeddings + ".token_type_embeddings.weight"];
        _embeddingNorm = At(embeddings + ".LayerNorm");
        _layerPrefix = names.Prefix + ".encoder.layer.";
        _wordsPoint = Points.Of("embed.hook_embed");
        _embeddedPoint = Points.Of("hook_full_embed");
        _layers =
        [
            .. Enumerable
                .Range(0, config.Layers)
                .Select(i =>
                {
                    string layer = _layerPrefix + i;
                    return new Layer(
                        Points.Blocks[i],
                        At(layer + ".attention.self.query"),
                        At(layer + ".attention.self.key"),
                        At(layer + ".attention.self.value"),
                        At(layer + ".attention.output.dense"),
                        At(layer + ".attention.output.LayerNorm"),
                        At(layer + ".intermediate.dense"),
                        At(layer + ".output.dense"),
                        At(layer + ".output.LayerNorm")
                    );
                }),
        ];
        if (parameters.TryGetValue(config.TieWordEmbeddings ? names.HeadBias : names.DecoderBias, out Parameter? bias))
        {
            _head = new Head(At(names.HeadDense), At(names.HeadNorm), bias, parameters.GetValueOrDefault(names.HeadDecoder) ?? _words);
        }

        _heads = config.Heads;
        _epsilon = config.LayerNormEpsilon;
        _looksBackOnly = config.AttendsBackwardsOnly;
        _activation = Activation.Of(config);

        Affine At(string name) => new(parameters[name + ".weight"], parameters[name + ".bias"]);
    }

    /// <inheritdoc/>
    public override bool HasHead => _head is not null;

    /// <inheritdoc/>
    public override int MaxLength => Config.MaxPositions - FirstPosition - PromptSize;

    /// <summary>Position id of the first token of a row.</summary>
    private protected abstract int PositionOffset { get; }

    /// <summary>The token that positions do not count; null for none.</summary>
    private protected virtual int? UncountedToken => null;

    /// <summary>Activation of the head's dense layer.</summary>
    private protected virtual Func<Tensor, Tensor> HeadActivation => _activation;

    private int PromptSize => PeftModule?.PromptSize ?? 0;

    private int FirstPosition => PositionOffset + (PeftModule?.PastPositions ?? 0);

    /// <inheritdoc/>
    public override Tensor Encode(TokenBatch batch, bool training = false, ActivationHooks? hooks = null)
    {
        ArgumentNullException.ThrowIfNull(batch);
        using Held held = new(this, batch);
        using Lifetime.Hold hold = Hold();
        using DisposeScope scope = NewDisposeScope();
        Pass pass = Start(batch, training, hooks);
        Tensor hidden = Embed(batch, pass);
        for (int i = 0; i < _layers.Length; i++)
        {
            hidden = Run(i, hidden, null, pass);
        }

        return hidden.MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor EncodeAt(TokenBatch batch, bool training = false, ActivationHooks? hooks = null)
    {
        ArgumentNullException.ThrowIfNull(batch);
        using Held held = new(this, batch);
        using Lifetime.Hold hold = Hold();
        using DisposeScope scope = NewDisposeScope();
        Pass pass = Start(batch, training, hooks);
        Tensor hidden = Embed(batch, pass);
        for (int i = 0; i < _layers.Length - 1; i++)
        {
            hidden = Run(i, hidden, null, pass);
        }

        Tensor positions = PeftModule?.ScoredPositions(batch) ?? batch.Positions;
        if (_looksBackOnly)
        {
            pass = pass with { Mask = LookingBack(batch, pass.Prefix, positions.view(-1, 1, 1, 1)) };
        }

        return Run(_layers.Length - 1, hidden, positions.unsqueeze(1), pass).squeeze(1).MoveToOuterDisposeScope();
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
        Tensor transformed = Normalise(HeadActivation(_head.Dense.Apply(hidden)), _head.Norm);
        Tensor weight = words is null ? _head.Decoder : _head.Decoder.index_select(0, words);
        Tensor bias = words is null ? _head.Bias : _head.Bias.index_select(0, words);
        return F.linear(transformed, weight, bias).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    internal override IEnumerable<LinearLayer> LinearLayersOf(int layer)
    {
        Layer parts = _layers[layer];
        return
        [
            At(TargetModules.Query, "attention.self.query", parts.Query),
            At(TargetModules.Key, "attention.self.key", parts.Key),
            At(TargetModules.Value, "attention.self.value", parts.Value),
            At(TargetModules.AttentionOutput, "attention.output.dense", parts.AttentionOutput),
            At(TargetModules.Up, "intermediate.dense", parts.Up),
            At(TargetModules.Down, "output.dense", parts.Down),
        ];

        LinearLayer At(TargetModules kind, string part, Affine affine)
        {
            string name = $"{_layerPrefix}{layer}.{part}";
            return new(new(layer, kind), name, name + ".weight", affine.Weight, name + ".bias", affine.Bias);
        }
    }

    /// <summary>Names and shapes of the parameters, in the order of <c>transformers</c>.</summary>
    private protected static IEnumerable<(string Name, long[] Shape)> Shapes(ModelConfig config, Names names, bool withHead)
    {
        long hidden = config.HiddenSize;
        string embeddings = names.Prefix + ".embeddings";
        yield return (embeddings + ".word_embeddings.weight", [config.VocabularySize, hidden]);
        yield return (embeddings + ".position_embeddings.weight", [config.MaxPositions, hidden]);
        yield return (embeddings + ".token_type_embeddings.weight", [config.TypeVocabularySize, hidden]);
        yield return (embeddings + ".LayerNorm.weight", [hidden]);
        yield return (embeddings + ".LayerNorm.bias", [hidden]);
        for (int i = 0; i < config.Layers; i++)
        {
            long inner = config.FeedForwardSizes[i];
            (string Name, long Out, long In)[] parts =
            [
                ("attention.self.query", hidden, hidden),
                ("attention.self.key", hidden, hidden),
                ("attention.self.value", hidden, hidden),
                ("attention.output.dense", hidden, hidden),
                ("attention.output.LayerNorm", hidden, 0),
                ("intermediate.dense", inner, hidden),
                ("output.dense", hidden, inner),
                ("output.LayerNorm", hidden, 0),
            ];
            foreach ((string part, long rows, long columns) in parts)
            {
                string name = $"{names.Prefix}.encoder.layer.{i}.{part}";
                yield return (name + ".weight", columns == 0 ? [rows] : [rows, columns]);
                yield return (name + ".bias", [rows]);
            }
        }

        if (withHead)
        {
            if (config.TieWordEmbeddings)
            {
                yield return (names.HeadBias, [config.VocabularySize]);
            }

            yield return (names.HeadDense + ".weight", [hidden, hidden]);
            yield return (names.HeadDense + ".bias", [hidden]);
            yield return (names.HeadNorm + ".weight", [hidden]);
            yield return (names.HeadNorm + ".bias", [hidden]);
            if (!config.TieWordEmbeddings)
            {
                yield return (names.HeadDecoder, [config.VocabularySize, hidden]);
                yield return (names.DecoderBias, [config.VocabularySize]);
            }
        }
    }

    /// <summary>The configuration that matches the weights: <c>transformers</c> does not tie a head whose stored weights differ from the
    /// word embeddings, whatever the file says.</summary>
    private protected static ModelConfig Settle(CheckpointFolder checkpoint, Names names) =>
        StoredTensor.HasOwnHead(checkpoint, names.HeadDecoder, names.Prefix + ".embeddings.word_embeddings.weight")
            ? checkpoint.Config.With("tie_word_embeddings", false)
            : checkpoint.Config;

    /// <summary>State that all layers of a pass share.</summary>
    private Pass Start(TokenBatch batch, bool training, ActivationHooks? hooks)
    {
        Tensor? prefix = PeftModule?.KeyValues();
        Tensor? mask = _looksBackOnly
            ? LookingBack(batch, prefix, TensorArithmetic.Arange(0, PromptSize + batch.Ids.size(1), batch.Ids.device).unsqueeze(-1))
            : Readable(batch, prefix);
        return new(mask, prefix, training, HooksOf(batch, training, hooks));
    }

    /// <summary>True except for padding; prefix and prompt count as text. Null without padding.</summary>
    private Tensor? Readable(TokenBatch batch, Tensor? prefix)
    {
        Tensor? mask = batch.Mask;
        long more = PromptSize + (prefix?.size(3) ?? 0);
        return mask is not null && more > 0 ? cat([ones([mask.size(0), 1, 1, more], ScalarType.Bool, mask.device), mask], 3) : mask;
    }

    /// <summary>True except for padding and later positions (<c>is_decoder</c>); a prefix precedes all.</summary>
    /// <param name="batch">The batch.</param>
    /// <param name="prefix">Keys and values of a prefix.</param>
    /// <param name="positions">Positions of the queries; keys are broadcast over the last dimension.</param>
    private Tensor LookingBack(TokenBatch batch, Tensor? prefix, Tensor positions)
    {
        long keys = PromptSize + batch.Ids.size(1);
        Tensor seen = TensorArithmetic.Arange(-(prefix?.size(3) ?? 0), keys, batch.Ids.device) <= positions;
        return Readable(batch, prefix) is { } mask ? mask.logical_and(seen) : seen;
    }

    private Tensor Embed(TokenBatch batch, Pass pass)
    {
        long rows = batch.Ids.size(0),
            length = batch.Ids.size(1),
            prompt = PromptSize;
        if (length > MaxLength)
        {
            throw new ArgumentException($"A row of {length} tokens is longer than the model's {MaxLength} positions.", nameof(batch));
        }

        using DisposeScope scope = NewDisposeScope();
        Tensor words = _words.index_select(0, batch.Ids.view(-1)).view(rows, length, -1);
        Tensor? typeIds = batch.TokenTypes;
        if (prompt > 0)
        {
            words = PeftModule!.Prompt(words, _words, batch);
            typeIds = typeIds is null ? null : cat([zeros([rows, prompt], ScalarType.Int64, typeIds.device), typeIds], 1);
        }

        words = pass.At(_wordsPoint, words);

        // A prompt is no token, and beside it transformers counts the tokens through.
        Tensor positions =
            prompt == 0 && UncountedToken is { } uncounted && batch.Holds(uncounted)
                ? _positions.index_select(0, batch.CountedPositions(uncounted, FirstPosition).view(-1)).view(rows, length, -1)
                : _positions.narrow(0, FirstPosition, prompt + length);
        Tensor types = typeIds is null
            ? _tokenTypes.narrow(0, 0, 1)
            : _tokenTypes.index_select(0, typeIds.view(-1)).view(rows, prompt + length, -1);
        Tensor normed = Normalise(words.Add(positions).Add(types), _embeddingNorm);
        return Drop(pass.At(_embeddedPoint, normed), pass.Training).MoveToOuterDisposeScope();
    }

    /// <summary>One post-norm layer.</summary>
    /// <param name="index">Zero-based layer.</param>
    /// <param name="hidden">What it reads, <c>[batch, length, hidden]</c>.</param>
    /// <param name="positions">Whose output is computed, Int64 <c>[batch, count]</c>; null for all.</param>
    /// <param name="pass">The pass.</param>
    private Tensor Run(int index, Tensor hidden, Tensor? positions, Pass pass)
    {
        using DisposeScope scope = NewDisposeScope();
        Layer layer = _layers[index];
        BlockHookPoints points = layer.Points;
        Tensor all = pass.At(points.ResidPre, hidden);
        Tensor scored = positions is null ? all : all.gather(1, positions.unsqueeze(-1).expand(-1, -1, all.size(2)));
        double attentionDropout = pass.Training ? Dropout ?? Config.AttentionDropout : 0;
        Tensor query = SplitHeads(pass.At(points.Attention.Q, Map(TargetModules.Query, layer.Query, scored), positions));
        Tensor keys = SplitHeads(pass.At(points.Attention.K, Map(TargetModules.Key, layer.Key, all)));
        Tensor values = SplitHeads(pass.At(points.Attention.V, Map(TargetModules.Value, layer.Value, all)));
        if (pass.Prefix is not null)
        {
            (keys, values) = PrefixTuning.Prepend(pass.Prefix[index], keys, values);
        }

        Tensor context = Attend(query, keys, values, pass.Mask, attentionDropout);
        Tensor merged = pass.At(points.Attention.Z, context.transpose(1, 2).reshape(scored.size(0), scored.size(1), -1), positions);
        Tensor written = Drop(Map(TargetModules.AttentionOutput, layer.AttentionOutput, merged), pass.Training);
        Tensor middle = pass.At(points.ResidMid, pass.At(points.Attention.Out, written, positions).Add(scored), positions);
        Tensor attended = Normalise(middle, layer.AttentionNorm);
        Tensor neurons = _activation(pass.At(points.Pre, Map(TargetModules.Up, layer.Up, attended), positions));
        neurons = pass.At(points.Post, neurons, positions);
        written = Drop(Map(TargetModules.Down, layer.Down, neurons), pass.Training);
        Tensor sum = pass.At(points.MlpOut, written, positions).Add(attended);
        Tensor output = Normalise(sum, layer.OutputNorm);
        if (PeftModule?.Correction(index, output) is { } correction)
        {
            sum = sum.Add(correction);
            output = Normalise(sum, layer.OutputNorm);
        }

        Tensor after = pass.At(points.ResidPost, sum, positions);
        if (!ReferenceEquals(after, sum))
        {
            output = Normalise(after, layer.OutputNorm);
        }

        return pass.At(points.NormalizedResidPost!, output, positions).MoveToOuterDisposeScope();

        Tensor Map(TargetModules map, Affine affine, Tensor x)
        {
            Tensor y = affine.Apply(x);
            return PeftModule?.AfterLinear(new(index, map), x, y) ?? y;
        }
    }

    private Tensor SplitHeads(Tensor x) => x.view(x.size(0), x.size(1), _heads, -1).transpose(1, 2);

    private Tensor Normalise(Tensor x, Affine norm) => F.layer_norm(x, [x.size(-1)], norm.Weight, norm.Bias, _epsilon);

    private Tensor Drop(Tensor x, bool training) => Drop(x, training ? Dropout ?? Config.HiddenDropout : 0);

    /// <summary>Parameter names of an architecture.</summary>
    /// <remarks>The head has one bias. Where its weights are the word embeddings, <c>transformers</c> keeps it as
    /// <paramref name="HeadBias"/>, else as <paramref name="DecoderBias"/>.</remarks>
    private protected sealed record Names(
        string Prefix,
        string HeadBias,
        string HeadDense,
        string HeadNorm,
        string HeadDecoder,
        string DecoderBias
    );

    /// <summary>State that all layers of a pass share; the mask covers prompt and prefix.</summary>
    private readonly record struct Pass(Tensor? Mask, Tensor? Prefix, bool Training, PassHooks? Hooks)
    {
        public Tensor At(HookPoint point, Tensor x, Tensor? positions = null) => Hooks?.Run(point, x, positions) ?? x;
    }

    private readonly record struct Affine(Tensor Weight, Tensor Bias)
    {
        public Tensor Apply(Tensor x) => F.linear(x, Weight, Bias);
    }

    private sealed record Layer(
        BlockHookPoints Points,
        Affine Query,
        Affine Key,
        Affine Value,
        Affine AttentionOutput,
        Affine AttentionNorm,
        Affine Up,
        Affine Down,
        Affine OutputNorm
    );

    private sealed record Head(Affine Dense, Affine Norm, Tensor Bias, Tensor Decoder);
}

/// <summary>BERT with its masked-language-model head.</summary>
public sealed class BertForMaskedLM : MaskedLanguageModel
{
    private static readonly Names Spelling = new(
        "bert",
        "cls.predictions.bias",
        "cls.predictions.transform.dense",
        "cls.predictions.transform.LayerNorm",
        "cls.predictions.decoder.weight",
        "cls.predictions.decoder.bias"
    );

    internal BertForMaskedLM(ModelConfig config, OrderedDictionary<string, Parameter> parameters)
        : base(config, parameters, Spelling) { }

    /// <inheritdoc/>
    private protected override int PositionOffset => 0;

    internal static IEnumerable<(string Name, long[] Shape)> Shapes(ModelConfig config, bool withHead) =>
        Shapes(config, Spelling, withHead);

    internal static ModelConfig Settle(CheckpointFolder checkpoint) => Settle(checkpoint, Spelling);
}

/// <summary>RoBERTa with its masked-language-model head.</summary>
public sealed class RobertaForMaskedLM : MaskedLanguageModel
{
    private static readonly Names Spelling = new(
        "roberta",
        "lm_head.bias",
        "lm_head.dense",
        "lm_head.layer_norm",
        "lm_head.decoder.weight",
        "lm_head.decoder.bias"
    );

    internal RobertaForMaskedLM(ModelConfig config, OrderedDictionary<string, Parameter> parameters)
        : base(config, parameters, Spelling) { }

    /// <summary>RoBERTa counts positions from the padding id + 1.</summary>
    private protected override int PositionOffset => Config.PadTokenId!.Value + 1;

    /// <summary>A padding token within a text has the position of padding, and positions after it do not count it.</summary>
    private protected override int? UncountedToken => Config.PadTokenId;

    /// <summary>GELU, regardless of the activation of the layers.</summary>
    private protected override Func<Tensor, Tensor> HeadActivation => Activation.Gelu;

    internal static IEnumerable<(string Name, long[] Shape)> Shapes(ModelConfig config, bool withHead) =>
        Shapes(config, Spelling, withHead);

    internal static ModelConfig Settle(CheckpointFolder checkpoint) => Settle(checkpoint, Spelling);
}
