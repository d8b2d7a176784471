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
/// T5, an encoder-decoder, in versions 1.0 (ReLU, tied head) and 1.1 (gated GELU).
/// </summary>
/// <remarks>
/// <para>Members of the base class: <see cref="Encode"/> returns the encoder's last hidden states, and
/// <see cref="EncodeAt(TokenBatch, bool, ActivationHooks?)"/> the decoder's hidden state at its first step, so that
/// <see cref="LanguageModel.WordScores"/> of it scores the first word of an answer.</para>
/// <para>Targets are Int64 <c>[rows, length]</c>, each row the token ids of an answer with <c>&lt;/s&gt;</c> at its end, padded with
/// <see cref="Ignored"/>. A batch of texts may have k targets per text, in consecutive rows: each text is encoded once for all its
/// answers.</para>
/// <para>Observers and neuron editors number the encoder's layers 0 to L - 1 and the decoder's L to L + D - 1. Hidden states are 0 to L of
/// the encoder, then L + 1 to L + 1 + D of the decoder, each stack's embeddings first and its last after the final norm.</para>
/// <para>The adaptation applies to every pass, including the steps of <see cref="Generate"/>: it acts after a linear layer and before its
/// dropout; prefixes are prepended in the self-attention of both stacks, and soft prompts to the encoder's text, whose positions continue
/// from theirs.</para>
/// </remarks>
public sealed partial class T5ForConditionalGeneration : LanguageModel
{
    /// <summary>The target value that losses ignore.</summary>
    public const int Ignored = -100;

    private readonly Tensor _words;
    private readonly Tensor? _head;
    private readonly double _headScale;
    private readonly T5Stack _encoder;
    private readonly T5Stack? _decoder;

    internal T5ForConditionalGeneration(ModelConfig config, OrderedDictionary<string, Parameter> parameters)
        : base(config, parameters)
    {
        _words = parameters[T5Parameters.Words];
        _head =
            config.DecoderLayers == 0 ? null
            : config.TieWordEmbeddings ? _words
            : parameters.GetValueOrDefault(T5Parameters.HeadWeight);
        _headScale = T5Parameters.ScalesHead(config) ? 1 / Math.Sqrt(config.HiddenSize) : 1;
        _encoder = new(this, "encoder", config.Layers, 0);
        _decoder = config.DecoderLayers == 0 ? null : new(this, "decoder", config.DecoderLayers, config.Layers);
    }

    /// <inheritdoc/>
    public override bool HasHead => _head is not null;

    /// <summary>Unlimited, since T5 has no position table.</summary>
    public override int MaxLength => int.MaxValue;

    private int PromptSize => PeftModule?.PromptSize ?? 0;

    private T5Stack Decoder =>
        _decoder
        ?? throw new InvalidOperationException(
            "This is T5's encoder alone, without a decoder: it can read and embed texts, but not write."
        );

    /// <summary>Pads rows of token ids with <see cref="Ignored"/>.</summary>
    /// <param name="rows">At least one row, none empty, each ending with <c>&lt;/s&gt;</c> as a rule.</param>
    /// <param name="device">The device; the CPU by default.</param>
    /// <returns>Targets, Int64 <c>[rows, length]</c>.</returns>
    /// <exception cref="ArgumentException">There is no row, or a row without tokens.</exception>
    public static Tensor Targets(IReadOnlyList<IReadOnlyList<int>> rows, Device? device = null)
    {
        ArgumentNullException.ThrowIfNull(rows);
        if (rows.Count == 0 || rows.Any(row => row.Count == 0))
        {
            throw new ArgumentException("Targets need at least one row, and every row at least one token.", nameof(rows));
        }

        int length = rows.Max(row => row.Count);
        long[] ids = [.. rows.SelectMany(row => row.Select(id => (long)id).Concat(Enumerable.Repeat((long)Ignored, length - row.Count)))];
        return tensor(ids, rows.Count, length, device: device);
    }

