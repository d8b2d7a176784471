using System.Diagnostics.CodeAnalysis;
using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Runs;
using SkillLoc.Models.Tasks;

namespace SkillLoc.Transforms;

/// <summary>
/// Scores text with a fine-tuned language model. Adds <c>PredictedLabel</c> and <c>Score</c>; only <c>Score</c> for a regression;
/// text-to-text models also add <c>PredictedText</c>, and without labels only that. Rows are read ahead, scored in groups of similar
/// length, and returned in order; columns that are not read are not computed. Owns the model: dispose it after use.
/// </summary>
/// <remarks>
/// <para>ML.NET's <see cref="PredictionEngine{TSrc, TDst}"/> disposes its transformer. So the transformer counts shares, one for its owner
/// and one per engine; disposing it as an <see cref="IDisposable"/> (by an engine, a <see cref="TransformerChain{TLastTransformer}"/> or a
/// <c>using</c> statement) releases one, and the last one releases the model. Any number of engines can be created and disposed. Calling
/// <see cref="Dispose"/> on the transformer releases the model for all. Running passes finish; later calls throw an
/// <see cref="ObjectDisposedException"/>.</para>
/// <para>Shares that are never released (undisposed engines, the owner's if only engines were disposed, and all but one if a chain was
/// disposed, which disposes once) only delay the release: the garbage collector releases unreferenced models.</para>
/// </remarks>
public class TextScoringTransformer : ITransformer, IRowScorer, INamesCheckpoint, IDisposable
{
    private readonly TextClassifier _classifier;
    private readonly Ownership _ownership;

    /// <summary>Creates a transformer from a classifier.</summary>
    /// <param name="classifier">The classifier; disposed with the transformer.</param>
    /// <param name="columns">The columns to read and add.</param>
    /// <param name="checkpointFolder">The folder where the classifier is already saved, if any.</param>
    /// <param name="baseCheckpoint">The pre-trained checkpoint folder.</param>
    public TextScoringTransformer(
        TextClassifier classifier,
        ScoringColumns columns,
        string? checkpointFolder = null,
        string? baseCheckpoint = null
    )
    {
        ArgumentNullException.ThrowIfNull(classifier);
        ArgumentNullException.ThrowIfNull(columns);
        if (classifier.Settings.HasTextPair != columns.TextPair is not null)
        {
            throw new ArgumentException(
                classifier.Settings.HasTextPair
                    ? "The task scores pairs of texts, so a second text column must be named."
                    : $"The task scores single texts, so the second text column '{columns.TextPair}' must be null.",
                nameof(columns)
            );
        }

        _classifier = classifier;
        _ownership = new(this, classifier.Dispose);
        Columns = columns;
        CheckpointFolder = checkpointFolder;
        BaseCheckpoint = baseCheckpoint;
    }

    /// <summary>The columns to read and add.</summary>
    public ScoringColumns Columns { get; }

    /// <summary>The labels, in the order of the scores; none for a regression and for free text.</summary>
    public IReadOnlyList<string> Labels => Outputs.Labels;

    /// <summary>The range of a regression's scores; null for classes.</summary>
    public ScoreRange? ScoreRange => _classifier.Settings.ScoreRange;

    /// <summary>Whether the model generates text.</summary>
    public bool IsGenerative => Outputs.IsText;

    /// <summary>Whether the task is multi-label.</summary>
    public bool IsMultiLabel => Outputs.IsMultiLabel;

    /// <summary>The folder that holds the fine-tuned checkpoint; null until it is saved.</summary>
    public string? CheckpointFolder { get; private set; }

    /// <summary>The pre-trained checkpoint folder, if known.</summary>
    public string? BaseCheckpoint { get; }

    /// <summary>The record of the training; null for a loaded model.</summary>
    public RunRecord? Record { get; init; }

    /// <summary>
    /// Access to the context; null without one. When the execution of the context is cancelled, reading scored rows throws an
    /// <see cref="OperationCanceledException"/>, which ML.NET wraps when it reads on its own threads; predictions of single rows are not
    /// affected.
    /// </summary>
    public ComponentHost? Host { get; set; }

    /// <summary>The classifier: model, head and task.</summary>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    public TextClassifier Classifier
    {
        get
        {
            _ownership.Check();
            return _classifier;
        }
    }

    /// <summary>True: each row is scored separately.</summary>
    public bool IsRowToRowMapper => true;

    /// <inheritdoc/>
    public DataViewSchema GetOutputSchema(DataViewSchema inputSchema) => ScoringSchema.Append(inputSchema, Columns, Outputs);

    /// <summary>Scores lazily, when rows are read.</summary>
    /// <param name="input">A view with the text columns.</param>
    /// <returns>The view with the added columns.</returns>
    /// <exception cref="ObjectDisposedException">The transformer was disposed; also thrown when a row is read afterwards.</exception>
    public IDataView Transform(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        _ownership.Check();
        return new ScoringView(this, input);
    }

    /// <inheritdoc/>
    public IRowToRowMapper GetRowToRowMapper(DataViewSchema inputSchema) => new ScoringRowMapper(this, inputSchema);

