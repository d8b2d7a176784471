using System.Diagnostics.CodeAnalysis;
using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Runs;
using SkillLoc.Models.Tasks;

namespace SkillLoc.Transforms;

/// <summary>
/// Scores text with a fine-tuned language model: adds <c>PredictedLabel</c> and <c>Score</c>, for a regression <c>Score</c> alone; a model
/// that writes its answers adds <c>PredictedText</c>, without labels that alone. Rows are read ahead, scored in groups of similar length,
/// and given back in order; what nobody reads is not computed. It owns the model's tensors: dispose it when done.
/// </summary>
/// <remarks>
/// <para>ML.NET's <see cref="PredictionEngine{TSrc, TDst}"/> disposes the transformer that it was made from. So the transformer has a share
/// for its owner and one for each engine, and whatever disposes it as an <see cref="IDisposable"/> (an engine, a
/// <see cref="TransformerChain{TLastTransformer}"/>, a <c>using</c> statement) gives one back; the last one releases the model. Any number
/// of engines can be made, one after another or at once, and surplus ones disposed. <see cref="Dispose"/>, called by its name, ends it
/// for everyone. What runs meanwhile finishes; later calls get an <see cref="ObjectDisposedException"/>.</para>
/// <para>Shares that are never given back (an engine that was not disposed, the owner's where only engines were, and all but one where a
/// chain was disposed, which passes that on once) cost nothing but time: the garbage collector releases a model that nobody refers to.</para>
/// </remarks>
public class TextScoringTransformer : ITransformer, IRowScorer, INamesCheckpoint, IDisposable
{
    private readonly TextClassifier _classifier;
    private readonly Ownership _ownership;

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
        _ownership = new(this, classifier.Dispose);
        Columns = columns;
        CheckpointFolder = checkpointFolder;
        BaseCheckpoint = baseCheckpoint;
    }

    /// <summary>The columns it reads and adds.</summary>
    public ScoringColumns Columns { get; }

    /// <summary>The labels, in the order of the scores; none for a regression and for free text.</summary>
    public IReadOnlyList<string> Labels => Outputs.Labels;

    /// <summary>The range of a regression's scores; null for classes.</summary>
    public ScoreRange? ScoreRange => _classifier.Settings.ScoreRange;

    /// <summary>Whether the model writes its answers.</summary>
    public bool Writes => Outputs.IsText;

    /// <summary>Whether a row may have any number of the labels.</summary>
    public bool IsMultiLabel => Outputs.IsMultiLabel;

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
            _ownership.Check();
            return _classifier;
        }
    }

    /// <summary>True: each row is scored from its own text.</summary>
    public bool IsRowToRowMapper => true;

    /// <inheritdoc/>
    public DataViewSchema GetOutputSchema(DataViewSchema inputSchema) => ScoringSchema.Append(inputSchema, Columns, Outputs);

    /// <summary>Scores lazily: nothing runs before rows are read.</summary>
    /// <param name="input">A view with the text columns.</param>
    /// <returns>The view with the added columns.</returns>
    /// <exception cref="ObjectDisposedException">The transformer was disposed; also when a row is read after that.</exception>
    public IDataView Transform(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        _ownership.Check();
        return new ScoringView(this, input);
    }

    /// <inheritdoc/>
    public IRowToRowMapper GetRowToRowMapper(DataViewSchema inputSchema) => new ScoringRowMapper(this, inputSchema);

    /// <summary>Writes the model as a Hugging Face checkpoint folder, with the task's settings beside it.</summary>
    /// <param name="folder">The folder, made with its parents where missing; an older one is replaced when the new one is complete.</param>
    /// <exception cref="ArgumentException">The folder is the model's base checkpoint, or that of a graft in use.</exception>
    /// <exception cref="NotSupportedException">Neurons of the model are perturbed, which no checkpoint holds.</exception>
    /// <exception cref="IOException">It could not be written; what was there is untouched.</exception>
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
    /// Writes the transformer into an ML.NET model: what is written names <see cref="CheckpointFolder"/>, and loads with
    /// <c>mlContext.Model.Load</c> in any program that has SkillLoc's assemblies beside it. The columns of a loaded model have key values
    /// and slot names, but not the annotations that mark scores, which nothing public of ML.NET restores.
    /// </summary>
    /// <param name="ctx">Where ML.NET wants it.</param>
    /// <exception cref="InvalidOperationException">The weights lie in no folder: <c>Options.OutputFolder</c> of the trainer, or
    /// <see cref="SaveCheckpoint"/>, puts them into one. ML.NET has begun the file by then.</exception>
    void ICanSaveModel.Save(ModelSaveContext ctx) => SavedScorer.Carrier(Columns, State()).Save(ctx);

    /// <summary>Releases the model, for engines and views too: now, or with the end of the last pass that runs.</summary>
    public void Dispose() => _ownership.End();

    /// <summary>Gives back one share; see the remarks on the class.</summary>
    [SuppressMessage("Usage", "CA1816", Justification = "Other shares may be left, and there is no finalizer to suppress.")]
    void IDisposable.Dispose() => _ownership.GiveBack();

    /// <summary>What the saved model is restored from.</summary>
    private protected virtual SavedScorer State()
    {
        if (CheckpointFolder is not { } folder || !Directory.Exists(folder))
        {
            long bytes = Classifier.Parameters.Values.Sum(weight => weight.numel() * weight.element_size());
            string where = CheckpointFolder is null ? "lie in no folder" : $"are gone from the folder '{CheckpointFolder}'";
            throw new InvalidOperationException(
                FormattableString.Invariant($"The model's weights ({bytes / 1e6:F1} MB) {where}, and an ML.NET model names a folder instead ")
                + $"of holding them. Set Options.OutputFolder before training, or call {nameof(SaveCheckpoint)}(folder) on the transformer, "
                + $"and save again; or let mlContext.SkillLoc().{nameof(SkillLocSaving.SaveModel)} write a file that holds them. "
                + "A graft, which GraftMask finds, travels inside the ML.NET model and needs no folder of its own.");
        }

        return new() { Folder = folder, Fingerprint = Classifier.Fingerprint(), Settings = Classifier.Settings, Gpu = OnGpu };
    }

    /// <summary>What is predicted.</summary>
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

    /// <summary>Does something with the model and some rows: scores them, or writes their answers.</summary>
    private protected virtual T[] Run<T>(IReadOnlyList<EncodedText> rows, Func<TextClassifier, T[]> work) => work(Classifier);

    Ownership IRowScorer.Ownership => _ownership;

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
    Delegate[] IRowScorer.Getters(Func<RowScores> current) => ScoredValues.Getters(_classifier.Task, current);
}