    /// <summary>Returns the encoder's last hidden states.</summary>
    /// <param name="batch">Token ids.</param>
    /// <param name="training">True enables dropout.</param>
    /// <param name="hooks">Hooks of this pass beside the model's; null for none.</param>
    /// <returns><c>[batch, length, hidden]</c>; with a soft prompt, whose slots count, <c>[batch, P + length, hidden]</c>.</returns>
    public override Tensor Encode(TokenBatch batch, bool training = false, ActivationHooks? hooks = null)
    {
        ArgumentNullException.ThrowIfNull(batch);
        using Held held = new(this, batch);
        using Lifetime.Hold hold = Hold();
        using DisposeScope scope = NewDisposeScope();
        long length = PromptSize + batch.Ids.size(1);
        Tensor? prefix = PeftModule?.KeyValues();
        long before = prefix?.size(3) ?? 0;
        Tensor bias = Behind(before, _encoder.PositionBias(0, length, length))!;
        Tensor? unread = Behind(before, Unread(batch));
        var pass = new T5Stack.Pass(training, HooksOf(batch, training, hooks));
        Tensor words = WordsOf(batch.Ids);
        Tensor hidden = _encoder.Start(PromptSize > 0 ? PeftModule!.Prompt(words, _words, batch) : words, pass);
        for (int i = 0; i < _encoder.Layers.Length; i++)
        {
            using DisposeScope layer = NewDisposeScope();
            T5Stack.Attention attention = _encoder.Layers[i].Self;
            BlockHookPoints points = _encoder.Layers[i].Points;
            hidden = pass.At(points.ResidPre, hidden);
            Tensor normed = _encoder.Normalise(hidden, attention.Norm);
            (Tensor keys, Tensor values) = _encoder.KeysAndValues(attention, normed, pass, prefix?[i]);
            Tensor attended = pass.At(points.ResidMid, hidden.Add(_encoder.Attend(attention, normed, keys, values, bias, pass, unread)));
            hidden = _encoder.FeedForward(i, attended, pass).MoveToOuterDisposeScope();
        }

        return _encoder.End(hidden, pass).MoveToOuterDisposeScope();
    }

    /// <summary>Returns the decoder's hidden state at its first step, after the start token.</summary>
    /// <param name="batch">Token ids of the encoder's texts.</param>
    /// <param name="training">True enables dropout.</param>
    /// <param name="hooks">Hooks of this pass beside the model's; null for none.</param>
    /// <returns><c>[batch, hidden]</c>.</returns>
    public override Tensor EncodeAt(TokenBatch batch, bool training = false, ActivationHooks? hooks = null)
    {
        ArgumentNullException.ThrowIfNull(batch);
        using Held held = new(this, batch);
        using Lifetime.Hold hold = Hold();
        using DisposeScope scope = NewDisposeScope();
        Tensor start = TensorArithmetic.Full([batch.Ids.size(0), 1], StartId, batch.Ids.device);
        return Decode(batch, start, training, hooks).squeeze(1).MoveToOuterDisposeScope();
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
        Tensor scaled = _headScale == 1 ? hidden : hidden.Mul(_headScale);
        return F.linear(scaled, words is null ? _head : _head.index_select(0, words)).MoveToOuterDisposeScope();
    }

    /// <summary>Returns the hidden states of the decoder's last layer at every step.</summary>
    /// <param name="batch">Token ids of the encoder's texts.</param>
    /// <param name="decoderIds">The decoder's input, beginning with its start token, Int64 <c>[k batch, steps]</c>.</param>
    /// <param name="training">True enables dropout.</param>
    /// <param name="hooks">Hooks of this pass beside the model's; null for none.</param>
    /// <returns><c>[k batch, steps, hidden]</c>.</returns>
    /// <exception cref="ArgumentException">The number of decoder rows is not a multiple of the number of texts.</exception>
    public Tensor Decode(TokenBatch batch, Tensor decoderIds, bool training = false, ActivationHooks? hooks = null)
    {
        ArgumentNullException.ThrowIfNull(batch);
        ArgumentNullException.ThrowIfNull(decoderIds);
        long texts = batch.Ids.size(0),
            rows = decoderIds.size(0),
            steps = decoderIds.size(1);
        if (rows % texts != 0)
        {
            throw new ArgumentException(
                $"{rows} rows for the decoder cannot be shared out among {texts} texts; expected a multiple.",
                nameof(decoderIds)
            );
        }

        using Held held = new(this, batch, decoderIds);
        using Lifetime.Hold hold = Hold();
        using DisposeScope scope = NewDisposeScope();
        Tensor encoded = Encode(batch, training, hooks);
        Tensor? unread = Unread(batch);
        if (rows > texts)
        {
            encoded = encoded.repeat_interleave(rows / texts, 0);
            unread = unread?.repeat_interleave(rows / texts, 0);
        }

        Tensor places = TensorArithmetic.Arange(0, steps, decoderIds.device);
        Tensor later = places.unsqueeze(0) > places.unsqueeze(1);
        Tensor? prefix = PeftModule?.KeyValues(decoder: true);
        long past = PeftModule?.PastPositions ?? 0;
        Tensor bias =
            past > 0
                ? Decoder
                    .PositionBias(past, steps, past + steps)
                    .MaskedFill(Behind(past, later.unsqueeze(0).unsqueeze(0))!, double.NegativeInfinity)
                : Behind(prefix?.size(3) ?? 0, Decoder.PositionBias(0, steps, steps).MaskedFill(later, double.NegativeInfinity))!;
        var pass = new T5Stack.Pass(training, HooksOf(batch, training, hooks));
        Tensor hidden = Decoder.Start(WordsOf(decoderIds), pass);
        for (int i = 0; i < Decoder.Layers.Length; i++)
        {
            using DisposeScope layer = NewDisposeScope();
            (T5Stack.Attention self, T5Stack.Attention cross) = (Decoder.Layers[i].Self, Decoder.Layers[i].Cross!);
            BlockHookPoints points = Decoder.Layers[i].Points;
            hidden = pass.At(points.ResidPre, hidden);
            Tensor normed = Decoder.Normalise(hidden, self.Norm);
            (Tensor keys, Tensor values) = Decoder.KeysAndValues(self, normed, pass, prefix?[i]);
            Tensor attended = pass.At(points.ResidMid, hidden.Add(Decoder.Attend(self, normed, keys, values, bias, pass)));
            (keys, values) = Decoder.KeysAndValues(cross, encoded, pass);
            Tensor read = Decoder.Attend(cross, Decoder.Normalise(attended, cross.Norm), keys, values, null, pass, unread);
            hidden = Decoder.FeedForward(i, pass.At(points.ResidMidCross!, attended.Add(read)), pass).MoveToOuterDisposeScope();
        }

        return Decoder.End(hidden, pass).MoveToOuterDisposeScope();
    }

