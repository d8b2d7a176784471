using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Generation;
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
public sealed class T5ForConditionalGeneration : LanguageModel
{
    /// <summary>The target value that losses ignore.</summary>
    public const int Ignored = -100;

    private const string Words = "shared.weight";

    /// <summary>How many steps of writing there is room for at first: the usual limit.</summary>
    private const int FirstRoom = TextToTextTask.DefaultMaxOutputLength;

    private const string HeadWeight = "lm_head.weight";
    private const string ScaleKey = "scale_decoder_outputs";
    private const string TieKey = "tie_word_embeddings";
    private const string DecoderLayersKey = "num_decoder_layers";

    private readonly Tensor _words;
    private readonly Tensor? _head;
    private readonly double _headScale;
    private readonly Stack _encoder;
    private readonly Stack? _decoder;
    private readonly Func<Tensor, Tensor> _activation;

    internal T5ForConditionalGeneration(ModelConfig config, OrderedDictionary<string, Parameter> parameters)
        : base(config, parameters)
    {
        _words = parameters[Words];
        _head =
            config.DecoderLayers == 0 ? null
            : config.TieWordEmbeddings ? _words
            : parameters.GetValueOrDefault(HeadWeight);
        _headScale = ScalesHead(config) ? 1 / Math.Sqrt(config.HiddenSize) : 1;
        _encoder = StackAt("encoder", config.Layers, 0);
        _decoder = config.DecoderLayers == 0 ? null : StackAt("decoder", config.DecoderLayers, config.Layers);
        _activation = Activation.Of(config);

        Stack StackAt(string stack, int layers, int first)
        {
            bool decodes = first > 0;
            Layer[] all =
            [
                .. Enumerable
                    .Range(0, layers)
                    .Select(i =>
                    {
                        BlockHookPoints points = Points.Blocks[first + i];
                        string layer = $"{stack}.block.{i}.layer.";
                        string feedForward = decodes ? layer + "2" : layer + "1";
                        string up = feedForward + (config.HasGatedFeedForward ? ".DenseReluDense.wi_1" : ".DenseReluDense.wi");
                        return new Layer(
                            points,
                            AttentionAt(points.Attention, first + i, false, layer + "0", "SelfAttention"),
                            decodes ? AttentionAt(points.CrossAttention!, first + i, true, layer + "1", "EncDecAttention") : null,
                            parameters[feedForward + ".layer_norm.weight"],
                            config.HasGatedFeedForward ? parameters[feedForward + ".DenseReluDense.wi_0.weight"] : null,
                            parameters[up + ".weight"],
                            parameters[feedForward + ".DenseReluDense.wo.weight"]
                        );
                    }),
            ];
            return new(
                all,
                parameters[stack + ".block.0.layer.0.SelfAttention.relative_attention_bias.weight"],
                parameters[stack + ".final_layer_norm.weight"],
                first,
                decodes ? null : Points.Of("hook_embed"),
                Points.Of(stack + "_final_ln.hook_normalized")
            );
        }

        Attention AttentionAt(AttentionHookPoints points, int number, bool crosses, string layer, string name) =>
            new(
                points,
                number,
                crosses,
                parameters[layer + ".layer_norm.weight"],
                parameters[$"{layer}.{name}.q.weight"],
                parameters[$"{layer}.{name}.k.weight"],
                parameters[$"{layer}.{name}.v.weight"],
                parameters[$"{layer}.{name}.o.weight"]
            );
    }

    /// <inheritdoc/>
    public override bool HasHead => _head is not null;

    /// <summary>Unlimited, since T5 has no position table.</summary>
    public override int MaxLength => int.MaxValue;

    private int PromptSize => PeftModule?.PromptSize ?? 0;

    private Stack Decoder =>
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
        Tensor bias = Behind(before, PositionBias(_encoder, 0, length, length))!;
        Tensor? unread = Behind(before, Unread(batch));
        var pass = new Pass(_encoder, training, HooksOf(batch, training, hooks));
        Tensor words = WordsOf(batch.Ids);
        Tensor hidden = Start(PromptSize > 0 ? PeftModule!.Prompt(words, _words, batch) : words, pass);
        for (int i = 0; i < _encoder.Layers.Length; i++)
        {
            using DisposeScope layer = NewDisposeScope();
            Attention attention = _encoder.Layers[i].Self;
            BlockHookPoints points = _encoder.Layers[i].Points;
            hidden = pass.At(points.ResidPre, hidden);
            Tensor normed = Normalise(hidden, attention.Norm);
            (Tensor keys, Tensor values) = KeysAndValues(attention, normed, pass, prefix?[i]);
            Tensor attended = pass.At(points.ResidMid, hidden.Add(Attend(attention, normed, keys, values, bias, pass, unread)));
            hidden = FeedForward(i, attended, pass).MoveToOuterDisposeScope();
        }

