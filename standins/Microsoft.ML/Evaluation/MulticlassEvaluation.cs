namespace Microsoft.ML.Data;

/// <summary>The counts that multiclass metrics are made of, in one pass over scored rows.</summary>
internal sealed class MulticlassEvaluation(int classes)
{
    // A probability below this counts as this.
    private const float Epsilon = 1e-15f;

    private readonly double[] _classLogLoss = new double[classes];
    private readonly double[] _correctAtRank = new double[classes];
    private readonly double[][] _confusion = [.. Enumerable.Range(0, classes).Select(_ => new double[classes])];
    private double _count;
    private double _logLoss;

    public MulticlassClassificationMetrics Run(
        IDataView data, DataViewSchema.Column labelColumn, DataViewSchema.Column scoreColumn, int topK)
    {
        using var cursor = data.GetRowCursor([labelColumn, scoreColumn]);
        var readLabel = Numeric.Reader(cursor, labelColumn);
        var readScores = UserValue.MakeReader<float[]>(cursor, scoreColumn);
        while (cursor.MoveNext())
        {
            var label = readLabel();
            var scores = readScores();
            if (scores.Length != classes)
                throw new InvalidOperationException($"Row {cursor.Position} has {scores.Length} scores instead of {classes}");
            if (!double.IsNaN(label) && label >= 0 && label == (int)label && scores.All(float.IsFinite))
                Add((int)label, scores);
        }

        return Metrics(topK, ClassNames(scoreColumn));
    }

    private void Add(int label, float[] scores)
    {
        _count++;
        if (label >= classes)
        {
            _logLoss -= Math.Log(Epsilon);
            return;
        }

        var loss = -Math.Log(Math.Min(1f, Math.Max(Epsilon, scores[label])));
        _logLoss += loss;
        _classLogLoss[label] += loss;

        // Of equal scores the first class comes first.
        var order = Enumerable.Range(0, classes).OrderByDescending(i => scores[i]).ToArray();
        _confusion[label][order[0]]++;
        _correctAtRank[Array.IndexOf(order, label)]++;
    }

    private MulticlassClassificationMetrics Metrics(int topK, string[] names)
    {
        var totals = Array.ConvertAll(_confusion, row => row.Sum());
        var seen = Enumerable.Range(0, classes).Where(i => totals[i] > 0).ToArray();
        var entropy = -seen.Sum(i => totals[i] * Math.Log(totals[i] / _count)) / _count;
        var logLoss = Ratio(_logLoss, _count);
        var upTo = 0.0;
        double[] topKAccuracies = [.. _correctAtRank.Select(correct => Ratio(upTo += correct, _count))];
        return new(
            microAccuracy: topKAccuracies[0],
            macroAccuracy: seen.Length == 0 ? 0 : seen.Average(i => _confusion[i][i] / totals[i]),
            logLoss,
            logLossReduction: (entropy - logLoss) / entropy,
            topK,
            topK > 0 ? [.. topKAccuracies.Take(topK)] : null,
            [.. _classLogLoss.Select((loss, i) => Ratio(loss, totals[i]))],
            new ConfusionMatrix(_confusion, names, isBinary: false));
    }

    private static double Ratio(double part, double whole) => whole > 0 ? part / whole : 0;

    private string[] ClassNames(DataViewSchema.Column score)
    {
        if (!score.HasSlotNames())
            return [.. Enumerable.Range(0, classes).Select(i => $"{i}")];
        VBuffer<ReadOnlyMemory<char>> names = default;
        score.GetSlotNames(ref names);
        return [.. names.DenseValues().Select(n => n.ToString())];
    }
}
