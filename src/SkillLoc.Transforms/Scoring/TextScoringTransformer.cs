using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Runs;

namespace SkillLoc.Transforms;

/// <summary>
/// Scores text with a fine-tuned language model: adds <c>PredictedLabel</c> and <c>Score</c>, for a regression <c>Score</c> alone; a model
/// that writes its answers adds <c>PredictedText</c>, without labels that alone. Rows are read ahead, scored in groups of similar length,
/// and given back in order; what nobody reads is not computed. It owns the model's tensors: dispose it when done.
/// </summary>
public class TextScoringTransformer : ITransformer, IRowScorer, IDisposable
{
    private readonly TextClassifier _classifier;
    private readonly Lock _saving = new();
    private bool _disposed;

    /// <summary>Takes over a classifier.</summary>
    /// <param name="classifier">The classifier; disposed with the transformer.</param>
    /// <param name="columns">The columns it reads and adds.</param>
    /// <param name="checkpointFolder">Where the classifier is saved already, if it is.</param>
    /// <param name="baseCheckpoint">The pre-trained checkpoint folder that it came from.</param>
    public TextScoringTransformer(TextClassifier classifier, ScoringColumns columns, string? checkpointFolder = null, string? baseCheckpoint = null)
    {
        ArgumentNullException.ThrowIfNull(classifier);
        ArgumentNullException.ThrowIfNull(columns);
        if (classifier.Settings.HasTextPair != columns.TextPair is not null)
        {
            throw new ArgumentException(
                classifier.Settings.HasTextPair
                    ? "The task scores pairs of texts, so a second text column must be named."
                    : $"The task scores single texts, so the second text column '{columns.TextPair}' must be null.",
                nameof(columns));
        }

        _classifier = classifier;
        Columns = columns;
        CheckpointFolder = checkpointFolder;
        BaseCheckpoint = baseCheckpoint;
    }

    /// <summary>The columns it reads and adds.</summary>
    public ScoringColumns Columns { get; }

    /// <summary>The labels, in the order of the scores; none for a regression and for free text.</summary>
    public IReadOnlyList<string> Labels => ScoreRange is null ? _classifier.Settings.Labels : [];

    /// <summary>The range of a regression's scores; null for classes.</summary>
    public ScoreRange? ScoreRange => _classifier.Settings.ScoreRange;

    /// <summary>Whether the model writes its answers.</summary>
    public bool Writes => _classifier.Settings.Head == HeadKind.Generation;

    /// <summary>The folder that holds the fine-tuned checkpoint; null until it is saved.</summary>
    public string? CheckpointFolder { get; private set; }

    /// <summary>The pre-trained checkpoint folder that the model came from, where it is known.</summary>
    public string? BaseCheckpoint { get; }

    /// <summary>How the model was trained; null for one that was loaded.</summary>
    public RunRecord? Record { get; init; }

    /// <summary>
    /// What it has of the context that made it; null for one that no context made. When the execution of the context is cancelled, reading
    /// scored rows ends with an <see cref="OperationCanceledException"/>, which ML.NET wraps where it reads on threads of its own;
    /// predictions of single rows go on.
    /// </summary>
    public ComponentHost? Host { get; set; }

    /// <summary>The model, the head and the task.</summary>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    public TextClassifier Classifier
    {
        get
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            return _classifier;
        }
    }

    /// <summary>True: each row is scored from its own text.</summary>
    public bool IsRowToRowMapper => true;

    /// <inheritdoc/>
    public DataViewSchema GetOutputSchema(DataViewSchema inputSchema) => ScoringSchema.Append(inputSchema, Columns, Labels, Writes);

    /// <summary>Scores lazily: nothing runs before rows are read.</summary>
    /// <param name="input">A view with the text columns.</param>
    /// <returns>The view with the added columns.</returns>
    public IDataView Transform(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        return new ScoringView(this, input);
    }

    /// <inheritdoc/>
    public IRowToRowMapper GetRowToRowMapper(DataViewSchema inputSchema) => new ScoringRowMapper(this, inputSchema);

    /// <summary>Writes the model as a Hugging Face checkpoint folder, with the task's settings beside it.</summary>
    /// <param name="folder">The folder, made with its parents where missing; an older one is replaced when the new one is complete.</param>
    /// <exception cref="IOException">It could not be written; what was there is untouched.</exception>
    public void SaveCheckpoint(string folder)
    {
        folder = Path.GetFullPath(folder);
        Directory.CreateDirectory(Path.GetDirectoryName(folder)!);
        Classifier.Save(folder);
        CheckpointFolder = folder;
    }

    /// <summary>
    /// Writes the transformer into an ML.NET model: what is written names the checkpoint folder, and loads with
    /// <c>mlContext.Model.Load</c> in any program that has SkillLoc's assemblies beside it. A model that was not saved to a folder
    /// before is saved to <see cref="CheckpointStore.DefaultFolder"/>. The columns of a loaded model have key values and slot names, but not
    /// the annotations that mark scores, which nothing public of ML.NET restores.
    /// </summary>
    /// <param name="ctx">Where ML.NET wants it.</param>
    void ICanSaveModel.Save(ModelSaveContext ctx) => SavedScorer.Carrier(Columns, State()).Save(ctx);

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>What the saved model is restored from.</summary>
    private protected virtual SavedScorer State()
    {
        string fingerprint = Classifier.Fingerprint();
        lock (_saving)
        {
            if (CheckpointFolder is null || !Directory.Exists(CheckpointFolder))
            {
                SaveCheckpoint(CheckpointStore.DefaultFolder(fingerprint));
            }
        }

        return new() { Folder = CheckpointFolder!, Fingerprint = fingerprint, Settings = Classifier.Settings, Gpu = OnGpu };
    }

    private protected bool OnGpu => Classifier.Backbone.Device.type == TorchSharp.DeviceType.CUDA;

    /// <summary>Releases the model.</summary>
    /// <param name="disposing">True when called by <see cref="Dispose()"/>.</param>
    protected virtual void Dispose(bool disposing)
    {
        if (disposing && !_disposed)
        {
            _disposed = true;
            _classifier.Dispose();
        }
    }

    /// <summary>Does something with the model and some rows: scores them, or writes their answers.</summary>
    private protected virtual T[] Run<T>(IReadOnlyList<EncodedText> rows, Func<TextClassifier, T[]> work) => work(Classifier);

    IReadOnlyList<string> IRowScorer.Inputs => [.. Columns.Inputs];

    IReadOnlyList<RowScores> IRowScorer.Score(IReadOnlyList<RowTexts> rows, CancellationToken cancellation)
    {
        TextClassifier classifier = Classifier;
        EncodedText[] encoded = [.. rows.Select(row => row.Encode(classifier, Columns))];
        var scores = new Lazy<float[][]>(() => Run(encoded, model => model.Score(encoded, cancellation)));
        var written = new Lazy<string[]>(() => Run(encoded, model => model.Generate(encoded, cancellation)));
        return [.. encoded.Select((_, i) => new RowScores(() => scores.Value[i], classifier.Settings, () => written.Value[i]))];
    }

    /// <summary>In the order in which <see cref="ScoringSchema"/> adds their columns.</summary>
    Delegate[] IRowScorer.Getters(Func<RowScores> current) => ScoreRange is { } range
        ? [ScoredValues.Score(range, current)]
        :
        [
            .. Labels.Count > 0 ? [ScoredValues.PredictedLabel(current), ScoredValues.Vector(current)] : Array.Empty<Delegate>(),
            .. Writes ? [ScoredValues.WrittenText(current)] : Array.Empty<Delegate>(),
        ];
}
