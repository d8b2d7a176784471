namespace SkillLoc.Models.Classification;

/// <summary>The keys of what an exported ONNX file carries beside its graph.</summary>
internal static class OnnxMetadata
{
    /// <summary>What all keys begin with.</summary>
    public const string All = "skillloc.";

    /// <summary>The classifier's settings as JSON.</summary>
    public const string Settings = "skillloc.settings";

    /// <summary>The <see cref="OnnxBaseModel"/> of a base model as JSON.</summary>
    public const string Base = "skillloc.base";

    /// <summary>The <see cref="OnnxEmbeddingModel"/> of an embedder as JSON.</summary>
    public const string Embedding = "skillloc.embedding";

    /// <summary>The token that rows are padded with.</summary>
    public const string Padding = "skillloc.padding_id";

    /// <summary>What the keys of the tokenizer's files begin with, <c>config.json</c> among them; their contents are base64.</summary>
    public const string Tokenizer = "skillloc.tokenizer/";

    /// <summary>The inputs of an exported graph, the last one only where the model has segments.</summary>
    public static readonly string[] Inputs = ["input_ids", "attention_mask", "token_type_ids"];

    /// <summary>The output of an embedder that has a vector for each row; sentence-transformers calls it so.</summary>
    public const string SentenceEmbedding = "sentence_embedding";

    /// <summary>An input of a base model: the scored position of each row, Int64 <c>[batch]</c>.</summary>
    public const string Positions = "positions";

    /// <summary>An input of a base model: the tokens of the label words, Int64 <c>[labels]</c>.</summary>
    public const string Words = "words";

    /// <summary>Inputs of a base model: the weights of a skill's own head, float as Hugging Face stores them.</summary>
    public const string DenseWeight = "dense_weight",
        DenseBias = "dense_bias",
        OutputWeight = "output_weight",
        OutputBias = "output_bias";

    /// <summary>Outputs of a base model, logits as float: of the label words, of the output layer alone, and of the dense layer and the
    /// output layer.</summary>
    public const string WordScores = "word_scores",
        LinearScores = "linear_scores",
        ClassScores = "class_scores";
}