    /// <summary>Saves the model as a Hugging Face checkpoint folder with the task's settings.</summary>
    /// <param name="folder">The folder; created with its parents if missing. An existing one is replaced once the new one is
    /// complete.</param>
    /// <exception cref="ArgumentException">The folder is the model's base checkpoint, or that of a graft in use.</exception>
    /// <exception cref="NotSupportedException">Neurons of the model are perturbed, which checkpoints cannot represent.</exception>
    /// <exception cref="IOException">It could not be written; an existing file is unchanged.</exception>
    public void SaveCheckpoint(string folder)
    {
        CheckpointStore.CheckTarget(folder, BaseCheckpoint);
        if (this is NeuronPerturbationTransformer)
        {
            throw new NotSupportedException("A checkpoint holds no perturbation of neurons; save the model that is perturbed.");
        }

        folder = Path.GetFullPath(folder);
        Directory.CreateDirectory(Path.GetDirectoryName(folder)!);
        Classifier.Save(folder);
        CheckpointFolder = folder;
    }

    /// <summary>
    /// Saves the transformer into an ML.NET model that refers to <see cref="CheckpointFolder"/> and can be loaded with
    /// <c>mlContext.Model.Load</c> in any program with SkillLoc's assemblies. The columns of a loaded model have key values and slot names,
    /// but not the annotations of score columns, which ML.NET's public API cannot restore.
    /// </summary>
    /// <param name="ctx">ML.NET's save context.</param>
    /// <exception cref="InvalidOperationException">The weights are not in a folder: set <c>Options.OutputFolder</c> of the trainer, or call
    /// <see cref="SaveCheckpoint"/>. ML.NET has already started to write the file then.</exception>
    void ICanSaveModel.Save(ModelSaveContext ctx) => SavedScorer.Carrier(Columns, State()).Save(ctx);

    /// <summary>Releases the model, also for engines and views, now or at the end of the last running pass.</summary>
    public void Dispose() => _ownership.End();

    /// <summary>Releases one share; see the remarks on the class.</summary>
    [SuppressMessage("Usage", "CA1816", Justification = "Other shares may be left, and there is no finalizer to suppress.")]
    void IDisposable.Dispose() => _ownership.GiveBack();

    /// <summary>The state of a saved model.</summary>
    private protected virtual SavedScorer State()
    {
        if (CheckpointFolder is not { } folder || !Directory.Exists(CheckpointStore.PlaceOf(folder)))
        {
            long bytes = Classifier.Parameters.Values.Sum(weight => weight.numel() * weight.element_size());
            string where = CheckpointFolder is null ? "lie in no folder" : $"are gone from the folder '{CheckpointFolder}'";
            throw new InvalidOperationException(
                FormattableString.Invariant(
                    $"The model's weights ({bytes / 1e6:F1} MB) {where}, and an ML.NET model names a folder instead "
                )
                    + $"of holding them. Set Options.OutputFolder before training, or call {nameof(SaveCheckpoint)}(folder) on the "
                    + "transformer, "
                    + $"and save again; or let mlContext.SkillLoc().{nameof(SkillLocSaving.SaveModel)} write a file that holds them. "
                    + "A graft, which GraftMask finds, travels inside the ML.NET model and needs no folder of its own."
            );
        }

        return new()
        {
            Folder = folder,
            Fingerprint = Classifier.Fingerprint(),
            Settings = Classifier.Settings,
            Gpu = OnGpu,
        };
    }

    /// <summary>The outputs of the task.</summary>
    internal TaskOutputs Outputs => _classifier.Task.Outputs;

    /// <summary>The same where the file that is written holds the checkpoint.</summary>
    private protected virtual SavedScorer State(PackedCheckpoints packed)
    {
        string content = packed.AddWritten(folder => Classifier.Save(folder));
        return new()
        {
            Folder = CheckpointFolder ?? content,
            Fingerprint = Classifier.Fingerprint(),
            Settings = Classifier.Settings,
            Gpu = OnGpu,
            Content = content,
        };
    }

    ITransformer INamesCheckpoint.Carrier(PackedCheckpoints packed) => SavedScorer.Carrier(Columns, State(packed));

    internal bool IsDisposed => _ownership.HasEnded;

    private protected bool OnGpu => Classifier.Backbone.Device.type == TorchSharp.DeviceType.CUDA;

    /// <summary>Runs the model on rows: scores them, or generates their answers.</summary>
    private protected virtual T[] Run<T>(IReadOnlyList<EncodedText> rows, Func<TextClassifier, T[]> work) => work(Classifier);

    Ownership IRowScorer.Ownership => _ownership;

    IReadOnlyList<string> IRowScorer.Inputs => [.. Columns.Inputs];

    IReadOnlyList<RowScores> IRowScorer.Score(IReadOnlyList<RowTexts> rows, CancellationToken cancellation)
    {
        TextClassifier classifier = Classifier;
        EncodedText[] encoded = [.. rows.Select(row => row.Encode(classifier.Encode, Columns, classifier.Settings.HasTextPair))];
        var scores = new Lazy<float[][]>(() => Run(encoded, model => model.Score(encoded, cancellation)));
        var written = new Lazy<string[]>(() => Run(encoded, model => model.Generate(encoded, cancellation)));
        return [.. encoded.Select((_, i) => new RowScores(() => scores.Value[i], classifier.Settings, () => written.Value[i]))];
    }

    /// <summary>Getters in the order of <see cref="ScoringSchema"/>.</summary>
    Delegate[] IRowScorer.Getters(Func<RowScores> current) => ScoredValues.Getters(Outputs, current);
}
