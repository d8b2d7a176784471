using System.Collections;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using SkillLoc.Models.Architectures;
using SkillLoc.Models.Json;

namespace SkillLoc.Models.Checkpoints;

/// <summary>
/// The configuration of a model (<c>config.json</c>): common names for the keys of all architectures, validated, with the original JSON, so
/// that unknown keys are kept when it is written. Immutable.
/// </summary>
public sealed class ModelConfig
{
    private static readonly JsonSerializerOptions Indented = new()
    {
        WriteIndented = true,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    // Values are quoted in messages, several times their bytes; the largest known, of 21,000 labels, have 2 MB.
    private const int MaxBytes = 8 << 20;

    private readonly JsonObject _json;
    private readonly Architecture? _architecture;
    private readonly ModelSizes _sizes;

    private ModelConfig(JsonObject json, string source)
    {
        _json = json;
        Source = source;
        var keys = new ConfigJson(json, source);
        ModelType = keys.Text("model_type") ?? throw keys.Invalid("model_type", "is missing", "a name such as \"roberta\" or \"bert\"");
        Architectures = keys.Texts("architectures");
        _architecture = Architecture.Find(ModelType);
        if (_architecture is null)
        {
            // What keys mean is the architecture's to say; of one that is not known nothing is demanded.
            _sizes = ModelSizes.None;
            FeedForwardSizes = [];
            Labels = [];
            return;
        }

        keys.SharedNames = _architecture.SharedNames;
        _sizes = _architecture.Read(keys);
        FeedForwardSizes = ReadFeedForwardSizes(keys);
        VocabularySize = keys.Size("vocab_size");
        TieWordEmbeddings = keys.Flag("tie_word_embeddings", fallback: true);
        HeadSize = _sizes.HeadSize ?? HiddenSize / Heads;
        if (_sizes.HeadSize is null && HiddenSize % Heads != 0)
        {
            string key = _architecture.SharedNames.FirstOrDefault(name => name.Value == "hidden_size").Key ?? "hidden_size";
            throw keys.Invalid(key, $"is {HiddenSize}", $"a multiple of the {Heads} attention heads");
        }

        // No pass reads GPT-2's ids or looks a begin or end up, and transformers writes the defaults, 50256, whatever the vocabulary.
        (int? pad, int? bos, int? eos) = _architecture.DefaultTokenIds;
        PadTokenId = IsCausal && keys.TokenId("pad_token_id", pad) >= VocabularySize ? null : Embedded("pad_token_id", pad);
        BosTokenId = keys.TokenId("bos_token_id", bos);
        EosTokenId = keys.TokenId("eos_token_id", eos);
        MaskTokenId = Embedded("mask_token_id", null);
        DecoderStartTokenId = Embedded("decoder_start_token_id", IsEncoderDecoder ? PadTokenId : null);
        Labels = ReadLabels(keys);

        int? Embedded(string key, int? fallback) => keys.TokenId(key, fallback, VocabularySize);
    }

    /// <summary>The source of the configuration, as named in error messages.</summary>
    public string Source { get; }

    /// <summary>The architecture, for example <c>roberta</c>, <c>bert</c>, <c>gpt2</c> or <c>t5</c>; others are kept unchanged (see
    /// <see cref="IsKnown"/>).</summary>
    public string ModelType { get; }

    /// <summary>Whether the keys of the architecture are known and checked; for others, sizes may be 0.</summary>
    public bool IsKnown => _architecture is not null;

    /// <summary>Whether the model is a causal language model, such as GPT-2.</summary>
    public bool IsCausal => ModelType is "gpt2";

    /// <summary>Whether the model is an encoder-decoder (T5).</summary>
    public bool IsEncoderDecoder => ModelType is "t5";

    /// <summary>The Python classes that the weights belong to, for example <c>RobertaForMaskedLM</c>; may be empty.</summary>
    public IReadOnlyList<string> Architectures { get; }

    /// <summary>Whether the weights are those of a sequence classifier (<c>...ForSequenceClassification</c>).</summary>
    internal bool IsSequenceClassifier => Architectures.Any(name => name.EndsWith("ForSequenceClassification", StringComparison.Ordinal));

    /// <summary>The hidden size.</summary>
    public int HiddenSize => _sizes.HiddenSize;

    /// <summary>The size of the embeddings, which differs from <see cref="HiddenSize"/> in some ELECTRA models only.</summary>
    public int EmbeddingSize => _sizes.EmbeddingSize ?? HiddenSize;

    /// <summary>Number of layers; in T5, of the encoder.</summary>
    public int Layers => _sizes.Layers;

    /// <summary>Number of layers of T5's decoder; 0 for other architectures.</summary>
    public int DecoderLayers => _sizes.DecoderLayers;

    /// <summary>The number of attention heads.</summary>
    public int Heads => _sizes.Heads;

    /// <summary>The size of an attention head.</summary>
    public int HeadSize { get; }

    /// <summary>The feed-forward size of all layers, unless <see cref="FeedForwardSizes"/> differ.</summary>
    public int FeedForwardSize => _sizes.FeedForwardSize;

    /// <summary>The feed-forward size of each layer (in T5, of the encoder). They differ only in pruned models, whose <c>config.json</c>
    /// has the additional key <c>intermediate_sizes</c>.</summary>
    public IReadOnlyList<int> FeedForwardSizes { get; }

    /// <summary>The number of rows of the word embeddings.</summary>
    public int VocabularySize { get; }

    /// <summary>The number of rows of the position embeddings (including the first two of RoBERTa and its relatives, which no token uses); 0 for T5, which has
    /// none.</summary>
    public int MaxPositions => _sizes.MaxPositions;

    /// <summary>Number of token types; 0 for none.</summary>
    public int TypeVocabularySize => _sizes.TypeVocabularySize;

    /// <summary>The epsilon of layer normalisation.</summary>
    public double LayerNormEpsilon => _sizes.LayerNormEpsilon;

    /// <summary>Id of the padding token.</summary>
    public int? PadTokenId { get; }

    /// <summary>Id of the token that begins a text.</summary>
    public int? BosTokenId { get; }

    /// <summary>Id of the token that ends a text.</summary>
    public int? EosTokenId { get; }

    /// <summary>Id of the mask token; null in most configurations, since the tokenizer has it.</summary>
    public int? MaskTokenId { get; }

    /// <summary>Id of the start token of T5's decoder.</summary>
    public int? DecoderStartTokenId { get; }

    /// <summary>Dropout probability of hidden states.</summary>
    public double HiddenDropout => _sizes.HiddenDropout;

    /// <summary>Dropout probability of embeddings.</summary>
    public double EmbeddingDropout => _sizes.EmbeddingDropout;

    /// <summary>Dropout probability of attention weights.</summary>
    public double AttentionDropout => _sizes.AttentionDropout;

    /// <summary>Dropout probability before the classifier; <see cref="HiddenDropout"/> by default.</summary>
    public double ClassifierDropout => _sizes.ClassifierDropout;

    /// <summary>The activation of feed-forward layers, as named in Python, for example <c>gelu</c>, <c>gelu_new</c> or
    /// <c>relu</c>.</summary>
    public string HiddenActivation => _sizes.HiddenActivation;

    /// <summary>Whether feed-forward layers are gated, as in T5 1.1.</summary>
    public bool HasGatedFeedForward => _sizes.HasGatedFeedForward;

    /// <summary>Number of buckets of T5's and MPNet's relative positions; 0 for other architectures.</summary>
    public int RelativeAttentionBuckets => _sizes.RelativeAttentionBuckets;

    /// <summary>The distance beyond which T5's and MPNet's relative positions share a bucket; 0 for other architectures.</summary>
    public int RelativeAttentionMaxDistance => _sizes.RelativeAttentionMaxDistance;

    /// <summary>Whether the output layer is tied to the word embeddings.</summary>
    public bool TieWordEmbeddings { get; }

    /// <summary>Standard deviation of new weights; in T5, a factor of all deviations.</summary>
    public double InitializerRange => _sizes.InitializerRange;

    /// <summary>The labels of a classifier in the order of their ids (<c>id2label</c>); empty if there are none. As in <c>transformers</c>,
    /// a <c>...ForSequenceClassification</c> without <c>id2label</c> has the labels LABEL_0, LABEL_1, ..., two unless <c>num_labels</c> is
    /// given.</summary>
    public IReadOnlyList<string> Labels { get; }

    /// <summary>Whether <see cref="Labels"/> are from <c>id2label</c>.</summary>
    internal bool NamesLabels => _json["id2label"] is not null;

    /// <summary>Ids of all tokens that end a text; <c>eos_token_id</c> may be an array.</summary>
    internal IReadOnlyList<int> EosTokenIds =>
        _json["eos_token_id"] is JsonArray ids
            ? [.. ids.Select(id => id is JsonValue value && value.TryGetValue(out int number) ? number : -1)]
        : EosTokenId is { } one ? [one]
        : [];

    /// <summary>Whether attention is causal: in GPT-2, and in BERT and its relatives with <c>is_decoder</c>.</summary>
    internal bool AttendsBackwardsOnly => IsCausal || (_architecture?.MayLookBackOnly == true && Flag("is_decoder", fallback: false));

    /// <summary>Reads a <c>config.json</c>.</summary>
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="InvalidDataException">A key is missing or out of range; the message names it and says what is expected.</exception>
    public static ModelConfig Load(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return File.Exists(path)
            ? Parse(JsonText.ReadFile(path).Span, path)
            : throw new FileNotFoundException($"There is no model configuration '{path}'.", path);
    }

    /// <summary>Reads the text of a <c>config.json</c>.</summary>
    /// <param name="json">The text.</param>
    /// <param name="source">Its name in error messages.</param>
    /// <exception cref="InvalidDataException">A key is missing or out of range; the message names it and says what is expected.</exception>
    public static ModelConfig Parse(string json, string source = "config.json")
    {
        ArgumentNullException.ThrowIfNull(json);
        return Parse(JsonText.Bytes(json, source), source);
    }

    /// <inheritdoc cref="Parse(string, string)"/>
    internal static ModelConfig Parse(ReadOnlySpan<byte> json, string source)
    {
        if (json.Length > MaxBytes)
        {
            throw new InvalidDataException(
                $"{source} is not a model configuration: it has {json.Length} bytes, and a configuration has at most {MaxBytes}."
            );
        }

        try
        {
            return JsonText.ParseObject(json) is { } root
                ? new ModelConfig(root, source)
                : throw new InvalidDataException($"{source} is not a model configuration: expected a JSON object.");
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"{source} is not a model configuration: it is not valid JSON ({e.Message}).", e);
        }
    }

