using System.Diagnostics.CodeAnalysis;
using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tasks;
using SkillLoc.Transforms;

namespace SkillLoc.Onnx;

/// <summary>
/// Scores text with a classifier that was exported to ONNX, without TorchSharp. Adds <c>PredictedLabel</c> and <c>Score</c>; only
/// <c>Score</c> for a regression. Rows are read ahead, scored in groups of similar length, and returned in order; columns that are not read
/// are not computed. Owns the model: dispose it after use.
/// </summary>
/// <remarks>
/// ML.NET's <see cref="PredictionEngine{TSrc, TDst}"/> disposes its transformer. So the transformer counts shares, one for its owner and one
/// per engine; disposing it as an <see cref="IDisposable"/> releases one, and the last one releases the model. Calling <see cref="Dispose"/>
/// on the transformer releases the model for all. Running passes finish; later calls throw an <see cref="ObjectDisposedException"/>.
/// </remarks>
public sealed class OnnxScoringTransformer : ITransformer, IRowScorer, IDisposable
{
    private readonly OnnxTextScorer _scorer;
    private readonly OnnxFile _file;
    private readonly Ownership _ownership;

    internal OnnxScoringTransformer(OnnxTextScorer scorer, OnnxFile file, ScoringColumns? columns)
    {
        columns ??= new() { TextPair = scorer.Settings.HasTextPair ? "TextPair" : null };
        if (scorer.Settings.HasTextPair != columns.TextPair is not null)
        {
            throw new ArgumentException(
                scorer.Settings.HasTextPair
                    ? "The task scores pairs of texts, so a second text column must be named."
                    : $"The task scores single texts, so the second text column '{columns.TextPair}' must be null.",
                nameof(columns)
            );
        }

        _scorer = scorer;
        _file = file;
        _ownership = new(this, scorer.Dispose);
        Columns = columns;
        Outputs = OutputsOf(scorer);
    }

    /// <summary>The columns to read and add.</summary>
    public ScoringColumns Columns { get; }

    /// <summary>The labels, in the order of the scores; none for a regression.</summary>
    public IReadOnlyList<string> Labels => Outputs.Labels;

    /// <summary>The range of a regression's scores; null for classes.</summary>
    public ScoreRange? ScoreRange => Outputs.Range;

    /// <summary>Whether the task is multi-label.</summary>
    public bool IsMultiLabel => Outputs.IsMultiLabel;

    /// <summary>
    /// Access to the context; null without one. When the execution of the context is cancelled, reading scored rows throws an
    /// <see cref="OperationCanceledException"/>, which ML.NET wraps when it reads on its own threads; predictions of single rows are not
    /// affected.
    /// </summary>
    public ComponentHost? Host { get; set; }

    /// <summary>The model: for scoring texts without ML.NET's views.</summary>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    public OnnxTextScorer Scorer
    {
        get
        {
            _ownership.Check();
            return _scorer;
        }
    }

    /// <summary>True: each row is scored separately.</summary>
    public bool IsRowToRowMapper => true;

    private TaskOutputs Outputs { get; }

    Ownership IRowScorer.Ownership => _ownership;

    IReadOnlyList<string> IRowScorer.Inputs => [.. Columns.Inputs];

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

    /// <summary>
    /// Saves the transformer into an ML.NET model that holds the ONNX file, in ML.NET's own OnnxTransformer, and can be loaded with
    /// <c>mlContext.Model.Load</c> in any program with the assembly SkillLoc.Onnx. It scores row by row, with ONNX Runtime's default options,
    /// and columns that are called like an input of the graph, such as <c>input_ids</c>, do not survive it. The columns of a loaded model have key values and slot names, but not the annotations of score
    /// columns, which ML.NET's public API cannot restore.
    /// </summary>
    /// <param name="ctx">ML.NET's save context.</param>
    /// <exception cref="InvalidOperationException">The file is missing by now, or another one. ML.NET has already started to write the file
    /// then.</exception>
    void ICanSaveModel.Save(ModelSaveContext ctx) => SavedOnnxScorer.Carrier(Columns, Outputs, Scorer, _file.Path).Save(ctx);

    /// <summary>Releases the model, also for engines and views, now or at the end of the last running pass.</summary>
    public void Dispose() => _ownership.End();

    /// <summary>Releases one share; see the remarks on the class.</summary>
    [SuppressMessage("Usage", "CA1816", Justification = "Other shares may be left, and there is no finalizer to suppress.")]
    void IDisposable.Dispose() => _ownership.GiveBack();

    IReadOnlyList<RowScores> IRowScorer.Score(IReadOnlyList<RowTexts> rows, CancellationToken cancellation)
    {
        OnnxTextScorer scorer = Scorer;
        EncodedText[] encoded = [.. rows.Select(row => row.Encode(scorer.Encode, Columns, scorer.Settings.HasTextPair))];
        var scores = new Lazy<float[][]>(() => scorer.Score(encoded, cancellation));
        return [.. encoded.Select((_, i) => new RowScores(() => scores.Value[i], scorer.Settings))];
    }

    Delegate[] IRowScorer.Getters(Func<RowScores> current) => ScoredValues.Getters(Outputs, current);

    private static TaskOutputs OutputsOf(OnnxTextScorer scorer) =>
        scorer.Settings is { ScoreRange: { } range }
            ? TaskOutputs.Score with
            {
                Range = range,
            }
            : new(scorer.Settings.Labels, scorer.Settings.IsMultiLabel);
}
