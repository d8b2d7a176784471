namespace Microsoft.ML.Data;

public sealed class RegressionMetrics
{
    /// <summary>Sums over the rows whose label and score are numbers; labels and losses are squared in float, as in ML.NET.</summary>
    internal RegressionMetrics(IDataView data, DataViewSchema.Column label, DataViewSchema.Column score)
    {
        using var cursor = data.GetRowCursor([label, score]);
        var readLabel = UserValue.MakeReader<float>(cursor, label);
        var readScore = UserValue.MakeReader<float>(cursor, score);
        double count = 0, absolute = 0, squared = 0, loss = 0, labels = 0, squaredLabels = 0;
        while (cursor.MoveNext())
        {
            float truth = readLabel(), predicted = readScore();
            if (float.IsNaN(truth) || float.IsNaN(predicted))
                continue;
            var error = Math.Abs((double)truth - predicted);
            count++;
            absolute += error;
            squared += error * error;
            loss += (predicted - truth) * (predicted - truth);
            labels += truth;
            squaredLabels += truth * truth;
        }

        if (count == 0)
            return;
        MeanAbsoluteError = absolute / count;
        MeanSquaredError = squared / count;
        LossFunction = loss / count;
        RSquared = 1 - (squared / (squaredLabels - (labels * labels / count)));
    }

    public double MeanAbsoluteError { get; }

    public double MeanSquaredError { get; }

    public double RootMeanSquaredError => Math.Sqrt(MeanSquaredError);

    public double LossFunction { get; }

    public double RSquared { get; }
}