    /// <summary>Creates the configuration of a new RoBERTa; set other keys by <see cref="With"/>.</summary>
    /// <param name="hiddenSize">The hidden size.</param>
    /// <param name="layers">The number of layers.</param>
    /// <param name="heads">The number of attention heads.</param>
    /// <param name="feedForwardSize">The number of neurons of a feed-forward layer.</param>
    /// <param name="vocabularySize">The number of tokens.</param>
    /// <param name="maxPositions">Number of position embeddings: the maximum number of tokens plus two.</param>
    /// <param name="dropout">Probability of every dropout.</param>
    /// <exception cref="InvalidDataException">A size is out of range.</exception>
    public static ModelConfig Roberta(
        int hiddenSize = 768,
        int layers = 12,
        int heads = 12,
        int feedForwardSize = 3072,
        int vocabularySize = 50265,
        int maxPositions = 514,
        double dropout = 0.1
    ) =>
        Encoder(
            "roberta",
            "RobertaForMaskedLM",
            hiddenSize,
            layers,
            heads,
            feedForwardSize,
            vocabularySize,
            maxPositions,
            dropout,
            new JsonObject
            {
                ["type_vocab_size"] = 1,
                ["layer_norm_eps"] = 1e-5,
                ["pad_token_id"] = 1,
                ["bos_token_id"] = 0,
                ["eos_token_id"] = 2,
            }
        );

