using System.Collections;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

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

    private readonly JsonObject _json;

    private ModelConfig(JsonObject json, string source)
    {
        _json = json;
        Source = source;
        ModelType =
            Text("model_type") ?? throw Invalid("model_type", "is missing", "a name such as \"roberta\", \"bert\", \"gpt2\" or \"t5\"");
        Architectures = Texts("architectures");
        if (!IsKnown)
        {
            // What keys mean is the architecture's to say; of one that is not known nothing is demanded.
            HiddenActivation = "";
            FeedForwardSizes = [];
            Labels = [];
            return;
        }

        switch (ModelType)
        {
            case "gpt2":
                HiddenSize = Size("n_embd");
                Layers = Size("n_layer");
                Heads = Size("n_head");
                FeedForwardSize = Size("n_inner", (int)Math.Min(int.MaxValue, 4L * HiddenSize));
                MaxPositions = Size("n_positions");
                LayerNormEpsilon = Positive("layer_norm_epsilon", 1e-5);
                HiddenDropout = Probability("resid_pdrop", 0.1);
                EmbeddingDropout = Probability("embd_pdrop", 0.1);
                AttentionDropout = Probability("attn_pdrop", 0.1);
                ClassifierDropout = Probability("summary_first_dropout", HiddenDropout);
                HiddenActivation = Text("activation_function") ?? "gelu_new";
                break;
            case "t5":
                HiddenSize = Size("d_model");
                Layers = Size("num_layers");
                Heads = Size("num_heads");
                FeedForwardSize = Size("d_ff");
                LayerNormEpsilon = Positive("layer_norm_epsilon", 1e-6);
                HiddenDropout = EmbeddingDropout = AttentionDropout = Probability("dropout_rate", 0.1);
                ClassifierDropout = Probability("classifier_dropout", HiddenDropout);
                (HiddenActivation, HasGatedFeedForward) = FeedForwardProjection();
                DecoderLayers = Integer("num_decoder_layers") is 0 ? 0 : Size("num_decoder_layers", Layers);
                RelativeAttentionBuckets = Size("relative_attention_num_buckets", 32);
                RelativeAttentionMaxDistance = Size("relative_attention_max_distance", 128);
                break;
            default:
                HiddenSize = Size("hidden_size");
                Layers = Size("num_hidden_layers");
                Heads = Size("num_attention_heads");
                FeedForwardSize = Size("intermediate_size");
                MaxPositions = Size("max_position_embeddings");
                TypeVocabularySize = Size("type_vocab_size", 2);
                LayerNormEpsilon = Positive("layer_norm_eps", 1e-12);
                HiddenDropout = EmbeddingDropout = Probability("hidden_dropout_prob", 0.1);
                AttentionDropout = Probability("attention_probs_dropout_prob", 0.1);
                ClassifierDropout = Probability("classifier_dropout", HiddenDropout);
                HiddenActivation = Text("hidden_act") ?? "gelu";
                break;
        }

        FeedForwardSizes = ReadFeedForwardSizes();
        VocabularySize = Size("vocab_size");
        InitializerRange = ModelType is "t5" ? Positive("initializer_factor", 1) : Positive("initializer_range", 0.02);
        TieWordEmbeddings = Flag("tie_word_embeddings", fallback: true);
        HeadSize = ModelType is "t5" ? Size("d_kv", 64) : HiddenSize / Heads;
        if (ModelType is not "t5" && HiddenSize % Heads != 0)
        {
            throw Invalid(ModelType is "gpt2" ? "n_embd" : "hidden_size", $"is {HiddenSize}", $"a multiple of the {Heads} attention heads");
        }

        // No pass reads GPT-2's ids or looks a begin or end up, and transformers writes the defaults, 50256, whatever the vocabulary.
        (int? pad, int? bos, int? eos) = DefaultTokenIds();
        PadTokenId =
            ModelType is "gpt2" && TokenId("pad_token_id", pad, isEmbedded: false) >= VocabularySize ? null : TokenId("pad_token_id", pad);
        BosTokenId = TokenId("bos_token_id", bos, isEmbedded: false);
        EosTokenId = TokenId("eos_token_id", eos, isEmbedded: false);
        MaskTokenId = TokenId("mask_token_id", null);
        DecoderStartTokenId = TokenId("decoder_start_token_id", ModelType is "t5" ? PadTokenId : null);
        Labels = ReadLabels();
    }

    /// <summary>The source of the configuration, as named in error messages.</summary>
    public string Source { get; }

    /// <summary>The architecture, for example <c>roberta</c>, <c>bert</c>, <c>gpt2</c> or <c>t5</c>; others are kept unchanged (see
    /// <see cref="IsKnown"/>).</summary>
    public string ModelType { get; }

    /// <summary>Whether the keys of the architecture are known and checked; for others, sizes may be 0.</summary>
    public bool IsKnown => ModelType is "roberta" or "bert" or "gpt2" or "t5";

    /// <summary>Whether the model is a causal language model, such as GPT-2.</summary>
    public bool IsCausal => ModelType is "gpt2";

    /// <summary>Whether the model is an encoder-decoder (T5).</summary>
    public bool IsEncoderDecoder => ModelType is "t5";

    /// <summary>The Python classes that the weights belong to, for example <c>RobertaForMaskedLM</c>; may be empty.</summary>
    public IReadOnlyList<string> Architectures { get; }

    /// <summary>Whether the weights are those of a sequence classifier (<c>...ForSequenceClassification</c>).</summary>
    internal bool IsSequenceClassifier => Architectures.Any(name => name.EndsWith("ForSequenceClassification", StringComparison.Ordinal));

    /// <summary>The hidden size.</summary>
    public int HiddenSize { get; }

    /// <summary>Number of layers; in T5, of the encoder.</summary>
    public int Layers { get; }

    /// <summary>Number of layers of T5's decoder; 0 for other architectures.</summary>
    public int DecoderLayers { get; }

    /// <summary>The number of attention heads.</summary>
    public int Heads { get; }

    /// <summary>The size of an attention head.</summary>
    public int HeadSize { get; }

    /// <summary>The feed-forward size of all layers, unless <see cref="FeedForwardSizes"/> differ.</summary>
    public int FeedForwardSize { get; }

    /// <summary>The feed-forward size of each layer (in T5, of the encoder). They differ only in pruned models, whose <c>config.json</c>
    /// has the additional key <c>intermediate_sizes</c>.</summary>
    public IReadOnlyList<int> FeedForwardSizes { get; }

    /// <summary>The number of rows of the word embeddings.</summary>
    public int VocabularySize { get; }

    /// <summary>The number of rows of the position embeddings (including RoBERTa's first two, which no token uses); 0 for T5, which has
    /// none.</summary>
    public int MaxPositions { get; }

    /// <summary>Number of token types; 0 for none.</summary>
    public int TypeVocabularySize { get; }

    /// <summary>The epsilon of layer normalisation.</summary>
    public double LayerNormEpsilon { get; }

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
    public double HiddenDropout { get; }

    /// <summary>Dropout probability of embeddings.</summary>
    public double EmbeddingDropout { get; }

    /// <summary>Dropout probability of attention weights.</summary>
    public double AttentionDropout { get; }

    /// <summary>Dropout probability before the classifier; <see cref="HiddenDropout"/> by default.</summary>
    public double ClassifierDropout { get; }

    /// <summary>The activation of feed-forward layers, as named in Python, for example <c>gelu</c>, <c>gelu_new</c> or
    /// <c>relu</c>.</summary>
    public string HiddenActivation { get; }

    /// <summary>Whether feed-forward layers are gated, as in T5 1.1.</summary>
    public bool HasGatedFeedForward { get; }

    /// <summary>Number of buckets of T5's relative positions; 0 for other architectures.</summary>
    public int RelativeAttentionBuckets { get; }

    /// <summary>The distance beyond which T5's relative positions share a bucket; 0 for other architectures.</summary>
    public int RelativeAttentionMaxDistance { get; }

    /// <summary>Whether the output layer is tied to the word embeddings.</summary>
    public bool TieWordEmbeddings { get; }

    /// <summary>Standard deviation of new weights; in T5, a factor of all deviations.</summary>
    public double InitializerRange { get; }

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

    /// <summary>Whether attention is causal: in GPT-2, and in BERT and RoBERTa with <c>is_decoder</c>.</summary>
    internal bool AttendsBackwardsOnly => ModelType is "gpt2" || (ModelType is "bert" or "roberta" && Flag("is_decoder", fallback: false));

    /// <summary>Reads a <c>config.json</c>.</summary>
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="InvalidDataException">A key is missing or out of range; the message names it and says what is expected.</exception>
    public static ModelConfig Load(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return File.Exists(path)
            ? Parse(File.ReadAllText(path), path)
            : throw new FileNotFoundException($"There is no model configuration '{path}'.", path);
    }

    /// <summary>Reads the text of a <c>config.json</c>.</summary>
    /// <param name="json">The text.</param>
    /// <param name="source">Its name in error messages.</param>
    /// <exception cref="InvalidDataException">A key is missing or out of range; the message names it and says what is expected.</exception>
    public static ModelConfig Parse(string json, string source = "config.json")
    {
        ArgumentNullException.ThrowIfNull(json);
        try
        {
            var node = JsonNode.Parse(json, documentOptions: new JsonDocumentOptions { AllowDuplicateProperties = false });
            // A text that is not valid Unicode, wherever it stands, is noticed only when it is asked for.
            node?.ToJsonString();
            return node is JsonObject root
                ? new ModelConfig(root, source)
                : throw new InvalidDataException($"{source} is not a model configuration: right would be a JSON object.");
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
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

    private (int? Pad, int? Bos, int? Eos) DefaultTokenIds() =>
        ModelType switch
        {
            "roberta" => (1, 0, 2),
            "bert" => (0, null, null),
            "gpt2" => (null, 50256, 50256),
            "t5" => (0, null, 1),
            _ => (null, null, null),
        };

    // transformers writes what it made of feed_forward_proj as two keys more, and heeds these when it reads.
    private (string Activation, bool Gated) FeedForwardProjection()
    {
        const string Gate = "gated-";
        string projection = Text("feed_forward_proj") ?? "relu";
        bool gated = projection.StartsWith(Gate, StringComparison.Ordinal);
        // The checkpoints of T5 1.1 say gated-gelu and mean the tanh approximation.
        string activation =
            !gated ? projection
            : projection is "gated-gelu" ? "gelu_new"
            : projection[Gate.Length..];
        return (Text("dense_act_fn") ?? activation, Flag("is_gated_act", gated));
    }

    private IReadOnlyList<int> ReadFeedForwardSizes()
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
            : throw Invalid(Key, $"is {node.ToJsonString()}", $"a number above 0 for each of the {Layers} layers");
    }

    private List<string> ReadLabels()
    {
        const string Right = "an object from \"0\", \"1\", ... to the labels";
        if (_json["id2label"] is not { } node)
        {
            return IsSequenceClassifier
                ? [.. Enumerable.Range(0, Size("num_labels", 2)).Select(id => string.Create(CultureInfo.InvariantCulture, $"LABEL_{id}"))]
                : [];
        }

        if (node is not JsonObject names)
        {
            throw Invalid("id2label", $"is {node.ToJsonString()}", Right);
        }

        var labels = new List<string>();
        while (names.TryGetPropertyValue(labels.Count.ToString(CultureInfo.InvariantCulture), out JsonNode? label))
        {
            // A label may be a number.
            labels.Add(
                label is not JsonValue value ? throw Invalid("id2label", $"is {node.ToJsonString()}", Right)
                : value.TryGetValue(out string? text) ? text
                : value.ToJsonString()
            );
        }
        return labels.Count == names.Count ? labels : throw Invalid("id2label", $"is {node.ToJsonString()}", Right);
    }

    private int Size(string key, int? fallback = null)
    {
        int value = Integer(key) ?? fallback ?? throw Invalid(key, "is missing", "a whole number above 0");
        return value > 0 || value == fallback ? value : throw Invalid(key, $"is {value}", "a whole number above 0");
    }

    private int? TokenId(string key, int? fallback, bool isEmbedded = true)
    {
        // A key that is there and null says that there is no such token.
        int? value = _json.ContainsKey(key) ? FirstInteger(key) : fallback;
        // Older configurations write -1 for none.
        if (value is null or -1)
        {
            return null;
        }

        if (value < 0 || (isEmbedded && value >= VocabularySize && _json.ContainsKey(key)))
        {
            throw Invalid(key, $"is {value}", $"a token id below the vocabulary size {VocabularySize}");
        }

        return value;
    }

    private int? FirstInteger(string key) =>
        _json[key] is JsonArray { Count: > 0 } ids && ids[0] is JsonValue first && first.TryGetValue(out int id) ? id : Integer(key);

    private int? Integer(string key)
    {
        // The names that most encoders share stand for GPT-2's and T5's own, and go before them.
        if (ModelType is "gpt2" or "t5" && SharedName(key) is { } shared && _json[shared] is not null)
        {
            key = shared;
        }

        if (_json[key] is not { } node)
        {
            return null;
        }

        return node is JsonValue value && value.TryGetValue(out int integer)
            ? integer
            : throw Invalid(key, $"is {node.ToJsonString()}", "a whole number");
    }

    private static string? SharedName(string key) =>
        key switch
        {
            "n_embd" or "d_model" => "hidden_size",
            "n_layer" or "num_layers" => "num_hidden_layers",
            "n_head" or "num_heads" => "num_attention_heads",
            "n_positions" => "max_position_embeddings",
            "d_kv" => "head_dim",
            _ => null,
        };

    private double? Number(string key)
    {
        if (_json[key] is not { } node)
        {
            return null;
        }

        return node is JsonValue value && value.TryGetValue(out double number) && double.IsFinite(number)
            ? number
            : throw Invalid(key, $"is {node.ToJsonString()}", "a number");
    }

    private double Positive(string key, double fallback)
    {
        double value = Number(key) ?? fallback;
        return value > 0 ? value : throw Invalid(key, $"is {value.ToString(CultureInfo.InvariantCulture)}", "a number above 0");
    }

    private double Probability(string key, double fallback) => OptionalProbability(key) ?? fallback;

    private double? OptionalProbability(string key)
    {
        double? value = Number(key);
        return value is null or >= 0 and < 1
            ? value
            : throw Invalid(key, $"is {value.Value.ToString(CultureInfo.InvariantCulture)}", "a probability, at least 0 and below 1");
    }

    /// <summary>Returns a boolean key.</summary>
    internal bool Flag(string key, bool fallback)
    {
        if (_json[key] is not { } node)
        {
            return fallback;
        }

        return node is JsonValue value && value.TryGetValue(out bool flag)
            ? flag
            : throw Invalid(key, $"is {node.ToJsonString()}", "true or false");
    }

    /// <summary>Returns the value of a key, or null.</summary>
    internal JsonNode? Field(string key) => _json[key];

    /// <summary>Returns a string key.</summary>
    internal string? Text(string key)
    {
        if (_json[key] is not { } node)
        {
            return null;
        }

        return node is JsonValue value && value.TryGetValue(out string? text)
            ? text
            : throw Invalid(key, $"is {node.ToJsonString()}", "a text");
    }

    private List<string> Texts(string key)
    {
        if (_json[key] is not { } node)
        {
            return [];
        }

        var texts = new List<string>();
        foreach (JsonNode? item in node as JsonArray ?? throw Invalid(key, $"is {node.ToJsonString()}", "an array of texts"))
        {
            texts.Add(
                item is JsonValue value && value.TryGetValue(out string? text)
                    ? text
                    : throw Invalid(key, $"is {node.ToJsonString()}", "an array of texts")
            );
        }

        return texts;
    }

    private InvalidDataException Invalid(string key, string problem, string right) =>
        new($"{Source}: {key} {problem}; right would be {right}.");

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
