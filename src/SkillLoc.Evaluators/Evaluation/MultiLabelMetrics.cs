using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Transforms;

namespace SkillLoc.Evaluators;

/// <summary>Metrics of multi-label predictions (Tsoumakas and Katakis 2007, "Multi-label classification: an overview"; Zhang and Zhou 2014,
/// "A review on multi-label learning algorithms", section II.C).</summary>
public sealed record MultiLabelMetrics
{
    /// <summary>Number of rows.</summary>
    public required long Count { get; init; }

    /// <summary>Subset accuracy: the share of rows whose predicted label set equals the true one, in [0, 1].</summary>
    public required double SubsetAccuracy { get; init; }

    /// <summary>Hamming loss: the share of wrong decisions, one per row and label, in [0, 1]; lower is better.</summary>
    public required double HammingLoss { get; init; }

    /// <summary>The share of predicted labels that are true; NaN without predictions.</summary>
    public required double MicroPrecision { get; init; }

    /// <summary>The share of true labels that are predicted; NaN without true labels.</summary>
    public required double MicroRecall { get; init; }

    /// <summary>The harmonic mean of <see cref="MicroPrecision"/> and <see cref="MicroRecall"/>; 0 without predictions, NaN without true
    /// labels as well.</summary>
    public required double MicroF1 { get; init; }

    /// <summary>The mean of <see cref="MultiLabelEntry.F1"/> over the labels that some row has or is predicted to have.</summary>
    public required double MacroF1 { get; init; }

    /// <summary>The mean of <see cref="MultiLabelEntry.AveragePrecision"/> over the labels that some row has; independent of thresholds.
    /// </summary>
    public required double MeanAveragePrecision { get; init; }

    /// <summary>
    /// Label ranking average precision (Schapire and Singer 2000): for each true label, the share of true labels among those that score at
    /// least as high, averaged over the labels of a row and over rows; rows without labels, or with all, count 1.
    /// </summary>
    public required double LabelRankingAveragePrecision { get; init; }

    /// <summary>The mean binary cross-entropy over rows and labels, in nats.</summary>
    public required double LogLoss { get; init; }

    /// <summary>The metrics of each label, in the order of the scores.</summary>
    public required IReadOnlyList<MultiLabelEntry> Labels { get; init; }

    /// <summary>Returns the metrics as one row.</summary>
    /// <param name="context">The context.</param>
    /// <returns>One row.</returns>
    public IDataView ToDataView(MLContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return context.Data.LoadFromEnumerable([
            new Row(
                Count,
                SubsetAccuracy,
                HammingLoss,
                MicroPrecision,
                MicroRecall,
                MicroF1,
                MacroF1,
                MeanAveragePrecision,
                LabelRankingAveragePrecision,
                LogLoss
            ),
        ]);
    }

    /// <summary>Returns the labels as rows, with the columns of <see cref="MultiLabelEntry"/>.</summary>
    /// <param name="context">The context.</param>
    /// <returns>One row per label.</returns>
    public IDataView LabelsToDataView(MLContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return context.Data.LoadFromEnumerable(Labels);
    }

    internal static MultiLabelMetrics Of(IDataView data, string labelColumn, string scoreColumn, string predictedLabelColumn)
    {
        IReadOnlyList<string> labels = LabelsOf(data.Schema, scoreColumn);
        (float[] Scores, bool[] Predicted, bool[] True)[] rows = [.. Read(data, labels, labelColumn, scoreColumn, predictedLabelColumn)];
        if (rows.Length == 0)
        {
            throw new InvalidOperationException("There are no rows.");
        }

        MultiLabelEntry[] entries =
        [
            .. labels.Select(
                (label, i) =>
                    MultiLabelEntry.Of(
                        label,
                        [.. rows.Select(row => row.Scores[i])],
                        [.. rows.Select(row => row.Predicted[i])],
                        [.. rows.Select(row => row.True[i])]
                    )
            ),
        ];
        double hits = entries.Sum(entry => entry.Hits),
            predicted = entries.Sum(entry => entry.PredictedCount),
            there = entries.Sum(entry => entry.Count);
        return new()
        {
            Count = rows.Length,
            SubsetAccuracy = rows.Average(row => row.Predicted.AsSpan().SequenceEqual(row.True) ? 1 : 0),
            HammingLoss = rows.Average(row => row.Predicted.Zip(row.True).Count(pair => pair.First != pair.Second) / (double)labels.Count),
            MicroPrecision = hits / predicted,
            MicroRecall = hits / there,
            MicroF1 = 2 * hits / (predicted + there),
            MacroF1 = Mean(entries.Where(entry => entry.Count + entry.PredictedCount > 0).Select(entry => entry.F1)),
            MeanAveragePrecision = Mean(entries.Where(entry => entry.Count > 0).Select(entry => entry.AveragePrecision)),
            LabelRankingAveragePrecision = rows.Average(row => RankingPrecision(row.Scores, row.True)),
            LogLoss = rows.Average(row => row.Scores.Zip(row.True).Average(pair => CrossEntropy(pair.First, pair.Second))),
            Labels = entries,
        };
    }

    private static double Mean(IEnumerable<double> values) => values.DefaultIfEmpty(double.NaN).Average();

