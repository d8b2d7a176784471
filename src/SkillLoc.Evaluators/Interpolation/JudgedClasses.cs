using Microsoft.ML;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;
using SkillLoc.Transforms;

namespace SkillLoc.Evaluators;

/// <summary>Rows of a classification task, evaluated by the probabilities of labels.</summary>
internal sealed class JudgedClasses : JudgedRows
{
    private readonly int[] _labels;
    private readonly PromptMetric _metric;
    private readonly int _bins;

    private JudgedClasses(EncodedRows<int> rows, TextClassifier task, PromptMetric metric, int bins)
        : base(rows.Numbers, [.. task.Batches(rows.Texts)])
    {
        _labels = rows.Labels;
        _metric = metric;
        _bins = bins;
    }

    public override string MetricName => _metric switch
    {
        PromptMetric.AccuracyAndF1 => "F1",
        PromptMetric.MatthewsCorrelation => "Matthew-Correlation",
        _ => "ACC",
    };

    /// <exception cref="ArgumentException">The metric is for regressions, or a label is not one of the task's.</exception>
    public static JudgedClasses Read(MLContext context, IDataView data, TextScoringTransformer task, CheckpointInterpolationEvaluator.Options options)
    {
        PromptMetric metric = options.Metric ?? task.Classifier.Settings.Metric;
        return metric is not PromptMetric.Correlation
            ? new(EncodedRows.Read(context, data, task, options.LabelColumnName), task.Classifier, metric, options.NumberOfBins)
            : throw new ArgumentException($"{metric} judges scores, and the evaluated task predicts classes.");
    }

    public override RowsJudgement Judge(TextClassifier model, CancellationToken cancellation)
    {
        ScoredRow[] rows = [.. model.Score(Batches, cancellation).Zip(_labels, (probabilities, label) => ScoredRow.Of(label, probabilities))];
        CalibrationMetrics calibration = CalibrationMetrics.Of(rows, _bins);
        int[] predictions = Array.ConvertAll(rows, row => row.Predicted);
        return new(
            calibration.LogLoss,
            ClassificationMetric.Evaluate(_metric, _labels, predictions),
            Array.ConvertAll(rows, row => row.IsRight ? 1f : 0f),
            predictions,
            calibration);
    }
}