    /// <summary>Creates the configuration of a new BERT; set other keys by <see cref="With"/>.</summary>
    /// <param name="hiddenSize">The hidden size.</param>
    /// <param name="layers">The number of layers.</param>
    /// <param name="heads">The number of attention heads.</param>
    /// <param name="feedForwardSize">The number of neurons of a feed-forward layer.</param>
    /// <param name="vocabularySize">The number of tokens.</param>
    /// <param name="maxPositions">The number of position embeddings.</param>
    /// <param name="dropout">Probability of every dropout.</param>
    /// <exception cref="InvalidDataException">A size is out of range.</exception>
    public static ModelConfig Bert(
        int hiddenSize = 768,
        int layers = 12,
        int heads = 12,
        int feedForwardSize = 3072,
        int vocabularySize = 30522,
        int maxPositions = 512,
        double dropout = 0.1
    ) =>
        Encoder(
            "bert",
            "BertForMaskedLM",
            hiddenSize,
            layers,
            heads,
            feedForwardSize,
            vocabularySize,
            maxPositions,
            dropout,
            new JsonObject
            {
                ["type_vocab_size"] = 2,
                ["layer_norm_eps"] = 1e-12,
                ["pad_token_id"] = 0,
            }
        );

    /// <summary>Returns a copy with one JSON key changed; null removes it.</summary>
    /// <param name="key">The key as <c>config.json</c> spells it, for example <c>hidden_dropout_prob</c>.</param>
    /// <param name="value">The new value; numbers, texts and flags are converted implicitly.</param>
    /// <exception cref="InvalidDataException">The value is out of range.</exception>
    public ModelConfig With(string key, JsonNode? value)
    {
        var json = (JsonObject)_json.DeepClone();
        if (value is null)
        {
            json.Remove(key);
        }
        else
        {
            json[key] = value.DeepClone();
        }

        return new ModelConfig(json, Source);
    }

