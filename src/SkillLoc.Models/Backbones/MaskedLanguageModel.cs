using SkillLoc.Models.Architectures;
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
/// An encoder of post-norm layers with a masked-language-model head: BERT, RoBERTa and its relatives XLM-RoBERTa and CamemBERT, DistilBERT,
/// ELECTRA (whose discriminator has no such head), and MPNet. <see cref="ModelConfig.ModelType"/> says which.
/// </summary>
public sealed class MaskedLanguageModel : LanguageModel
{
    private readonly EncoderArchitecture _architecture;
    private readonly Tensor _words;
    private readonly Tensor _positions;
    private readonly Tensor? _tokenTypes;
    private readonly Affine _embeddingNorm;
    private readonly Affine? _embeddingProjection;
    private readonly Tensor? _distances;
    private readonly HookPoint _wordsPoint;
    private readonly HookPoint _embeddedPoint;
    private readonly Layer[] _layers;
    private readonly Head? _head;
    private readonly long _heads;
    private readonly double _epsilon;
    private readonly bool _looksBackOnly;
    private readonly Func<Tensor, Tensor> _activation;

    internal MaskedLanguageModel(ModelConfig config, OrderedDictionary<string, Parameter> parameters, EncoderArchitecture architecture)
        : base(config, parameters)
    {
        _architecture = architecture;
        EncoderNames names = architecture.Names;
        _words = parameters[names.Words];
        _positions = parameters[names.Positions];
        _tokenTypes = names.TokenTypes is { } types ? parameters[types] : null;
        _embeddingNorm = At(names.EmbeddingNorm);
        _embeddingProjection = config.EmbeddingSize == config.HiddenSize ? null : At(names.EmbeddingProjection);
        _distances = config.RelativeAttentionBuckets > 0 ? parameters[names.RelativePositions] : null;
        _wordsPoint = Points.Of("embed.hook_embed");
        _embeddedPoint = Points.Of("hook_full_embed");
        _layers =
        [
            .. Enumerable
                .Range(0, config.Layers)
                .Select(i => new Layer(
                    Points.Blocks[i],
                    Part(i, names.Layer.Query),
                    Part(i, names.Layer.Key),
                    Part(i, names.Layer.Value),
                    Part(i, names.Layer.AttentionOutput),
                    Part(i, names.Layer.AttentionNorm),
                    Part(i, names.Layer.Up),
                    Part(i, names.Layer.Down),
                    Part(i, names.Layer.OutputNorm)
                )),
        ];
        HeadNames head = names.Head;
        if (parameters.TryGetValue(head.Bias(config), out Parameter? bias))
        {
            _head = new Head(At(head.Dense), At(head.Norm), bias, parameters.GetValueOrDefault(head.Decoder + ".weight") ?? _words);
        }

        _heads = config.Heads;
        _epsilon = config.LayerNormEpsilon;
        _looksBackOnly = config.AttendsBackwardsOnly;
        _activation = Activation.Of(config);

        Affine At(string name) => new(parameters[name + ".weight"], parameters[name + ".bias"]);
        Affine Part(int layer, string name) => At($"{names.Layers}{layer}.{name}");
    }

    /// <summary>The names and what differs from BERT.</summary>
    internal EncoderArchitecture Architecture => _architecture;

    /// <inheritdoc/>
    public override bool HasHead => _head is not null;

    /// <inheritdoc/>
    public override int MaxLength => Config.MaxPositions - FirstPosition - PromptSize;

    /// <summary>Whether positions are counted from the padding id.</summary>
    internal bool CountsFromPadding => _architecture.CountsFromPadding;

    /// <summary>The token that positions do not count; null for none.</summary>
    private int? UncountedToken => _architecture.UncountedToken(Config);

    /// <summary>Position id of the first token of a row.</summary>
    private int PositionOffset => UncountedToken + 1 ?? 0;

