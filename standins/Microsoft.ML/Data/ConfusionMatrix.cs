namespace Microsoft.ML.Data;

public sealed class ConfusionMatrix
{
    private readonly string[] _names;
    private readonly bool _isBinary;

    internal ConfusionMatrix(double[][] counts, string[] names, bool isBinary)
    {
        _names = names;
        _isBinary = isBinary;
        Counts = counts;
        PerClassPrecision = [.. counts.Select((_, i) => Ratio(counts[i][i], counts.Sum(row => row[i])))];
        PerClassRecall = [.. counts.Select((_, i) => Ratio(counts[i][i], counts[i].Sum()))];
    }

    public IReadOnlyList<double> PerClassPrecision { get; }

    public IReadOnlyList<double> PerClassRecall { get; }

    public IReadOnlyList<IReadOnlyList<double>> Counts { get; }

    public int NumberOfClasses => Counts.Count;

    public double GetCountForClassPair(int predictedClassIndicatorIndex, int actualClassIndicatorIndex) =>
        Counts[actualClassIndicatorIndex][predictedClassIndicatorIndex];

    public string GetFormattedConfusionTable() => string.Join(Environment.NewLine, Counts.Select(row => string.Join(' ', row)));

    private static double Ratio(double part, double whole) => whole > 0 ? part / whole : 0;
}