    // A probability of 0 or 1 comes of float32's sigmoid, whose next neighbour of 1 is 6e-8 away.
    private static double CrossEntropy(float score, bool isTrue) => -Math.Log(Math.Max(isTrue ? score : 1.0 - score, 1e-8));

    private static double RankingPrecision(float[] scores, bool[] isTrue)
    {
        int[] there = [.. Enumerable.Range(0, scores.Length).Where(i => isTrue[i])];
        return there.Length == 0 || there.Length == scores.Length
            ? 1
            : there.Average(label =>
                there.Count(other => scores[other] >= scores[label]) / (double)scores.Count(other => other >= scores[label])
            );
    }

    private static IReadOnlyList<string> LabelsOf(DataViewSchema schema, string scoreColumn)
    {
        DataViewSchema.Column scores = EvaluatedColumn.Find(schema, scoreColumn);
        return
            scores.Type is VectorDataViewType { IsKnownSize: true } vector
            && vector.ItemType == NumberDataViewType.Single
            && LabelSets.Names(scores) is { } names
            ? names
            : throw EvaluatedColumn.WrongType(scores, "a vector of Single of known size, with the labels as slot names");
    }

    private static IEnumerable<(float[] Scores, bool[] Predicted, bool[] True)> Read(
        IDataView data,
        IReadOnlyList<string> labels,
        string labelColumn,
        string scoreColumn,
        string predictedLabelColumn
    )
    {
        DataViewSchema.Column label = EvaluatedColumn.Find(data.Schema, labelColumn),
            score = EvaluatedColumn.Find(data.Schema, scoreColumn);
        DataViewSchema.Column predicted = EvaluatedColumn.Find(data.Schema, predictedLabelColumn);
        foreach (DataViewSchema.Column column in new[] { label, predicted })
        {
            if (LabelSets.Names(column) is null)
            {
                throw EvaluatedColumn.WrongType(column, LabelSets.Wanted);
            }
        }

        using DataViewRowCursor cursor = data.GetRowCursor([label, score, predicted]);
        Func<float[]> readTrue = LabelSets.Reader(cursor, label, labels, "data"),
            readPredicted = LabelSets.Reader(cursor, predicted, labels, "data");
        ValueGetter<VBuffer<float>> readScores = cursor.GetGetter<VBuffer<float>>(score);
        for (VBuffer<float> scores = default; cursor.MoveNext(); )
        {
            readScores(ref scores);
            float[] values = [.. scores.DenseValues()];
            int wrong = Array.FindIndex(values, value => !(value >= 0 && value <= 1));
            if (wrong >= 0)
            {
                throw new InvalidOperationException(
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"Row {cursor.Position} has the score {values[wrong]} for the label '{labels[wrong]}' in '{scoreColumn}'; it "
                            + $"must be a probability."
                    )
                );
            }

            yield return (values, Array.ConvertAll(readPredicted(), value => value > 0), Array.ConvertAll(readTrue(), value => value > 0));
        }
    }

    private sealed record Row(
        long Count,
        double SubsetAccuracy,
        double HammingLoss,
        double MicroPrecision,
        double MicroRecall,
        double MicroF1,
        double MacroF1,
        double MeanAveragePrecision,
        double LabelRankingAveragePrecision,
        double LogLoss
    );
}

/// <summary>The quality of the predictions of one label of a multi-label task.</summary>
/// <param name="Label">The label.</param>
/// <param name="Count">Number of rows with the label.</param>
/// <param name="PredictedCount">Number of rows predicted to have the label.</param>
/// <param name="Hits">Number of true positives.</param>
/// <param name="AveragePrecision">
/// The mean, over the rows that have the label, of the share of such rows among those that score at least as high: the area under the
/// precision-recall curve as steps. NaN if no row has it.
/// </param>
public sealed record MultiLabelEntry(string Label, long Count, long PredictedCount, long Hits, double AveragePrecision)
{
    /// <summary>Precision: the share of rows predicted to have the label that have it; NaN without predictions.</summary>
    public double Precision => (double)Hits / PredictedCount;

    /// <summary>Recall: the share of rows with the label that are predicted to have it; NaN without such rows.</summary>
    public double Recall => (double)Hits / Count;

    /// <summary>The harmonic mean of precision and recall: 2 hits / (rows with it + rows predicted to have it); NaN if both are
    /// 0.</summary>
    public double F1 => 2.0 * Hits / (Count + PredictedCount);

    internal static MultiLabelEntry Of(string label, float[] scores, bool[] predicted, bool[] isTrue)
    {
        long there = isTrue.LongCount(value => value);
        double area = 0;
        int[] order = [.. Enumerable.Range(0, scores.Length).OrderByDescending(row => scores[row])];
        for (int end = 0, hits = 0; end < order.Length; )
        {
            // Rows of equal scores come together.
            int first = end,
                before = hits;
            for (; end < order.Length && scores[order[end]] == scores[order[first]]; end++)
            {
                hits += isTrue[order[end]] ? 1 : 0;
            }

            area += (hits - before) * (double)hits / end;
        }

        return new(
            label,
            there,
            predicted.LongCount(value => value),
            predicted.Zip(isTrue).LongCount(pair => pair is { First: true, Second: true }),
            area / there
        );
    }
}
