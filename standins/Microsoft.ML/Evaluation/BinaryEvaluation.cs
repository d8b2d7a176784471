namespace Microsoft.ML.Data;

/// <summary>The rows that binary metrics are made of; a score above zero predicts positive.</summary>
internal sealed class BinaryEvaluation
{
    private readonly (bool IsPositive, float Score, float Probability)[] _rows;

    public BinaryEvaluation(IDataView data, DataViewSchema.Column label, DataViewSchema.Column score, DataViewSchema.Column? probability)
    {
        using var cursor = data.GetRowCursor(probability is { } column ? [label, score, column] : [label, score]);
        var readLabel = Numeric.Reader(cursor, label);
        var readScore = UserValue.MakeReader<float>(cursor, score);
        var readProbability = probability is { } given ? UserValue.MakeReader<float>(cursor, given) : () => float.NaN;
        var rows = new List<(bool, float, float)>();
        while (cursor.MoveNext())
        {
            if (!double.IsNaN(readLabel()) && float.IsFinite(readScore()))
                rows.Add((readLabel() > 0, readScore(), readProbability()));
        }

        _rows = [.. rows];
        Confusion = [[Count(true, true), Count(true, false)], [Count(false, true), Count(false, false)]];
    }

    /// <summary>Truth in rows, prediction in columns; positive first.</summary>
    public double[][] Confusion { get; }

    /// <summary>The share of pairs of a positive and a negative row in which the positive one scores higher; ties count half.</summary>
    public double AreaUnderRoc()
    {
        double pairs = 0, won = 0, negatives = 0;
        foreach (var group in _rows.GroupBy(r => r.Score).OrderBy(g => g.Key))
        {
            var positive = group.Count(r => r.IsPositive);
            var negative = group.Count() - positive;
            won += positive * (negatives + (0.5 * negative));
            negatives += negative;
            pairs += positive;
        }

        return won / (pairs * negatives);
    }

    /// <summary>The lower trapezoid estimate.</summary>
    public double AreaUnderPrecisionRecall()
    {
        double positives = _rows.Count(r => r.IsPositive), area = 0, precision = 1, truePositives = 0, seen = 0;
        foreach (var row in _rows.OrderByDescending(r => r.Score))
        {
            seen++;
            truePositives += row.IsPositive ? 1 : 0;
            var now = truePositives / seen;
            area += row.IsPositive ? (precision + now) / 2 / positives : 0;
            precision = now;
        }

        return area;
    }

    /// <summary>In bits.</summary>
    public double LogLoss() => _rows.Length == 0 ? 0 : _rows.Average(r => -Math.Log2(r.IsPositive ? r.Probability : 1.0 - r.Probability));

    /// <summary>In bits.</summary>
    public double Entropy()
    {
        var positive = Confusion[0].Sum() / _rows.Length;
        return Term(positive) + Term(1 - positive);

        static double Term(double p) => p == 0 ? 0 : -p * Math.Log2(p);
    }

    private double Count(bool truth, bool prediction) => _rows.Count(r => r.IsPositive == truth && (r.Score > 0) == prediction);
}