        return End(hidden, pass).MoveToOuterDisposeScope();
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
                $"{rows} rows for the decoder cannot be shared out among {texts} texts; right would be a multiple.",
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
                ? PositionBias(Decoder, past, steps, past + steps)
                    .MaskedFill(Behind(past, later.unsqueeze(0).unsqueeze(0))!, double.NegativeInfinity)
                : Behind(prefix?.size(3) ?? 0, PositionBias(Decoder, 0, steps, steps).MaskedFill(later, double.NegativeInfinity))!;
        var pass = new Pass(Decoder, training, HooksOf(batch, training, hooks));
        Tensor hidden = Start(WordsOf(decoderIds), pass);
        for (int i = 0; i < Decoder.Layers.Length; i++)
        {
            using DisposeScope layer = NewDisposeScope();
            (Attention self, Attention cross) = (Decoder.Layers[i].Self, Decoder.Layers[i].Cross!);
            BlockHookPoints points = Decoder.Layers[i].Points;
            hidden = pass.At(points.ResidPre, hidden);
            Tensor normed = Normalise(hidden, self.Norm);
            (Tensor keys, Tensor values) = KeysAndValues(self, normed, pass, prefix?[i]);
            Tensor attended = pass.At(points.ResidMid, hidden.Add(Attend(self, normed, keys, values, bias, pass)));
            (keys, values) = KeysAndValues(cross, encoded, pass);
            Tensor read = Attend(cross, Normalise(attended, cross.Norm), keys, values, null, pass, unread);
            hidden = FeedForward(i, pass.At(points.ResidMidCross!, attended.Add(read)), pass).MoveToOuterDisposeScope();
        }

        return End(hidden, pass).MoveToOuterDisposeScope();
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

    /// <summary>
    /// Generates greedily: the most likely token at each step. Keys and values of earlier steps are cached, so each token costs one pass
    /// over one position; a batch ends when all its rows have ended.
    /// </summary>
    /// <param name="batch">Token ids of the encoder's texts.</param>
    /// <param name="maxNewTokens">Maximum number of tokens per row, end token included.</param>
    /// <param name="cancellation">Cancels between two steps.</param>
    /// <returns>The token ids of each row, without the start and end tokens.</returns>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="maxNewTokens"/> is below 1.</exception>
    /// <exception cref="InvalidOperationException">The model was loaded without its head.</exception>
    /// <exception cref="OperationCanceledException">The operation was cancelled.</exception>
    public IReadOnlyList<int[]> Generate(TokenBatch batch, int maxNewTokens, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(batch);
        ArgumentOutOfRangeException.ThrowIfLessThan(maxNewTokens, 1);
        using Lifetime.Hold hold = Hold();
        using IDisposable inference = no_grad();
        using DisposeScope scope = NewDisposeScope();
        int rows = (int)batch.Ids.size(0);
        Tensor encoded = Encode(batch);
        Tensor? unread = Unread(batch),
            prefix = PeftModule?.KeyValues(decoder: true);
        long before = prefix?.size(3) ?? 0,
            past = PeftModule?.PastPositions ?? 0;

        // There is room for so many steps; it grows, so that a limit that no answer comes near costs nothing.
        int room = Math.Min(maxNewTokens, FirstRoom);
        var pass = new Pass(Decoder, false, HooksOf(batch, false, null));
        Cache[] caches =
        [
            .. Decoder.Layers.Select(
                (layer, i) => new Cache(KeysAndValues(layer.Cross!, encoded, pass), Steps(prefix?[i, 0]), Steps(prefix?[i, 1]))
            ),
        ];

        // Distances of the last step to all before it, a past's included; those of step t are the last t + 1.
        Tensor distances = PositionBias(Decoder, past + room - 1, 1, past + room);
        List<int>[] written = [.. Enumerable.Range(0, rows).Select(_ => new List<int>())];
        bool[] ended = new bool[rows];
        IReadOnlyList<int> ends = Config.EosTokenIds;
        Tensor ids = TensorArithmetic.Full([rows, 1], StartId, batch.Ids.device);
        for (int step = 0; step < maxNewTokens && Array.Exists(ended, done => !done); step++)
        {
            cancellation.ThrowIfCancellationRequested();
            if (step == room)
            {
                room = (int)Math.Min(maxNewTokens, 2L * room);
                caches = Array.ConvertAll(caches, cache => cache with { Keys = Grown(cache.Keys), Values = Grown(cache.Values) });
                distances.Dispose();
                distances = PositionBias(Decoder, past + room - 1, 1, past + room);
            }

            using DisposeScope one = NewDisposeScope();
            Tensor bias = Behind(before - past, distances.narrow(3, room - 1 - step, past + step + 1))!;
            Tensor? positions = pass.Hooks is null ? null : TensorArithmetic.Full([rows, 1], step, batch.Ids.device);
            Tensor hidden = Step(ids, before + step, caches, bias, unread, pass with { Positions = positions });
            Tensor next = WordScores(hidden.squeeze(1)).argmax(1);
            long[] chosen = next.cpu().data<long>().ToArray();
            for (int row = 0; row < rows; row++)
            {
                ended[row] |= ends.Contains((int)chosen[row]);
                if (!ended[row])
                {
                    written[row].Add((int)chosen[row]);
                }
            }

            // A row that has ended goes on in vain; its tokens are not looked at.
            ids = next.unsqueeze(1).MoveToOuterDisposeScope();
        }

        return [.. written.Select(row => row.ToArray())];

        // Keys or values: those that there are, a prefix's at first, and room for those of the steps.
        Tensor Steps(Tensor? known)
        {
            Tensor steps = zeros([rows, Config.Heads, before + room, Config.HeadSize], encoded.dtype, encoded.device);
            if (known is not null)
            {
                steps.narrow(2, 0, known.size(-2)).copy_(known);
            }

            return steps;
        }

        Tensor Grown(Tensor known)
        {
            Tensor grown = Steps(known);
            known.Dispose();
            return grown;
        }
    }

