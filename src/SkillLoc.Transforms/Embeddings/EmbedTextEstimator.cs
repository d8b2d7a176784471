using Microsoft.ML;
using SkillLoc.Models.Embeddings;

namespace SkillLoc.Transforms;

/// <summary>Computes features of texts with a checkpoint; Fit does not use the data.</summary>
public sealed class EmbedTextEstimator : IEstimator<EmbedTextTransformer>
{
    private readonly SkillLocCatalog _catalog;
    private readonly Options _options;

    internal EmbedTextEstimator(SkillLocCatalog catalog, Options options)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentException.ThrowIfNullOrEmpty(options.Checkpoint);
        _catalog = catalog;
        _options = options;
    }

    private ScoringColumns Columns => new() { Text = _options.TextColumnName, TextPair = _options.TextPairColumnName };

    /// <summary>Loads the checkpoint.</summary>
    /// <param name="input">A view with the text columns; its rows are not read.</param>
    /// <returns>The transformer; the caller disposes it.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A text column is missing or not text, or the layer is out of range.</exception>
    /// <exception cref="ArgumentException">The folder has no such prompt.</exception>
    /// <exception cref="FileNotFoundException">The checkpoint or one of its files is missing.</exception>
    public EmbedTextTransformer Fit(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        ScoringSchema.CheckInputs(input.Schema, Columns);
        var host = new ComponentHost(_catalog.Context, nameof(EmbedTextEstimator));
        var embedder = new TextEmbedder(
            host.Find(_options.Checkpoint!),
            _options.Layer,
            _options.Pooling,
            _options.Template,
            _options.MaxLength,
            _catalog.Device(),
            _options.IsNormalised,
            _options.PromptName
        );
        return new(embedder, Columns, _options.OutputColumnName) { Host = host };
    }

    /// <inheritdoc/>
    public SchemaShape GetOutputSchema(SchemaShape inputSchema) =>
        ScoringSchema.AppendVector(inputSchema, Columns, _options.OutputColumnName);

    /// <summary>Options of text embeddings.</summary>
    public sealed class Options
    {
        /// <summary>A Hugging Face checkpoint folder, or a name that <see cref="SkillLoc.Models.Hub.CheckpointHub"/> resolves.</summary>
        public string? Checkpoint;

        /// <summary>The pooled layer: 0 for the embeddings, i for layer i from 1; null (default) for the last.</summary>
        public int? Layer;

        /// <summary>How hidden states are pooled into one vector; null (default) as the folder's <c>modules.json</c> says
        /// (sentence-transformers), else the mean.</summary>
        public TextPooling? Pooling;

        /// <summary>Whether vectors are divided by their Euclidean length; null (default) as the folder's <c>modules.json</c> says, else they
        /// are not.</summary>
        public bool? IsNormalised;

        /// <summary>A prompt template; null for plain text.</summary>
        public string? Template;

        /// <summary>The prompt that stands before each row's first text, by its name in the folder's
        /// <c>config_sentence_transformers.json</c>; null (default) takes that file's <c>default_prompt_name</c> where <c>modules.json</c> says
        /// the pooling, and an empty name none.</summary>
        public string? PromptName;

        /// <summary>The maximum length of a row in tokens, above 0; null (default) as the folder's <c>sentence_bert_config.json</c> says
        /// where its <c>modules.json</c> says the pooling, else 128. At most the model's in any case.</summary>
        public int? MaxLength;

        /// <summary>The text column.</summary>
        public string TextColumnName = "Text";

        /// <summary>The second text column; null for single texts.</summary>
        public string? TextPairColumnName;

        /// <summary>The output column.</summary>
        public string OutputColumnName = "Features";
    }
}

/// <summary>Appends pooled hidden states of a checkpoint as a feature vector. Owns the model: dispose it after use.</summary>
/// <param name="embedder">The embedder; disposed with the transformer.</param>
/// <param name="columns">The text columns.</param>
/// <param name="outputColumnName">The output column: a vector of Single, with the dimensions' numbers as slot names.</param>
public sealed class EmbedTextTransformer(TextEmbedder embedder, ScoringColumns columns, string outputColumnName = "Features")
    : ActivationTransformer(embedder?.Reader!, columns, outputColumnName, slotName: "");