    /// <summary>Returns a copy for another Python class, for example <c>RobertaForSequenceClassification</c>.</summary>
    public ModelConfig WithArchitecture(string architecture) => With("architectures", new JsonArray(architecture));

    /// <summary>Returns a copy for a classifier with these labels (<c>id2label</c> and <c>label2id</c>).</summary>
    /// <param name="labels">The labels in the order of their ids, all different.</param>
    public ModelConfig WithLabels(IReadOnlyList<string> labels)
    {
        ArgumentNullException.ThrowIfNull(labels);
        var names = new JsonObject();
        var ids = new JsonObject();
        for (int id = 0; id < labels.Count; id++)
        {
            names.Add(id.ToString(CultureInfo.InvariantCulture), labels[id]);
            ids.Add(labels[id], id);
        }
        return With("id2label", names).With("label2id", ids);
    }

    /// <summary>Returns a copy with these feed-forward sizes (<c>intermediate_sizes</c>).</summary>
    /// <param name="sizes">The number of neurons of each layer.</param>
    /// <exception cref="InvalidDataException">There is not one positive number per layer.</exception>
    public ModelConfig WithFeedForwardSizes(IReadOnlyList<int> sizes)
    {
        ArgumentNullException.ThrowIfNull(sizes);
        return With("intermediate_sizes", new JsonArray([.. sizes.Select(size => (JsonNode)size)]));
    }

    /// <summary>Returns the text of <c>config.json</c>, unknown keys included.</summary>
    public string ToJson() => _json.ToJsonString(Indented) + "\n";

