using System.Collections;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace SkillLoc.Models.Checkpoints;

/// <summary>
/// A model's <c>config.json</c>: one set of names for what each architecture calls by its own, checked, and the original JSON
/// so that it can be written back with what this class does not know. Immutable.
/// </summary>
public sealed class ModelConfig
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly JsonObject _json;

    private ModelConfig(JsonObject json, string source)
    {
        _json = json;
        Source = source;
        ModelType = Text("model_type") ?? throw Invalid("model_type", "is missing", "a name such as \"roberta\", \"bert\", \"gpt2\" or \"t5\"");
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
            throw Invalid(ModelType is "gpt2" ? "n_embd" : "hidden_size", $"is {HiddenSize}", $"a multiple of the {Heads} attention heads");

        // No pass reads GPT-2's ids or looks a begin or end up, and transformers writes the defaults, 50256, whatever the vocabulary.
        var (pad, bos, eos) = DefaultTokenIds();
        PadTokenId = ModelType is "gpt2" && TokenId("pad_token_id", pad, isEmbedded: false) >= VocabularySize ? null : TokenId("pad_token_id", pad);
        BosTokenId = TokenId("bos_token_id", bos, isEmbedded: false);
        EosTokenId = TokenId("eos_token_id", eos, isEmbedded: false);
        MaskTokenId = TokenId("mask_token_id", null);
        DecoderStartTokenId = TokenId("decoder_start_token_id", ModelType is "t5" ? PadTokenId : null);
        Labels = ReadLabels();
    }

    /// <summary>Where the configuration came from, as error messages call it.</summary>
    public string Source { get; }

    /// <summary>The architecture, for example <c>roberta</c>, <c>bert</c>, <c>gpt2</c> or <c>t5</c>; any other is kept as it is (see <see cref="IsKnown"/>).</summary>
    public string ModelType { get; }

    /// <summary>Whether this is one of the architectures whose keys are known and checked; of others the sizes may be 0.</summary>
    public bool IsKnown => ModelType is "roberta" or "bert" or "gpt2" or "t5";

    /// <summary>Whether the model reads from left to right only and continues a text, as GPT-2 does.</summary>
    public bool IsCausal => ModelType is "gpt2";

    /// <summary>Whether the model writes text about a text that it has read (T5).</summary>
    public bool IsEncoderDecoder => ModelType is "t5";

    /// <summary>The Python classes that the weights belong to, for example <c>RobertaForMaskedLM</c>; may be empty.</summary>
    public IReadOnlyList<string> Architectures { get; }

    /// <summary>Whether the weights are those of a classifier of texts (<c>...ForSequenceClassification</c>).</summary>
    internal bool IsSequenceClassifier => Architectures.Any(name => name.EndsWith("ForSequenceClassification", StringComparison.Ordinal));

    /// <summary>The length of a hidden state.</summary>
    public int HiddenSize { get; }

    /// <summary>The number of layers; for T5, of the encoder.</summary>
    public int Layers { get; }

    /// <summary>The number of layers of T5's decoder; 0 for the others.</summary>
    public int DecoderLayers { get; }

    /// <summary>The number of attention heads.</summary>
    public int Heads { get; }

    /// <summary>The length of an attention head's queries and keys.</summary>
    public int HeadSize { get; }

    /// <summary>The number of neurons of a feed-forward layer, unless <see cref="FeedForwardSizes"/> differ.</summary>
    public int FeedForwardSize { get; }

    /// <summary>The number of neurons of each feed-forward layer (for T5, of the encoder). They differ in a pruned model only, whose
    /// <c>config.json</c> has them as <c>intermediate_sizes</c>, a key of ours.</summary>
    public IReadOnlyList<int> FeedForwardSizes { get; }

    /// <summary>The number of rows of the word embeddings.</summary>
    public int VocabularySize { get; }

    /// <summary>The number of rows of the position embeddings (RoBERTa's first two included, which no token gets); 0 for T5, which has none.</summary>
    public int MaxPositions { get; }

    /// <summary>The number of token types; 0 where there are none.</summary>
    public int TypeVocabularySize { get; }

    /// <summary>What layer normalisation adds to the variance.</summary>
    public double LayerNormEpsilon { get; }

    /// <summary>The token that fills batches up.</summary>
    public int? PadTokenId { get; }

    /// <summary>The token that begins a text.</summary>
    public int? BosTokenId { get; }

    /// <summary>The token that ends a text.</summary>
    public int? EosTokenId { get; }

    /// <summary>The mask token, which few configurations name: it is otherwise the tokenizer's to know.</summary>
    public int? MaskTokenId { get; }

    /// <summary>The token that T5's decoder begins with.</summary>
    public int? DecoderStartTokenId { get; }

    /// <summary>The probability that a hidden value is dropped in training.</summary>
    public double HiddenDropout { get; }

    /// <summary>The probability that a value of the embeddings is dropped in training.</summary>
    public double EmbeddingDropout { get; }

    /// <summary>The probability that an attention weight is dropped in training.</summary>
    public double AttentionDropout { get; }

    /// <summary>The probability that a value before the classifier is dropped in training: <see cref="HiddenDropout"/> unless it is given.</summary>
    public double ClassifierDropout { get; }

    /// <summary>The feed-forward layers' activation in Python's spelling, for example <c>gelu</c>, <c>gelu_new</c> or <c>relu</c>.</summary>
    public string HiddenActivation { get; }

    /// <summary>Whether the feed-forward layers are gated, as those of T5 1.1.</summary>
    public bool HasGatedFeedForward { get; }

    /// <summary>The number of buckets of T5's relative positions; 0 for the others.</summary>
    public int RelativeAttentionBuckets { get; }

    /// <summary>The distance from which on T5's relative positions are the same; 0 for the others.</summary>
    public int RelativeAttentionMaxDistance { get; }

    /// <summary>Whether the output layer's weights are the word embeddings.</summary>
    public bool TieWordEmbeddings { get; }

    /// <summary>The standard deviation that new weights are drawn with; for T5 the factor that all its own deviations get.</summary>
    public double InitializerRange { get; }

    /// <summary>The labels of a classifier in the order of their ids (<c>id2label</c>); empty if there are none. A
    /// <c>...ForSequenceClassification</c> without <c>id2label</c> has LABEL_0, LABEL_1 and so on, two unless <c>num_labels</c> says
    /// otherwise, as in <c>transformers</c>, which leaves these out.</summary>
    public IReadOnlyList<string> Labels { get; }

    /// <summary>Whether <see cref="Labels"/> come from <c>id2label</c>.</summary>
    internal bool NamesLabels => _json["id2label"] is not null;

    /// <summary>All tokens that end a text: <c>eos_token_id</c> may be an array.</summary>
    internal IReadOnlyList<int> EosTokenIds => _json["eos_token_id"] is JsonArray ids
        ? [.. ids.Select(id => id is JsonValue value && value.TryGetValue(out int number) ? number : -1)]
        : EosTokenId is { } one ? [one] : [];

    /// <summary>Whether a position sees itself and what is before it only: of GPT-2, and of BERT and RoBERTa with <c>is_decoder</c>.</summary>
    internal bool AttendsBackwardsOnly => ModelType is "gpt2" || (ModelType is "bert" or "roberta" && Flag("is_decoder", fallback: false));

    /// <summary>Reads a <c>config.json</c>.</summary>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">A key is missing or absurd; the message names it and says what would be right.</exception>
    public static ModelConfig Load(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return File.Exists(path)
            ? Parse(File.ReadAllText(path), path)
            : throw new FileNotFoundException($"There is no model configuration '{path}'.", path);
    }

    /// <summary>Reads the text of a <c>config.json</c>.</summary>
    /// <param name="json">The text.</param>
    /// <param name="source">What error messages call it.</param>
    /// <exception cref="InvalidDataException">A key is missing or absurd; the message names it and says what would be right.</exception>
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

    /// <summary>The configuration of a new RoBERTa; what has no parameter can be set by <see cref="With"/>.</summary>
    /// <param name="hiddenSize">The length of a hidden state.</param>
    /// <param name="layers">The number of layers.</param>
    /// <param name="heads">The number of attention heads.</param>
    /// <param name="feedForwardSize">The number of neurons of a feed-forward layer.</param>
    /// <param name="vocabularySize">The number of tokens.</param>
    /// <param name="maxPositions">The number of position embeddings, two more than the longest text has tokens.</param>
    /// <param name="dropout">The probability of every dropout.</param>
    /// <exception cref="InvalidDataException">A size is absurd.</exception>
    public static ModelConfig Roberta(
        int hiddenSize = 768, int layers = 12, int heads = 12, int feedForwardSize = 3072, int vocabularySize = 50265, int maxPositions = 514, double dropout = 0.1) =>
        Encoder("roberta", "RobertaForMaskedLM", hiddenSize, layers, heads, feedForwardSize, vocabularySize, maxPositions, dropout, new JsonObject
        {
            ["type_vocab_size"] = 1,
            ["layer_norm_eps"] = 1e-5,
            ["pad_token_id"] = 1,
            ["bos_token_id"] = 0,
            ["eos_token_id"] = 2,
        });

    /// <summary>The configuration of a new BERT; what has no parameter can be set by <see cref="With"/>.</summary>
    /// <param name="hiddenSize">The length of a hidden state.</param>
    /// <param name="layers">The number of layers.</param>
    /// <param name="heads">The number of attention heads.</param>
    /// <param name="feedForwardSize">The number of neurons of a feed-forward layer.</param>
    /// <param name="vocabularySize">The number of tokens.</param>
    /// <param name="maxPositions">The number of position embeddings.</param>
    /// <param name="dropout">The probability of every dropout.</param>
    /// <exception cref="InvalidDataException">A size is absurd.</exception>
    public static ModelConfig Bert(
        int hiddenSize = 768, int layers = 12, int heads = 12, int feedForwardSize = 3072, int vocabularySize = 30522, int maxPositions = 512, double dropout = 0.1) =>
        Encoder("bert", "BertForMaskedLM", hiddenSize, layers, heads, feedForwardSize, vocabularySize, maxPositions, dropout, new JsonObject
        {
            ["type_vocab_size"] = 2,
            ["layer_norm_eps"] = 1e-12,
            ["pad_token_id"] = 0,
        });

    /// <summary>The same configuration with one key of the JSON changed; null removes it.</summary>
    /// <param name="key">The key as <c>config.json</c> spells it, for example <c>hidden_dropout_prob</c>.</param>
    /// <param name="value">The new value; numbers, texts and flags convert by themselves.</param>
    /// <exception cref="InvalidDataException">The value is absurd.</exception>
    public ModelConfig With(string key, JsonNode? value)
    {
        var json = (JsonObject)_json.DeepClone();
        if (value is null)
            json.Remove(key);
        else
            json[key] = value.DeepClone();
        return new ModelConfig(json, Source);
    }

    /// <summary>The same configuration for another Python class, for example <c>RobertaForSequenceClassification</c>.</summary>
    public ModelConfig WithArchitecture(string architecture) => With("architectures", new JsonArray(architecture));

    /// <summary>The same configuration for a classifier with these labels (<c>id2label</c> and <c>label2id</c>).</summary>
    /// <param name="labels">The labels in the order of their ids, all different.</param>
    public ModelConfig WithLabels(IReadOnlyList<string> labels)
    {
        ArgumentNullException.ThrowIfNull(labels);
        var names = new JsonObject();
        var ids = new JsonObject();
        for (var id = 0; id < labels.Count; id++)
        {
            names.Add(id.ToString(CultureInfo.InvariantCulture), labels[id]);
            ids.Add(labels[id], id);
        }
        return With("id2label", names).With("label2id", ids);
    }

    /// <summary>The same configuration with feed-forward layers of these widths (<c>intermediate_sizes</c>).</summary>
    /// <param name="sizes">The number of neurons of each layer.</param>
    /// <exception cref="InvalidDataException">There is not one number above 0 for each layer.</exception>
    public ModelConfig WithFeedForwardSizes(IReadOnlyList<int> sizes)
    {
        ArgumentNullException.ThrowIfNull(sizes);
        return With("intermediate_sizes", new JsonArray([.. sizes.Select(size => (JsonNode)size)]));
    }

    /// <summary>The text of a <c>config.json</c>, keys that this class does not know included.</summary>
    public string ToJson() => _json.ToJsonString(Indented) + "\n";

    private static ModelConfig Encoder(
        string modelType, string architecture, int hiddenSize, int layers, int heads, int feedForwardSize, int vocabularySize, int maxPositions, double dropout, JsonObject rest)
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
        foreach (var (key, value) in rest)
            json[key] = value!.DeepClone();
        // Through text, so that numbers are what they would be in a file.
        return Parse(json.ToJsonString(), $"the new {modelType} configuration");
    }

    private (int? Pad, int? Bos, int? Eos) DefaultTokenIds() => ModelType switch
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
        var projection = Text("feed_forward_proj") ?? "relu";
        var gated = projection.StartsWith(Gate, StringComparison.Ordinal);
        // The checkpoints of T5 1.1 say gated-gelu and mean the tanh approximation.
        var activation = !gated ? projection : projection is "gated-gelu" ? "gelu_new" : projection[Gate.Length..];
        return (Text("dense_act_fn") ?? activation, Flag("is_gated_act", gated));
    }

    private IReadOnlyList<int> ReadFeedForwardSizes()
    {
        const string Key = "intermediate_sizes";
        // What a file says of layers is not to be believed, and takes no memory, before there are weights of them.
        if (_json[Key] is not { } node)
            return new Alike(FeedForwardSize, Layers);
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
            return IsSequenceClassifier ? [.. Enumerable.Range(0, Size("num_labels", 2)).Select(id => string.Create(CultureInfo.InvariantCulture, $"LABEL_{id}"))] : [];
        if (node is not JsonObject names)
            throw Invalid("id2label", $"is {node.ToJsonString()}", Right);
        var labels = new List<string>();
        while (names.TryGetPropertyValue(labels.Count.ToString(CultureInfo.InvariantCulture), out var label))
        {
            // A label may be a number.
            labels.Add(label is not JsonValue value ? throw Invalid("id2label", $"is {node.ToJsonString()}", Right)
                : value.TryGetValue(out string? text) ? text : value.ToJsonString());
        }
        return labels.Count == names.Count ? labels : throw Invalid("id2label", $"is {node.ToJsonString()}", Right);
    }

    private int Size(string key, int? fallback = null)
    {
        var value = Integer(key) ?? fallback ?? throw Invalid(key, "is missing", "a whole number above 0");
        return value > 0 || value == fallback ? value : throw Invalid(key, $"is {value}", "a whole number above 0");
    }

    private int? TokenId(string key, int? fallback, bool isEmbedded = true)
    {
        // A key that is there and null says that there is no such token.
        var value = _json.ContainsKey(key) ? FirstInteger(key) : fallback;
        // Older configurations write -1 for none.
        if (value is null or -1)
            return null;
        if (value < 0 || (isEmbedded && value >= VocabularySize && _json.ContainsKey(key)))
            throw Invalid(key, $"is {value}", $"a token id below the vocabulary size {VocabularySize}");
        return value;
    }

    private int? FirstInteger(string key) =>
        _json[key] is JsonArray { Count: > 0 } ids && ids[0] is JsonValue first && first.TryGetValue(out int id) ? id : Integer(key);

    private int? Integer(string key)
    {
        // The names that most encoders share stand for GPT-2's and T5's own, and go before them.
        if (ModelType is "gpt2" or "t5" && SharedName(key) is { } shared && _json[shared] is not null)
            key = shared;
        if (_json[key] is not { } node)
            return null;
        return node is JsonValue value && value.TryGetValue(out int integer) ? integer : throw Invalid(key, $"is {node.ToJsonString()}", "a whole number");
    }

    private static string? SharedName(string key) => key switch
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
            return null;
        return node is JsonValue value && value.TryGetValue(out double number) && double.IsFinite(number)
            ? number
            : throw Invalid(key, $"is {node.ToJsonString()}", "a number");
    }

    private double Positive(string key, double fallback)
    {
        var value = Number(key) ?? fallback;
        return value > 0 ? value : throw Invalid(key, $"is {value.ToString(CultureInfo.InvariantCulture)}", "a number above 0");
    }

    private double Probability(string key, double fallback) => OptionalProbability(key) ?? fallback;

    private double? OptionalProbability(string key)
    {
        var value = Number(key);
        return value is null or >= 0 and < 1
            ? value
            : throw Invalid(key, $"is {value.Value.ToString(CultureInfo.InvariantCulture)}", "a probability, at least 0 and below 1");
    }

    /// <summary>A key that is true or false.</summary>
    internal bool Flag(string key, bool fallback)
    {
        if (_json[key] is not { } node)
            return fallback;
        return node is JsonValue value && value.TryGetValue(out bool flag) ? flag : throw Invalid(key, $"is {node.ToJsonString()}", "true or false");
    }

    /// <summary>A key's value as it is, or null.</summary>
    internal JsonNode? Field(string key) => _json[key];

    /// <summary>A key that holds a text.</summary>
    internal string? Text(string key)
    {
        if (_json[key] is not { } node)
            return null;
        return node is JsonValue value && value.TryGetValue(out string? text) ? text : throw Invalid(key, $"is {node.ToJsonString()}", "a text");
    }

    private List<string> Texts(string key)
    {
        if (_json[key] is not { } node)
            return [];
        var texts = new List<string>();
        foreach (var item in node as JsonArray ?? throw Invalid(key, $"is {node.ToJsonString()}", "an array of texts"))
            texts.Add(item is JsonValue value && value.TryGetValue(out string? text) ? text : throw Invalid(key, $"is {node.ToJsonString()}", "an array of texts"));
        return texts;
    }

    private InvalidDataException Invalid(string key, string problem, string right) =>
        new($"{Source}: {key} {problem}; right would be {right}.");

    /// <summary>One number, many times.</summary>
    private sealed class Alike(int value, int count) : IReadOnlyList<int>
    {
        public int Count => count;

        public int this[int index] => index >= 0 && index < count
            ? value
            : throw new ArgumentOutOfRangeException(nameof(index), index, $"There are {count} layers.");

        public IEnumerator<int> GetEnumerator() => Enumerable.Repeat(value, count).GetEnumerator();

        IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
    }
}