    /// <exception cref="NotSupportedException">There is no start token, or the buckets of relative positions are out of range.</exception>
    internal static void Check(ModelConfig config)
    {
        if (config.DecoderStartTokenId is null && config.DecoderLayers > 0)
        {
            throw new NotSupportedException($"{config.Source}: decoder_start_token_id is null; T5's decoder needs a token to begin with.");
        }

        int buckets = config.RelativeAttentionBuckets,
            farthest = config.RelativeAttentionMaxDistance;
        if (buckets < 4 || farthest <= buckets / 2)
        {
            throw new NotSupportedException(
                $"{config.Source}: relative_attention_num_buckets is {buckets} and relative_attention_max_distance {farthest}; "
                    + "right would be 4 buckets or more and a distance above half their number."
            );
        }
    }

    /// <summary>Names and shapes of the parameters, in the order of <c>transformers</c>.</summary>
    internal static IEnumerable<(string Name, long[] Shape)> Shapes(ModelConfig config, bool withHead)
    {
        long hidden = config.HiddenSize,
            inner = (long)config.Heads * config.HeadSize;
        yield return (Words, [config.VocabularySize, hidden]);
        foreach ((string stack, int layers) in new[] { ("encoder", config.Layers), ("decoder", config.DecoderLayers) })
        {
            if (layers == 0)
            {
                yield break;
            }

            for (int i = 0; i < layers; i++)
            {
                foreach ((string name, long[] shape) in stack == "encoder" ? EncoderLayer(i) : DecoderLayer(i))
                {
                    yield return ($"{stack}.block.{i}.layer.{name}.weight", shape);
                }
            }

            yield return (stack + ".final_layer_norm.weight", [hidden]);
        }

        if (withHead && !config.TieWordEmbeddings)
        {
            yield return (HeadWeight, [config.VocabularySize, hidden]);
        }

        IEnumerable<(string, long[])> EncoderLayer(int i) =>
            [
                .. AttentionParts("0.SelfAttention", i == 0),
                ("0.layer_norm", [hidden]),
                .. FeedForwardParts("1", config.FeedForwardSizes[i]),
            ];

        IEnumerable<(string, long[])> DecoderLayer(int i) =>
            [
                .. AttentionParts("0.SelfAttention", i == 0),
                ("0.layer_norm", [hidden]),
                .. AttentionParts("1.EncDecAttention", false),
                ("1.layer_norm", [hidden]),
                .. FeedForwardParts("2", config.FeedForwardSize),
            ];

        IEnumerable<(string, long[])> AttentionParts(string name, bool biased)
        {
            yield return (name + ".q", [inner, hidden]);
            yield return (name + ".k", [inner, hidden]);
            yield return (name + ".v", [inner, hidden]);
            yield return (name + ".o", [hidden, inner]);
            if (biased)
            {
                yield return (name + ".relative_attention_bias", [config.RelativeAttentionBuckets, config.Heads]);
            }
        }

        IEnumerable<(string, long[])> FeedForwardParts(string layer, long neurons)
        {
            foreach (string up in config.HasGatedFeedForward ? ["wi_0", "wi_1"] : new[] { "wi" })
            {
                yield return ($"{layer}.DenseReluDense.{up}", [neurons, hidden]);
            }

            yield return (layer + ".DenseReluDense.wo", [hidden, neurons]);
            yield return (layer + ".layer_norm", [hidden]);
        }
    }

