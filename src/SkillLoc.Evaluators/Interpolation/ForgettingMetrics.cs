using System.Globalization;
using Microsoft.ML;
using SkillLoc.Models.Cartography;
using SkillLoc.Models.Checkpoints;

namespace SkillLoc.Evaluators;

/// <summary>Which training rows a path forgets: hard ones first or easy ones (mode connectivity, C.6).</summary>
public sealed record ForgettingMetrics
{
    /// <summary>One entry a point: what was forgotten since the point before.</summary>
    public required IReadOnlyList<ForgettingEntry> Entries { get; init; }

    /// <summary>The entries as rows, with the columns From, To, Forgotten, Relearnt, Correctness, Confidence, Variability and Turns.</summary>
    /// <param name="context">The context.</param>
    /// <returns>One row a point.</returns>
    public IDataView ToDataView(MLContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return context.Data.LoadFromEnumerable(Entries);
    }

    /// <summary>Writes the entries as the reference does, each under a header <c>from A ===> B</c>.</summary>
    /// <param name="path">The file; an older one is replaced when the new one is complete.</param>
    /// <exception cref="IOException">It could not be written; what was there is untouched.</exception>
    public void Save(string path) => AtomicFile.WriteText(path, string.Concat(Entries.Select(entry => string.Create(
        CultureInfo.InvariantCulture,
        $"from {entry.From} ===> {entry.To}\ncount: {entry.Forgotten}\ncorrectness: {entry.Correctness}\nconfidence: {entry.Confidence}\nvariance: {entry.Variability}\nturn: {entry.Turns}\n"))));

    /// <exception cref="ArgumentException">A row of the set has no training dynamics.</exception>
    internal static ForgettingMetrics Of(InterpolationSet set, TrainingDynamics dynamics)
    {
        Dictionary<int, CartographyRow> map = dynamics.Map().ToDictionary(row => row.Row);
        foreach (int row in set.Rows.Where(row => !map.ContainsKey(row)))
        {
            throw new ArgumentException(
                $"Row {row} of the set '{set.Name}' has no training dynamics; they must be of the rows that were evaluated, in the same order.", nameof(dynamics));
        }

        var entries = new List<ForgettingEntry>();
        int[] before = [];
        string from = "start";
        for (int point = 0; point < set.Points.Count; point++)
        {
            int[] now = [.. set.Where(point, right: false)];
            CartographyRow[] forgotten = [.. now.Except(before).Select(row => map[row])];
            string to = InterpolationFiles.Key(set.Points[point].X);
            entries.Add(new(
                from, to, forgotten.Length, before.Except(now).Count(),
                Mean(row => row.Correctness), Mean(row => row.Confidence), Mean(row => row.Variability), Mean(row => row.Turns)));
            (before, from) = (now, to);

            double Mean(Func<CartographyRow, double> value) => forgotten.Select(value).DefaultIfEmpty(double.NaN).Average();
        }

        return new() { Entries = entries };
    }
}