    /// <summary>Activation of the head's dense layer.</summary>
    private Func<Tensor, Tensor> HeadActivation => _architecture.HasGeluHead ? Activation.Gelu : _activation;

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
        pass = pass with { Mask = MaskAt(batch, pass, positions) };
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
        LayerNames names = _architecture.Names.Layer;
        return
        [
            At(TargetModules.Query, names.Query, parts.Query),
            At(TargetModules.Key, names.Key, parts.Key),
            At(TargetModules.Value, names.Value, parts.Value),
            At(TargetModules.AttentionOutput, names.AttentionOutput, parts.AttentionOutput),
            At(TargetModules.Up, names.Up, parts.Up),
            At(TargetModules.Down, names.Down, parts.Down),
        ];

        LinearLayer At(TargetModules kind, string part, Affine affine)
        {
            string name = $"{_architecture.Names.Layers}{layer}.{part}";
            return new(new(layer, kind), name, name + ".weight", affine.Weight, name + ".bias", affine.Bias);
        }
    }

    /// <summary>State that all layers of a pass share.</summary>
    private Pass Start(TokenBatch batch, bool training, ActivationHooks? hooks)
    {
        Tensor? prefix = PeftModule?.KeyValues();
        Tensor? mask = _looksBackOnly
            ? LookingBack(batch, prefix, TensorArithmetic.Arange(0, PromptSize + batch.Ids.size(1), batch.Ids.device).unsqueeze(-1))
            : Readable(batch, prefix);
        return new(_distances is null ? mask : Biased(batch, prefix, mask), prefix, training, HooksOf(batch, training, hooks));
    }

    /// <summary>The mask of the last layer, which is computed at some positions only.</summary>
    private Tensor? MaskAt(TokenBatch batch, Pass pass, Tensor positions)
    {
        if (_looksBackOnly)
        {
            return LookingBack(batch, pass.Prefix, positions.view(-1, 1, 1, 1));
        }

        // Biases by relative position have a row for each query.
        return _distances is null || pass.Mask is not { } mask ? pass.Mask
            : mask.size(0) == 1 ? mask.index_select(2, positions).permute(2, 1, 0, 3)
            : mask.gather(2, positions.view(-1, 1, 1, 1).expand(-1, mask.size(1), 1, mask.size(3)));
    }

    /// <summary>The biases by relative position, which the layers share; keys that are not read have minus infinity. A prefix has no
    /// bias.</summary>
    private Tensor Biased(TokenBatch batch, Tensor? prefix, Tensor? mask)
    {
        using DisposeScope scope = NewDisposeScope();
        long length = PromptSize + batch.Ids.size(1),
            before = prefix?.size(3) ?? 0;
        Tensor bias = RelativePositions.Biases(_distances!, 0, length, length, Bucket);
        if (before > 0)
        {
            bias = cat([zeros([1, _heads, length, before], bias.dtype, bias.device), bias], 3);
        }

        bias = mask is null ? bias : bias.MaskedFill(mask.logical_not(), double.NegativeInfinity);
        return bias.MoveToOuterDisposeScope();
    }

    /// <summary>The biases of the distances from -<paramref name="farthest"/> to it, <c>[distances, heads]</c>.</summary>
    internal Tensor DistanceBias(int farthest) => RelativePositions.ByDistance(_distances!, -farthest, farthest, Bucket);

    private static int Bucket(int distance) =>
        RelativePositions.Bucket(distance, bidirectional: true, RelativePositions.MpnetBuckets, RelativePositions.MpnetMaxDistance);

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
        Tensor sum = words.Add(positions);
        if (_tokenTypes is not null)
        {
            sum = sum.Add(
                typeIds is null
                    ? _tokenTypes.narrow(0, 0, 1)
                    : _tokenTypes.index_select(0, typeIds.view(-1)).view(rows, prompt + length, -1)
            );
        }

        Tensor embedded = Drop(pass.At(_embeddedPoint, Normalise(sum, _embeddingNorm)), pass.Training);
        return (_embeddingProjection?.Apply(embedded) ?? embedded).MoveToOuterDisposeScope();
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
        Tensor written = Map(TargetModules.AttentionOutput, layer.AttentionOutput, merged);
        written = _architecture.DropsAttentionOutput ? Drop(written, pass.Training) : written;
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

    /// <summary>State that all layers of a pass share; the mask covers prompt and prefix. It is true for keys that are read, or what is
    /// added to the scores.</summary>
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