    /// <summary>
    /// The configuration that matches the weights: newer versions of <c>transformers</c> write that embeddings are tied even where the head
    /// has weights of its own, tie a head that has none whatever the file says, and say by another key whether the decoder's output is
    /// scaled. Without a decoder, as in a <c>T5EncoderModel</c>, there are no decoder layers.
    /// </summary>
    /// <exception cref="NotSupportedException">Encoder and decoder have different word embeddings.</exception>
    internal static ModelConfig Settle(CheckpointFolder checkpoint)
    {
        ModelConfig config = checkpoint.Config;
        ITensorStore weights = checkpoint.Weights;
        long[] shape = [config.VocabularySize, config.HiddenSize];
        if (!weights.Tensors.Any(info => info.Name.StartsWith("decoder.block.", StringComparison.Ordinal)))
        {
            return config.With(DecoderLayersKey, 0);
        }

        string[] embeddings = [.. new[] { Words, "encoder.embed_tokens.weight", "decoder.embed_tokens.weight" }.Where(weights.Contains)];
        if (embeddings.Length > 1)
        {
            using Tensor first = StoredTensor.Read(checkpoint, embeddings[0], shape, null, ScalarType.Float32);
            foreach (string name in embeddings[1..])
            {
                using Tensor other = StoredTensor.Read(checkpoint, name, shape, null, ScalarType.Float32);
                if (!first.Equals(other))
                {
                    throw new NotSupportedException(
                        $"{weights.Path}: '{embeddings[0]}' and '{name}' differ; T5 with several word embeddings is not supported."
                    );
                }
            }
        }

        bool hasHead = weights.Contains(HeadWeight);
        if (hasHead != config.TieWordEmbeddings)
        {
            return config;
        }

        if (hasHead && !StoredTensor.HasOwnHead(checkpoint, HeadWeight, Words))
        {
            return config;
        }

        return config.With(ScaleKey, ScalesHead(config)).With(TieKey, !hasHead);
    }

    /// <summary>The configuration of the encoder alone.</summary>
    internal static ModelConfig WithoutDecoder(ModelConfig config) => config.With(DecoderLayersKey, 0);

    /// <summary>Whether the decoder's output is scaled before the head, as with tied embeddings.</summary>
    internal static bool ScalesHead(ModelConfig config) => config.Flag(ScaleKey, config.TieWordEmbeddings);

    /// <summary>Standard deviation of new weights, as in the Mesh TensorFlow original.</summary>
    internal static double InitialDeviation(ModelConfig config, string name)
    {
        double fan = name switch
        {
            Words or HeadWeight => 1,
            _ when name.EndsWith(".q.weight", StringComparison.Ordinal) => (double)config.HiddenSize * config.HeadSize,
            _ when name.EndsWith(".o.weight", StringComparison.Ordinal) => (double)config.Heads * config.HeadSize,
            _ when name.EndsWith(".wo.weight", StringComparison.Ordinal) => config.FeedForwardSize,
            _ => config.HiddenSize,
        };
        return config.InitializerRange / Math.Sqrt(fan);
    }