    /// <summary>Returns the logits of the next token at every step of the decoder.</summary>
    /// <param name="batch">Token ids of the encoder's texts.</param>
    /// <param name="decoderIds">The decoder's input, beginning with its start token, Int64 <c>[k batch, steps]</c>.</param>
    /// <param name="training">True enables dropout.</param>
    /// <returns><c>[k batch, steps, vocabulary]</c>.</returns>
    /// <exception cref="ArgumentException">The number of decoder rows is not a multiple of the number of texts.</exception>
    /// <exception cref="InvalidOperationException">The model was loaded without its head.</exception>
    public Tensor Logits(TokenBatch batch, Tensor decoderIds, bool training = false)
    {
        using Lifetime.Hold hold = Hold();
        using Tensor hidden = Decode(batch, decoderIds, training);
        return WordScores(hidden);
    }

    /// <summary>Returns the decoder's input for targets: shifted to the right by one step, after the start token.</summary>
    /// <param name="targets">Int64 <c>[rows, length]</c>; <see cref="Ignored"/> becomes padding.</param>
    /// <returns>Int64 <c>[rows, length]</c>.</returns>
    public Tensor ShiftRight(Tensor targets)
    {
        ArgumentNullException.ThrowIfNull(targets);
        using DisposeScope scope = NewDisposeScope();
        Tensor start = TensorArithmetic.Full([targets.size(0), 1], StartId, targets.device);
        Tensor shifted = cat([start, targets.narrow(1, 0, targets.size(1) - 1)], 1);
        return shifted.MaskedFill(shifted.Eq(Ignored), Config.PadTokenId ?? 0).MoveToOuterDisposeScope();
    }

    /// <summary>Returns the sequence loss: the mean cross-entropy of all targets except <see cref="Ignored"/>.</summary>
    /// <param name="batch">Token ids of the encoder's texts.</param>
    /// <param name="targets">Int64 <c>[k batch, length]</c>.</param>
    /// <param name="training">True enables dropout.</param>
    /// <returns>In nats, Float32, a scalar.</returns>
    /// <exception cref="ArgumentException">All targets are ignored, or the number of rows is not a multiple of the number of
    /// texts.</exception>
    /// <exception cref="InvalidOperationException">The model was loaded without its head.</exception>
    public Tensor Loss(TokenBatch batch, Tensor targets, bool training = false)
    {
        using Lifetime.Hold hold = Hold();
        using DisposeScope scope = NewDisposeScope();
        (Tensor logits, Tensor ids, _) = Scored(batch, targets, training);
        return F.cross_entropy(logits, ids).MoveToOuterDisposeScope();
    }

