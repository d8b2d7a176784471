using Microsoft.ML;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;
using SkillLoc.Transforms;

namespace SkillLoc.Evaluators;

/// <summary>The labelled rows of a data set, encoded and batched once, with the evaluation of a task.</summary>
/// <param name="numbers">The rows' numbers in their view.</param>
/// <param name="batches">The rows in batches of similar length, owned by this object.</param>
internal abstract class JudgedRows(int[] numbers, ScoringBatch[] batches) : IDisposable
{
    /// <summary>The rows' zero-based numbers in their view.</summary>
    public int[] Numbers => numbers;

    /// <summary>The name of the metric, as in the files of the paper's code.</summary>
    public abstract string MetricName { get; }

    protected ScoringBatch[] Batches => batches;

    /// <summary>Reads a view for the evaluated task.</summary>
    /// <exception cref="ArgumentException">A label is not one of the task's, or the metric does not match the task.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or of another type.</exception>
    /// <exception cref="InvalidOperationException">There are no labelled rows, one cannot be encoded, or a score is outside its range.</exception>
    public static JudgedRows Of(MLContext context, IDataView data, TextScoringTransformer task, CheckpointInterpolationEvaluator.Options options) =>
        task.Classifier.Settings switch
        {
            { TextToText: not null } => JudgedTexts.Read(context, data, task, options),
            { ScoreRange: { } range } => JudgedScores.Read(data, task, range, options),
            { IsMultiLabel: true } => throw new NotSupportedException(
                "Models of a multi-label task are not evaluated along paths: score points of the path with LoadTextScorer and EvaluateMultiLabel."),
            _ => JudgedClasses.Read(context, data, task, options),
        };

    /// <summary>Evaluates a model on the rows.</summary>
    /// <param name="model">A model with the task and encoder for which the rows were read.</param>
    /// <param name="cancellation">Stops between batches.</param>
    public abstract RowsJudgement Judge(TextClassifier model, CancellationToken cancellation);

    public void Dispose()
    {
        foreach (ScoringBatch batch in batches)
        {
            batch.Dispose();
        }
    }
}