    /// <inheritdoc/>
    internal override IEnumerable<LinearLayer> LinearLayersOf(int layer)
    {
        bool decodes = layer >= Config.Layers;
        string block = decodes ? $"decoder.block.{layer - Config.Layers}.layer." : $"encoder.block.{layer}.layer.";
        Layer parts = decodes ? Decoder.Layers[layer - Config.Layers] : _encoder.Layers[layer];
        string feedForward = block + (decodes ? "2.DenseReluDense." : "1.DenseReluDense.");
        return
        [
            .. OfAttention(parts.Self, block + "0.SelfAttention."),
            .. parts.Cross is null ? [] : OfAttention(parts.Cross, block + "1.EncDecAttention."),
            .. parts.Gate is null ? [] : new[] { At(TargetModules.Up, true, feedForward + "wi_0", parts.Gate) },
            At(TargetModules.Up, false, feedForward + (parts.Gate is null ? "wi" : "wi_1"), parts.Up),
            At(TargetModules.Down, false, feedForward + "wo", parts.Down),
        ];

        LinearLayer[] OfAttention(Attention attention, string name) =>
            [
                At(TargetModules.Query, attention.Crosses, name + "q", attention.Query),
                At(TargetModules.Key, attention.Crosses, name + "k", attention.Key),
                At(TargetModules.Value, attention.Crosses, name + "v", attention.Value),
                At(TargetModules.AttentionOutput, attention.Crosses, name + "o", attention.Output),
            ];

        LinearLayer At(TargetModules kind, bool isSecond, string name, Tensor weight) =>
            new(new(layer, kind, isSecond), name, name + ".weight", weight);
    }

    /// <summary>
    /// The bucket of a distance from a query to a key (T5's relative positions): exact for short distances, then increasingly coarse up to
    /// the largest distance, beyond which all share one.
    /// </summary>
    /// <param name="distance">The key's position less the query's.</param>
    /// <param name="bidirectional">True uses half of the buckets for keys after the query; false puts them into bucket 0.</param>
    /// <param name="buckets">Number of buckets.</param>
    /// <param name="farthest">The end of the last bucket.</param>
    internal static int Bucket(int distance, bool bidirectional, int buckets, int farthest)
    {
        int first = 0;
        if (bidirectional)
        {
            buckets /= 2;
            first = distance > 0 ? buckets : 0;
            distance = Math.Abs(distance);
        }
        else
        {
            distance = Math.Max(-distance, 0);
        }

        int exact = buckets / 2;
        if (distance < exact)
        {
            return first + distance;
        }

        // In single precision, as transformers computes it, so that borders fall where its do.
        float step = MathF.Log((float)distance / exact) / (float)Math.Log((double)farthest / exact) * (buckets - exact);
        return first + (int)Math.Min(exact + (double)step, buckets - 1);
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

    /// <summary>Runs one step of the decoder: one token per row, whose keys and values are added to the caches.</summary>
    /// <param name="ids">Int64 <c>[rows, 1]</c>.</param>
    /// <param name="place">Position in the caches, after a prefix and the earlier steps.</param>
    /// <param name="caches">Keys and values of each layer.</param>
    /// <param name="bias">Added to the scores of the self-attention, <c>[1, heads, 1, place + 1]</c>.</param>
    /// <param name="unread">True where the encoder's output is padding; null without padding.</param>
    /// <param name="pass">The pass.</param>
    private Tensor Step(Tensor ids, long place, Cache[] caches, Tensor bias, Tensor? unread, Pass pass)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor hidden = Start(WordsOf(ids), pass);
        for (int i = 0; i < caches.Length; i++)
        {
            (Attention self, Attention cross) = (Decoder.Layers[i].Self, Decoder.Layers[i].Cross!);
            BlockHookPoints points = Decoder.Layers[i].Points;
            hidden = pass.At(points.ResidPre, hidden);
            Tensor normed = Normalise(hidden, self.Norm);
            (Tensor key, Tensor value) = KeysAndValues(self, normed, pass);
            caches[i].Keys.narrow(2, place, 1).copy_(key);
            caches[i].Values.narrow(2, place, 1).copy_(value);
            Tensor keys = caches[i].Keys.narrow(2, 0, place + 1),
                values = caches[i].Values.narrow(2, 0, place + 1);
            hidden = pass.At(points.ResidMid, hidden.Add(Attend(self, normed, keys, values, bias, pass)));
            (keys, values) = caches[i].Text;
            hidden = pass.At(
                points.ResidMidCross!,
                hidden.Add(Attend(cross, Normalise(hidden, cross.Norm), keys, values, null, pass, unread))
            );
            hidden = FeedForward(i, hidden, pass);
        }

        return End(hidden, pass).MoveToOuterDisposeScope();
    }

