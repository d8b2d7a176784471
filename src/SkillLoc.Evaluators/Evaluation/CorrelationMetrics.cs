using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Classification;
using SkillLoc.Transforms;

namespace SkillLoc.Evaluators;

/// <summary>The correlation of predicted and true scores, as in GLUE for STS-B (methods, A.10).</summary>
public sealed record CorrelationMetrics
{
    /// <summary>Number of labelled rows.</summary>
    public required long Count { get; init; }

    /// <summary>Pearson's correlation, from -1 to 1; NaN if all labels or all scores are equal.</summary>
    public required double Pearson { get; init; }

    /// <summary>Spearman's correlation of the ranks, from -1 to 1; ties have their mean rank. NaN as for Pearson's.</summary>
    public required double Spearman { get; init; }

    /// <summary>The mean of both, as reported by GLUE.</summary>
    public double PearsonSpearmanMean => (Pearson + Spearman) / 2;

    /// <summary>Returns the metrics as one row, with the columns Count, Pearson, Spearman and PearsonSpearmanMean.</summary>
    /// <param name="context">The context.</param>
    /// <returns>One row.</returns>
    public IDataView ToDataView(MLContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return context.Data.LoadFromEnumerable([this]);
    }

    /// <exception cref="ArgumentOutOfRangeException">A column is missing or not a Single.</exception>
    /// <exception cref="InvalidOperationException">There are no labelled rows, or a label or score is not finite.</exception>
    internal static CorrelationMetrics Of(IDataView data, string labelColumn, string scoreColumn)
    {
        DataViewSchema.Column label = Find(labelColumn),
            score = Find(scoreColumn);
        var labels = new List<double>();
        var scores = new List<double>();
        using DataViewRowCursor cursor = data.GetRowCursor([label, score]);
        ValueGetter<float> readLabel = cursor.GetGetter<float>(label),
            readScore = cursor.GetGetter<float>(score);
        float truth = 0,
            predicted = 0;
        while (cursor.MoveNext())
        {
            readLabel(ref truth);
            if (float.IsNaN(truth))
            {
                continue;
            }

            readScore(ref predicted);
            if (!float.IsFinite(truth) || !float.IsFinite(predicted))
            {
                throw new InvalidOperationException(
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"Row {cursor.Position} has the label {truth} and the score {predicted} in '{labelColumn}' and "
                            + $"'{scoreColumn}'; both must be finite."
                    )
                );
            }

            labels.Add(truth);
            scores.Add(predicted);
        }

        if (labels.Count == 0)
        {
            throw new InvalidOperationException($"There are no rows with a label in column '{labelColumn}'.");
        }

        double[] x = [.. labels],
            y = [.. scores];
        return new()
        {
            Count = x.Length,
            Pearson = Correlation.Pearson(x, y),
            Spearman = Correlation.Spearman(x, y),
        };

        DataViewSchema.Column Find(string name) =>
            EvaluatedColumn.Find(data.Schema, name) is var column && column.Type == NumberDataViewType.Single
                ? column
                : throw EvaluatedColumn.WrongType(column, "a Single");
    }
}
