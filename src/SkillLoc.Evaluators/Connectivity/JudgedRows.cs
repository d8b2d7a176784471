using Microsoft.ML;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Tasks;
using SkillLoc.Transforms;

namespace SkillLoc.Evaluators;

/// <summary>The labelled rows of a data set, encoded and batched once, with the evaluation of a task.</summary>
internal sealed class JudgedRows : IDisposable
{
    private readonly EncodedDataset _rows;
    private readonly TextTask _task;
    private readonly ScoringBatch[] _batches;
    private readonly int _bins;
    private readonly Dictionary<object, int> _predictions = [];

    /// <summary>Reads a view for the evaluated task.</summary>
    /// <exception cref="ArgumentException">A column is missing or of another type, a label is not one of the task's, or the metric does not
    /// match the task.</exception>
    /// <exception cref="InvalidOperationException">There are no labelled rows, one cannot be encoded, or a score is outside its
    /// range.</exception>
    public JudgedRows(IDataView data, TextScoringTransformer task, CheckpointInterpolationEvaluator.Options options)
    {
        _task = task.Classifier.Task.JudgedBy(options.Metric);
        _rows = EncodedDataset.Read(data, task.Columns, options.LabelColumnName, task.Classifier, "data");
        _batches = [.. task.Classifier.Batches(_rows.Texts)];
        _bins = options.NumberOfBins;
    }

    /// <summary>The rows' zero-based numbers in their view.</summary>
    public int[] Numbers => _rows.Numbers;

    /// <summary>The name of the metric, as in the files of the paper's code.</summary>
    public string MetricName => _task.MetricName;

    /// <summary>Runs a model over the rows.</summary>
    /// <param name="model">A model with the task and encoder for which the rows were read.</param>
    /// <param name="cancellation">Stops between batches.</param>
    public RowsJudgement Judge(TextClassifier model, CancellationToken cancellation)
    {
        TaskEvaluation evaluation = _task.Evaluate(model, _batches, _rows.Targets, cancellation);
        CalibrationMetrics? calibration = evaluation.Probabilities is null ? null : CalibrationMetrics.Of(
            [.. evaluation.Probabilities.Select((row, i) => MeasuredRow.Of(_rows.Targets[i].Label, row))], _bins);
        return new(evaluation.Loss, evaluation.Metric, evaluation.Scores, Array.ConvertAll(evaluation.Predictions, Number), calibration);
    }

    public void Dispose()
    {
        foreach (ScoringBatch batch in _batches)
        {
            batch.Dispose();
        }
    }

    private int Number(object prediction)
    {
        if (!_predictions.TryGetValue(prediction, out int number))
        {
            _predictions.Add(prediction, number = _predictions.Count);
        }

        return number;
    }
}

/// <summary>The evaluation of one model on the rows of a set.</summary>
/// <param name="Loss">The mean loss, in nats.</param>
/// <param name="Metric">The task's metric.</param>
/// <param name="Scores">The score of each row from 0 to 1, where 1 is correct; empty for tasks without such scores.</param>
/// <param name="Predictions">For each row a number that identifies the prediction; empty for regressions.</param>
/// <param name="Calibration">The calibration of the probabilities; null if there are none.</param>
internal sealed record RowsJudgement(double Loss, double Metric, float[] Scores, int[] Predictions, CalibrationMetrics? Calibration)
{
    /// <summary>The fraction of rows with the same prediction as another model; NaN without predictions.</summary>
    public double Agreement(RowsJudgement other) => Predictions.Length == 0
        ? double.NaN
        : Predictions.Zip(other.Predictions).Count(pair => pair.First == pair.Second) / (double)Predictions.Length;

    /// <summary>Number of rows that are correct here but were not before.</summary>
    public long Learnt(RowsJudgement before) => Scores.Zip(before.Scores).LongCount(pair => pair.First == 1 && pair.Second != 1);
}