    /// <summary>Returns the log-likelihood of each row of targets, given the text and the previous targets (teacher forcing).</summary>
    /// <param name="batch">Token ids of the encoder's texts.</param>
    /// <param name="targets">Int64 <c>[k batch, length]</c>; <see cref="Ignored"/> is skipped.</param>
    /// <param name="training">True enables dropout.</param>
    /// <returns>Sums over a row's targets, in nats, Float32 <c>[k batch]</c>.</returns>
    /// <exception cref="ArgumentException">All targets are ignored, or the number of rows is not a multiple of the number of
    /// texts.</exception>
    /// <exception cref="InvalidOperationException">The model was loaded without its head.</exception>
    public Tensor LogLikelihoods(TokenBatch batch, Tensor targets, bool training = false)
    {
        using Lifetime.Hold hold = Hold();
        using DisposeScope scope = NewDisposeScope();
        (Tensor logits, Tensor ids, Tensor places) = Scored(batch, targets, training);
        Tensor scores = F.log_softmax(logits, -1).gather(1, ids.unsqueeze(1)).squeeze(1);
        Tensor all = zeros([targets.numel()], ScalarType.Float32, targets.device).index_copy(0, places, scores);
        return all.view(targets.shape).sum(dim: 1).MoveToOuterDisposeScope();
    }

    /// <summary>What the decoder's last hidden states are multiplied by before words are scored.</summary>
    internal double HeadScale => _headScale;

    /// <summary>The position bias of each distance from a query to a key, <c>[distances, heads]</c>.</summary>
    /// <param name="first">The first distance.</param>
    /// <param name="last">The last distance.</param>
    /// <param name="decoder">Whether it is the decoder's.</param>
    internal Tensor DistanceBias(int first, int last, bool decoder) => (decoder ? Decoder : _encoder).DistanceBias(first, last);

    /// <inheritdoc/>
    internal override IEnumerable<LinearLayer> LinearLayersOf(int layer)
    {
        bool decodes = layer >= Config.Layers;
        string block = decodes ? $"decoder.block.{layer - Config.Layers}.layer." : $"encoder.block.{layer}.layer.";
        T5Stack.Layer parts = decodes ? Decoder.Layers[layer - Config.Layers] : _encoder.Layers[layer];
        string feedForward = block + (decodes ? "2.DenseReluDense." : "1.DenseReluDense.");
        return
        [
            .. OfAttention(parts.Self, block + "0.SelfAttention."),
            .. parts.Cross is null ? [] : OfAttention(parts.Cross, block + "1.EncDecAttention."),
            .. parts.Gate is null ? [] : new[] { At(TargetModules.Up, true, feedForward + "wi_0", parts.Gate) },
            At(TargetModules.Up, false, feedForward + (parts.Gate is null ? "wi" : "wi_1"), parts.Up),
            At(TargetModules.Down, false, feedForward + "wo", parts.Down),
        ];

        LinearLayer[] OfAttention(T5Stack.Attention attention, string name) =>
            [
                At(TargetModules.Query, attention.Crosses, name + "q", attention.Query),
                At(TargetModules.Key, attention.Crosses, name + "k", attention.Key),
                At(TargetModules.Value, attention.Crosses, name + "v", attention.Value),
                At(TargetModules.AttentionOutput, attention.Crosses, name + "o", attention.Output),
            ];

        LinearLayer At(TargetModules kind, bool isSecond, string name, Tensor weight) =>
            new(new(layer, kind, isSecond), name, name + ".weight", weight);
    }

    private int StartId => Config.DecoderStartTokenId!.Value;

    /// <summary>Logits at targets that are not ignored, these targets, and their indices in the flattened targets.</summary>
    private (Tensor Logits, Tensor Ids, Tensor Places) Scored(TokenBatch batch, Tensor targets, bool training)
    {
        ArgumentNullException.ThrowIfNull(targets);
        Tensor flat = targets.reshape(-1);
        Tensor places = flat.Ne(Ignored).nonzero().squeeze(1);
        if (places.numel() == 0)
        {
            throw new ArgumentException($"All targets are {Ignored}, which no loss counts; at least one must be a token.", nameof(targets));
        }

        Tensor hidden = Decode(batch, ShiftRight(targets), training);
        Tensor read = hidden.view(-1, hidden.size(2)).index_select(0, places);
        return (WordScores(read).to(ScalarType.Float32), flat.index_select(0, places), places);
    }

    private Tensor WordsOf(Tensor ids) => _words.index_select(0, ids.reshape(-1)).view(ids.size(0), ids.size(1), -1);

    /// <summary>True where the encoder's output is padding, which a soft prompt is not; null without padding.</summary>
    private Tensor? Unread(TokenBatch batch) => Behind(PromptSize, batch.Mask?.logical_not());

    /// <summary>Pads a bias or mask of keys with zeros (or false) for the keys before them.</summary>
    /// <param name="before">Number of keys before.</param>
    /// <param name="said">A bias or a mask, keys last; null for none.</param>
    private static Tensor? Behind(long before, Tensor? said) =>
        said is null || before == 0
            ? said
            : cat([zeros([said.size(0), said.size(1), said.size(2), before], said.dtype, said.device), said], 3);
}
