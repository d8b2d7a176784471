using System.Globalization;
using System.Text;

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
        PerClassPrecision = [.. counts.Select((row, i) => Ratio(row[i], counts.Sum(r => r[i])))];
        PerClassRecall = [.. counts.Select((row, i) => Ratio(row[i], row.Sum()))];
    }

    public IReadOnlyList<double> PerClassPrecision { get; }

    public IReadOnlyList<double> PerClassRecall { get; }

    public IReadOnlyList<IReadOnlyList<double>> Counts { get; }

    public int NumberOfClasses => Counts.Count;

    public double GetCountForClassPair(int predictedClassIndicatorIndex, int actualClassIndicatorIndex)
    {
        CheckIndex(predictedClassIndicatorIndex, nameof(predictedClassIndicatorIndex));
        CheckIndex(actualClassIndicatorIndex, nameof(actualClassIndicatorIndex));
        return Counts[actualClassIndicatorIndex][predictedClassIndicatorIndex];
    }

    public string GetFormattedConfusionTable()
    {
        var cell = NumberOfClasses == 2 ? 8 : 5;
        var nameLength = _names.Max(n => n.Length);

        // Names too long for a column head are numbered instead.
        var isNumbered = nameLength > cell;
        var digits = isNumbered ? $"{NumberOfClasses - 1}".Length : 0;
        var head = Math.Max(9, isNumbered ? nameLength + digits + 2 : nameLength);
        var pad = new string(' ', head - 9);
        var rule = string.Concat(Enumerable.Repeat(NumberOfClasses > 2 ? "========" : "===========", NumberOfClasses));
        var table = new StringBuilder();
        if (_isBinary)
        {
            var positive = Counts[0].Sum();
            var negative = Counts[1].Sum();
            table.Append(Invariant($"TEST {_names[0].ToUpperInvariant()} RATIO:\t{positive / (positive + negative):N4} "))
                .Append(Invariant($"({positive:F1}/({positive:F1}+{negative:F1}))"));
        }

        table.AppendLine().AppendLine("Confusion table").AppendLine($"          {pad}||{rule}").Append($"PREDICTED {pad}||");
        for (var i = 0; i < NumberOfClasses; i++)
            table.Append($" {(isNumbered ? $"{i}" : _names[i]).PadLeft(cell)} |");
        table.AppendLine(" Recall").AppendLine($"TRUTH     {pad}||{rule}");
        for (var i = 0; i < NumberOfClasses; i++)
        {
            var name = isNumbered ? $"{$"{i}".PadLeft(digits)}. {_names[i].PadLeft(head - digits - 2)}" : _names[i].PadLeft(head);
            table.Append($"{name} ||");
            foreach (var count in Counts[i])
                table.Append($" {Invariant($"{count:N0}").PadLeft(cell)} |");
            table.AppendLine(Invariant($" {PerClassRecall[i],5:F4}"));
        }

        table.AppendLine($"          {pad}||{rule}").Append($"Precision {pad}||");
        foreach (var precision in PerClassPrecision)
            table.Append($"{Invariant($"{precision:N4}").PadLeft(cell + 1)} |");
        return table.AppendLine().ToString();
    }

    private static double Ratio(double part, double whole) => whole > 0 ? part / whole : 0;

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private void CheckIndex(int index, string paramName)
    {
        if (index < 0 || index >= NumberOfClasses)
            throw Raise.Param(paramName, "Invalid index. Should be non-negative, less than the number of classes.");
    }
}