    private static ModelConfig Encoder(
        string modelType,
        string architecture,
        int hiddenSize,
        int layers,
        int heads,
        int feedForwardSize,
        int vocabularySize,
        int maxPositions,
        double dropout,
        JsonObject rest
    )
    {
        var json = new JsonObject
        {
            ["architectures"] = new JsonArray(architecture),
            ["model_type"] = modelType,
            ["hidden_size"] = hiddenSize,
            ["num_hidden_layers"] = layers,
            ["num_attention_heads"] = heads,
            ["intermediate_size"] = feedForwardSize,
            ["vocab_size"] = vocabularySize,
            ["max_position_embeddings"] = maxPositions,
            ["hidden_act"] = "gelu",
            ["hidden_dropout_prob"] = dropout,
            ["attention_probs_dropout_prob"] = dropout,
            ["initializer_range"] = 0.02,
            ["tie_word_embeddings"] = true,
        };
        foreach ((string? key, JsonNode? value) in rest)
        {
            json[key] = value!.DeepClone();
        }
        // Through text, so that numbers are what they would be in a file.
        return Parse(json.ToJsonString(), $"the new {modelType} configuration");
    }

    private IReadOnlyList<int> ReadFeedForwardSizes(ConfigJson keys)
    {
        const string Key = "intermediate_sizes";
        // What a file says of layers is not to be believed, and takes no memory, before there are weights of them.
        if (_json[Key] is not { } node)
        {
            return new Alike(FeedForwardSize, Layers);
        }

        int[]? sizes = node is JsonArray array
            ? [.. array.Select(item => item is JsonValue value && value.TryGetValue(out int size) ? size : 0)]
            : null;
        return sizes?.Length == Layers && sizes.All(size => size > 0)
            ? sizes
            : throw keys.Invalid(Key, $"is {node.ToJsonString()}", $"a number above 0 for each of the {Layers} layers");
    }

    private List<string> ReadLabels(ConfigJson keys)
    {
        const string Right = "an object from \"0\", \"1\", ... to the labels";
        if (_json["id2label"] is not { } node)
        {
            return IsSequenceClassifier
                ?
                [
                    .. Enumerable
                        .Range(0, keys.Size("num_labels", 2))
                        .Select(id => string.Create(CultureInfo.InvariantCulture, $"LABEL_{id}")),
                ]
                : [];
        }

        if (node is not JsonObject names)
        {
            throw keys.Invalid("id2label", $"is {node.ToJsonString()}", Right);
        }

        var labels = new List<string>();
        while (names.TryGetPropertyValue(labels.Count.ToString(CultureInfo.InvariantCulture), out JsonNode? label))
        {
            // A label may be a number.
            labels.Add(
                label is not JsonValue value ? throw keys.Invalid("id2label", $"is {node.ToJsonString()}", Right)
                : value.TryGetValue(out string? text) ? text
                : value.ToJsonString()
            );
        }
        return labels.Count == names.Count ? labels : throw keys.Invalid("id2label", $"is {node.ToJsonString()}", Right);
    }

    /// <summary>Returns a boolean key.</summary>
    internal bool Flag(string key, bool fallback) => new ConfigJson(_json, Source).Flag(key, fallback);

    /// <summary>Returns the value of a key, or null.</summary>
    internal JsonNode? Field(string key) => _json[key];

    /// <summary>Returns a string key.</summary>
    internal string? Text(string key) => new ConfigJson(_json, Source).Text(key);

    /// <summary>A list of one repeated number.</summary>
    private sealed class Alike(int value, int count) : IReadOnlyList<int>
    {
        public int Count => count;

        public int this[int index] =>
            index >= 0 && index < count ? value : throw new ArgumentOutOfRangeException(nameof(index), index, $"There are {count} layers.");

        public IEnumerator<int> GetEnumerator() => Enumerable.Repeat(value, count).GetEnumerator();

        IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
    }
}