    private Tensor WordsOf(Tensor ids) => _words.index_select(0, ids.reshape(-1)).view(ids.size(0), ids.size(1), -1);

    private Tensor Start(Tensor words, Pass pass) => Drop(pass.Stack.Embedded is { } point ? pass.At(point, words) : words, pass.Training);

    /// <summary>True where the encoder's output is padding, which a soft prompt is not; null without padding.</summary>
    private Tensor? Unread(TokenBatch batch) => Behind(PromptSize, batch.Mask?.logical_not());

    /// <summary>Pads a bias or mask of keys with zeros (or false) for the keys before them.</summary>
    /// <param name="before">Number of keys before.</param>
    /// <param name="said">A bias or a mask, keys last; null for none.</param>
    private static Tensor? Behind(long before, Tensor? said) =>
        said is null || before == 0
            ? said
            : cat([zeros([said.size(0), said.size(1), said.size(2), before], said.dtype, said.device), said], 3);

    private Tensor End(Tensor hidden, Pass pass)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor normed = Drop(Normalise(hidden, pass.Stack.LastNorm), pass.Training);
        return pass.At(pass.Stack.Last, normed).MoveToOuterDisposeScope();
    }

    private Tensor Map(LayerId place, Tensor weight, Tensor x)
    {
        Tensor y = F.linear(x, weight);
        return PeftModule?.AfterLinear(place, x, y) ?? y;
    }

    /// <summary>Keys and values of an attention, after the layer's part of a prefix (<c>[2, heads, prefix, head size]</c>).</summary>
    private (Tensor Keys, Tensor Values) KeysAndValues(Attention attention, Tensor read, Pass pass, Tensor? prefix = null)
    {
        Tensor keys = SplitHeads(pass.At(attention.Points.K, Map(attention.Place(TargetModules.Key), attention.Key, read)));
        Tensor values = SplitHeads(pass.At(attention.Points.V, Map(attention.Place(TargetModules.Value), attention.Value, read)));
        return prefix is null ? (keys, values) : PrefixTuning.Prepend(prefix, keys, values);
    }

    /// <summary>Attention whose scores are not scaled.</summary>
    /// <param name="attention">The weights.</param>
    /// <param name="normed">Input of the queries, <c>[rows, queries, hidden]</c>.</param>
    /// <param name="keys"><c>[rows, heads, keys, head size]</c>.</param>
    /// <param name="values"><c>[rows, heads, keys, head size]</c>.</param>
    /// <param name="bias">Added to the scores; broadcast to <c>[rows, heads, queries, keys]</c>.</param>
    /// <param name="pass">The pass.</param>
    /// <param name="unread">True where a key is masked; broadcast likewise.</param>
    private Tensor Attend(Attention attention, Tensor normed, Tensor keys, Tensor values, Tensor? bias, Pass pass, Tensor? unread = null)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor query = SplitHeads(pass.At(attention.Points.Q, Map(attention.Place(TargetModules.Query), attention.Query, normed)));
        Tensor scores = query.matmul(keys.transpose(2, 3));
        if (bias is not null)
        {
            scores.Add_(bias);
        }

        if (unread is not null)
        {
            scores.MaskedFill_(unread, double.NegativeInfinity);
        }

        Tensor weights = F.softmax(scores, -1, ScalarType.Float32).to(values.dtype);
        Tensor context = Drop(weights, pass.Training).matmul(values);
        Tensor merged = pass.At(attention.Points.Z, context.transpose(1, 2).reshape(normed.size(0), normed.size(1), -1));
        Tensor written = Drop(Map(attention.Place(TargetModules.AttentionOutput), attention.Output, merged), pass.Training);
        return pass.At(attention.Points.Out, written).MoveToOuterDisposeScope();
    }

    private Tensor FeedForward(int index, Tensor hidden, Pass pass)
    {
        using DisposeScope scope = NewDisposeScope();
        Layer layer = pass.Stack.Layers[index];
        int number = pass.Stack.First + index;
        BlockHookPoints points = layer.Points;
        Tensor read = Normalise(hidden, layer.FeedForwardNorm);
        Tensor up = Map(new(number, TargetModules.Up), layer.Up, read),
            neurons;
        if (layer.Gate is null)
        {
            neurons = _activation(pass.At(points.Pre, up));
        }
        else
        {
            Tensor gate = pass.At(points.Pre, Map(new(number, TargetModules.Up, true), layer.Gate, read));
            neurons = _activation(gate) * pass.At(points.PreLinear!, up);
        }

        neurons = pass.At(points.Post, neurons);
        Tensor down = Map(new(number, TargetModules.Down), layer.Down, Drop(neurons, pass.Training));
        Tensor written = pass.At(points.MlpOut, Drop(down, pass.Training));
        return pass.At(points.ResidPost, hidden.Add(written)).MoveToOuterDisposeScope();
    }

    /// <summary>Relative position bias of the scores of queries and keys; keys start at position 0.</summary>
    /// <returns><c>[1, heads, queries, keys]</c>.</returns>
    private Tensor PositionBias(Stack stack, long firstQuery, long queries, long keys)
    {
        using DisposeScope scope = NewDisposeScope();
        bool bidirectional = stack.First == 0;
        long nearest = -(firstQuery + queries - 1);
        long[] buckets =
        [
            .. Enumerable
                .Range(0, (int)(queries + keys - 1))
                .Select(i =>
                    (long)Bucket((int)nearest + i, bidirectional, Config.RelativeAttentionBuckets, Config.RelativeAttentionMaxDistance)
                ),
        ];
        Tensor byDistance = stack.Distances.index_select(0, tensor(buckets, device: Device));
        Tensor query = TensorArithmetic.Arange(queries - 1, -1, Device, step: -1).unsqueeze(1);
        Tensor distance = query.Add(TensorArithmetic.Arange(0, keys, Device));
        return byDistance
            .index_select(0, distance.view(-1))
            .view(queries, keys, -1)
            .permute(2, 0, 1)
            .unsqueeze(0)
            .MoveToOuterDisposeScope();
    }

    /// <summary>Root mean square normalisation, computed in single precision, without subtracting the mean.</summary>
    private Tensor Normalise(Tensor x, Tensor weight)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor single = x.to(ScalarType.Float32);
        Tensor scale = single.Square().mean([-1], keepdim: true).Add(Config.LayerNormEpsilon).rsqrt();
        return ((single * scale).to(weight.dtype) * weight).MoveToOuterDisposeScope();
    }

    private Tensor SplitHeads(Tensor x) => x.view(x.size(0), x.size(1), Config.Heads, -1).transpose(1, 2);

    private Tensor Drop(Tensor x, bool training) => Drop(x, training ? Dropout ?? Config.HiddenDropout : 0);

    /// <summary>An attention's weights, <c>[out, in]</c>, and the norm before it. <paramref name="Number"/> is that of its layer, where the
    /// decoder continues the encoder's count; <paramref name="Crosses"/> marks cross-attention.</summary>
    private sealed record Attention(
        AttentionHookPoints Points,
        int Number,
        bool Crosses,
        Tensor Norm,
        Tensor Query,
        Tensor Key,
        Tensor Value,
        Tensor Output
    )
    {
        public LayerId Place(TargetModules kind) => new(Number, kind, Crosses);
    }

    /// <summary>One block; the encoder's have no <paramref name="Cross"/>, and only version 1.1 has a <paramref name="Gate"/>.</summary>
    private sealed record Layer(
        BlockHookPoints Points,
        Attention Self,
        Attention? Cross,
        Tensor FeedForwardNorm,
        Tensor? Gate,
        Tensor Up,
        Tensor Down
    );

    /// <summary>Encoder or decoder; <paramref name="First"/> is the number of its first layer, 0 for the encoder, which alone has a point
    /// for its words.</summary>
    private sealed record Stack(Layer[] Layers, Tensor Distances, Tensor LastNorm, int First, HookPoint? Embedded, HookPoint Last);

    /// <summary>State that all layers of a pass through a stack share.</summary>
    private readonly record struct Pass(Stack Stack, bool Training, PassHooks? Hooks, Tensor? Positions = null)
    {
        public Tensor At(HookPoint point, Tensor x) => Hooks?.Run(point, x, Positions) ?? x;
    }

    /// <summary>Keys and values of a decoder layer: those of the text, computed once, and those of the steps so far.</summary>
    private sealed record Cache((Tensor Keys, Tensor Values) Text, Tensor Keys, Tensor Values);
}
