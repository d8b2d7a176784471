using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;
using SkillLoc.Transforms;

namespace SkillLoc.Evaluators;

/// <summary>Rows of a regression, evaluated by the probability of the second label word.</summary>
internal sealed class JudgedScores : JudgedRows
{
    // As of classes, smaller probabilities count as this.
    private const double SmallestProbability = 1e-15;

    private readonly double[] _shares;

    private JudgedScores(EncodedRows<double> rows, TextClassifier task)
        : base(rows.Numbers, [.. task.Batches(rows.Texts)]) => _shares = rows.Labels;

    public override string MetricName => "Pearson-Correlation";

    /// <exception cref="ArgumentException">The metric is for classifications.</exception>
    /// <exception cref="InvalidOperationException">A score is outside the range, in addition to the errors of all sets.</exception>
    public static JudgedScores Read(IDataView data, TextScoringTransformer task, ScoreRange range, CheckpointInterpolationEvaluator.Options options)
    {
        string labelColumn = options.LabelColumnName;
        if (options.Metric is not (null or PromptMetric.Correlation))
        {
            throw new ArgumentException($"{options.Metric} judges classes, and the evaluated task predicts scores.");
        }

        return new(EncodedRows<double>.Read(data, task, labelColumn, Shares()), task.Classifier);

        IEnumerable<(bool IsThere, double Share)> Shares()
        {
            DataViewSchema.Column column = EvaluatedColumn.Find(data.Schema, labelColumn);
            if (column.Type != NumberDataViewType.Single)
            {
                throw EvaluatedColumn.WrongType(column, "Single, as the evaluated task predicts scores");
            }

            using DataViewRowCursor cursor = data.GetRowCursor([column]);
            ValueGetter<float> read = cursor.GetGetter<float>(column);
            for (float score = 0; cursor.MoveNext();)
            {
                read(ref score);
                yield return float.IsNaN(score) || range.Contains(score) ? (!float.IsNaN(score), range.ShareOf(score)) : throw new InvalidOperationException(
                    FormattableString.Invariant($"Row {cursor.Position} of column '{labelColumn}' is {score}; the task's scores lie in {range}."));
            }
        }
    }

    /// <summary>The loss is the Kullback-Leibler divergence of the two label words' probabilities from the target, as in training
    /// (methods, A.1).</summary>
    public override RowsJudgement Judge(TextClassifier model, CancellationToken cancellation)
    {
        float[][] probabilities = model.Score(Batches, cancellation);
        return new(
            probabilities.Zip(_shares, (row, share) => Divergence(1 - share, row[0]) + Divergence(share, row[1])).Average(),
            ClassificationMetric.Evaluate(_shares, Array.ConvertAll(probabilities, row => (double)row[1])),
            [],
            [],
            null);
    }

    private static double Divergence(double target, double probability) =>
        target == 0 ? 0 : target * Math.Log(target / Math.Max(probability, SmallestProbability));
}
