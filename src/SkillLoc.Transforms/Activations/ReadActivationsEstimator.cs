using Microsoft.ML;
using SkillLoc.Models.Embeddings;
using SkillLoc.Models.Hooks;

namespace SkillLoc.Transforms;

/// <summary>Makes features of texts from what a model computes at a hook point; it learns nothing of the data.</summary>
public sealed class ReadActivationsEstimator : IEstimator<ReadActivationsTransformer>
{
    private readonly SkillLocCatalog _catalog;
    private readonly Options _options;

    internal ReadActivationsEstimator(SkillLocCatalog catalog, Options options)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Check();
        _catalog = catalog;
        _options = options;
    }

    private ScoringColumns Columns
    {
        get
        {
            ScoringColumns columns = _options.Model?.Columns ?? new();
            return new() { Text = _options.TextColumnName ?? columns.Text, TextPair = _options.TextPairColumnName ?? columns.TextPair };
        }
    }

    /// <summary>Loads the checkpoint, or takes a share in the model's weights.</summary>
    /// <param name="input">A view with the text columns; its rows are not read.</param>
    /// <returns>The transformer; the caller disposes it.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A text column is missing, or not text.</exception>
    /// <exception cref="ArgumentException">The model has no such hook point; the message lists those that it has.</exception>
    /// <exception cref="FileNotFoundException">The checkpoint or one of its files is missing.</exception>
    public ReadActivationsTransformer Fit(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        ScoringSchema.CheckInputs(input.Schema, Columns);
        var host = new ComponentHost(_catalog.Context, nameof(ReadActivationsEstimator));
        ActivationReader reader = _options.Model is { } model
            ? new(model.Classifier, _options.Point!, _options.Pooling)
            : new(
                host.Find(_options.Checkpoint!),
                _options.Point!,
                _options.Pooling,
                _options.Template,
                _options.MaxLength,
                _catalog.Device()
            );
        return new(reader, Columns, _options.OutputColumnName) { Host = host };
    }

    /// <inheritdoc/>
    public SchemaShape GetOutputSchema(SchemaShape inputSchema) =>
        ScoringSchema.AppendVector(inputSchema, Columns, _options.OutputColumnName);

    /// <summary>Options of <see cref="ReadActivationsEstimator"/>.</summary>
    public sealed class Options
    {
        /// <summary>A Hugging Face checkpoint folder; exclusive with <see cref="Model"/>.</summary>
        public string? Checkpoint;

        /// <summary>A fitted model with its prompt and tuning; exclusive with <see cref="Checkpoint"/>.</summary>
        public TextScoringTransformer? Model;

        /// <summary>Name of the hook point; required.</summary>
        public string? Point;

        /// <summary>How activations are pooled into one vector; the mean over tokens by default.</summary>
        public TextPooling Pooling = TextPooling.Mean;

        /// <summary>Prompt template for a checkpoint; null for plain text. A model uses its own.</summary>
        public string? Template;

        /// <summary>Maximum length of a row in tokens for a checkpoint; 128 by default. A model uses its own.</summary>
        public int MaxLength = 128;

        /// <summary>The text column; null takes the model's, and "Text" for a checkpoint.</summary>
        public string? TextColumnName;

        /// <summary>The second text column; null takes the model's, and none for a checkpoint.</summary>
        public string? TextPairColumnName;

        /// <summary>The output column.</summary>
        public string OutputColumnName = "Activations";

        /// <exception cref="ArgumentException">An option is missing, or exclusive options are combined.</exception>
        internal void Check()
        {
            ArgumentException.ThrowIfNullOrEmpty(Point);
            ArgumentException.ThrowIfNullOrEmpty(OutputColumnName);
            if (string.IsNullOrEmpty(Checkpoint) == (Model is null))
            {
                throw new ArgumentException(
                    $"One of Options.{nameof(Checkpoint)} and Options.{nameof(Model)} must be given, and not both."
                );
            }

            if (Model is not null && Template is not null)
            {
                throw new ArgumentException(
                    $"Options.{nameof(Template)} is for a checkpoint; the model has a prompt of its own. Leave it out."
                );
            }
        }
    }
}

/// <summary>Appends the pooled activation at a hook point as a feature vector, whose slots are called <c>point.number</c>, such as
/// <c>blocks.3.mlp.hook_post.17</c>. It owns tensors: dispose it when done.</summary>
public sealed class ReadActivationsTransformer : ActivationTransformer
{
    private readonly ActivationReader _reader;

    /// <summary>Takes over a reader.</summary>
    /// <param name="reader">The reader; disposed with the transformer.</param>
    /// <param name="columns">The text columns.</param>
    /// <param name="outputColumnName">The column that is added: a vector of Single.</param>
    public ReadActivationsTransformer(ActivationReader reader, ScoringColumns columns, string outputColumnName = "Activations")
        : base(reader, columns, outputColumnName, $"{reader?.Point.Name}.") => _reader = reader!;

    /// <summary>The point that is read.</summary>
    public HookPoint Point => _reader.Point;

    /// <summary>How a text's activations become one vector.</summary>
    public TextPooling Pooling => _reader.Pooling;
}
