using Microsoft.ML;
using Microsoft.ML.Runtime;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tuning;
using SkillLoc.Transforms;
using TorchSharp;

namespace SkillLoc.Trainers;

/// <summary>
/// Fine-tunes a language model to classify text, with a prompt whose mask the model fills with a label word, or with a classification
/// head (Panigrahi et al. 2023, section 2; grafting reference A.1-A.11).
/// </summary>
public sealed partial class PromptFineTuneTrainer : IEstimator<TextScoringTransformer>
{
    private readonly IHost _host;
    private readonly Options _options;
    private readonly torch.Device _device;
    private readonly ScoringColumns _columns;

    internal PromptFineTuneTrainer(SkillLocCatalog catalog, Options options)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentException.ThrowIfNullOrEmpty(options.Checkpoint);
        options.Check();
        _host = ((IHostEnvironment)catalog.Context).Register(nameof(PromptFineTuneTrainer));
        _options = options;
        _device = catalog.Device();
        bool pair = options.HasTextPair();
        _columns = new()
        {
            Text = options.TextColumnName,
            TextPair = pair ? options.TextPairColumnName ?? "TextPair" : null,
            Score = options.ScoreColumnName,
            PredictedLabel = options.PredictedLabelColumnName,
        };
    }

    /// <summary>Fine-tunes on a view.</summary>
    /// <param name="input">A view with a key-typed label column and the text columns.</param>
    /// <returns>The scoring transformer, which owns the model; the caller disposes it.</returns>
    /// <exception cref="ArgumentException">A column is missing or of another type, or a label is none of the task's.</exception>
    /// <exception cref="InvalidOperationException">There are no rows, a row cannot be encoded, or training diverged.</exception>
    /// <exception cref="FileNotFoundException">The checkpoint or one of its files is missing.</exception>
    /// <exception cref="InvalidDataException">The checkpoint is damaged.</exception>
    public TextScoringTransformer Fit(IDataView input) => Fit(input, _options.ValidationSet);

    /// <summary>Fine-tunes on a view and keeps the state that is best on another.</summary>
    /// <param name="trainData">A view with a key-typed label column and the text columns.</param>
    /// <param name="validationData">Rows for choosing the best state; null keeps the last.</param>
    /// <returns>The scoring transformer, which owns the model; the caller disposes it.</returns>
    public TextScoringTransformer Fit(IDataView trainData, IDataView? validationData)
    {
        ArgumentNullException.ThrowIfNull(trainData);
        ScoringSchema.CheckInputs(trainData.Schema, _columns);
        IReadOnlyList<string>? values = LabelValues.Of(trainData.Schema, _options.LabelColumnName, out int keys);
        TextClassifier classifier = TextClassifier.Create(
            _options.Checkpoint, _options.Settings(values, keys, CheckpointFolder.ReadConfig(_options.Checkpoint)), _device, seed: _options.Seed);
        try
        {
            LabeledTexts train = LabeledTexts.Read(trainData, _columns, _options.LabelColumnName, classifier, "training data");
            LabeledTexts? validation = validationData is null
                ? null
                : LabeledTexts.Read(validationData, _columns, _options.LabelColumnName, classifier, "validation data");
            using (IChannel channel = _host.Start("Training"))
            {
                channel.Info(MessageSensitivity.None, $"Fine-tuning {_options.Checkpoint} on {train.Count} rows.");
                using var training = new FineTuning(_options, classifier, _host, channel);
                training.Run(train, validation);
            }

            var transformer = new TextScoringTransformer(classifier, _columns, baseCheckpoint: Path.GetFullPath(_options.Checkpoint));
            if (_options.OutputFolder is not null)
            {
                transformer.SaveCheckpoint(_options.OutputFolder);
            }

            return transformer;
        }
        catch
        {
            classifier.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        SchemaShape.Column label = ScoringSchema.Find(inputSchema, _options.LabelColumnName);
        if (!label.IsKey)
        {
            throw new ArgumentOutOfRangeException(
                nameof(inputSchema),
                $"The label column '{label.Name}' is {label.ItemType}; it must be a key: put "
                + $"mlContext.Transforms.Conversion.MapValueToKey(\"{label.Name}\") before the trainer.");
        }

        // A shape tells kinds and annotations, not sizes, so any two labels give the right one.
        return ScoringSchema.Append(inputSchema, _columns, _options.Task?.Verbalizer.Labels ?? ["0", "1"]);
    }
}
