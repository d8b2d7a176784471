using System.Globalization;
using Microsoft.ML;
using SkillLoc.Models.Cartography;
using SkillLoc.Models.Checkpoints;

namespace SkillLoc.Evaluators;

/// <summary>The training rows that are forgotten along a path, with their training dynamics (methods, C.6).</summary>
public sealed record ForgettingMetrics
{
    /// <summary>One entry per point: the rows forgotten since the previous point.</summary>
    public required IReadOnlyList<ForgettingEntry> Entries { get; init; }

    /// <summary>The entries as rows, with the columns From, To, Forgotten, Relearnt, Correctness, Confidence, Variability and
    /// Turns.</summary>
    /// <param name="context">The context.</param>
    /// <returns>One row per point.</returns>
    public IDataView ToDataView(MLContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return context.Data.LoadFromEnumerable(Entries);
    }

    /// <summary>Writes the entries in the format of the paper's code, each under a header <c>from A ===> B</c>.</summary>
    /// <param name="path">The file; an existing file is replaced once the new one is complete.</param>
    /// <exception cref="IOException">It could not be written; an existing file is unchanged.</exception>
    public void Save(string path) =>
        AtomicFile.WriteText(
            path,
            string.Concat(
                Entries.Select(entry =>
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"from {entry.From} ===> {entry.To}\ncount: {entry.Forgotten}\ncorrectness: {entry.Correctness}\nconfidence: "
                            + $"{entry.Confidence}\nvariance: {entry.Variability}\nturn: {entry.Turns}\n"
                    )
                )
            )
        );

    /// <summary>Joins the rows with score 0 at each point, in order, with training dynamics.</summary>
    /// <param name="source">The name of the rows in error messages.</param>
    /// <param name="rows">The rows that were evaluated.</param>
    /// <param name="points">The points as in the analysis files, such as 0.04, and their rows with score 0.</param>
    /// <param name="dynamics">The dynamics.</param>
    /// <exception cref="ArgumentException">A row has no training dynamics.</exception>
    internal static ForgettingMetrics Of(
        string source,
        IEnumerable<int> rows,
        IEnumerable<(string Point, int[] Wrong)> points,
        TrainingDynamics dynamics
    )
    {
        var map = dynamics.Map().ToDictionary(row => row.Row);
        foreach (int row in rows.Where(row => !map.ContainsKey(row)))
        {
            throw new ArgumentException(
                $"Row {row} of {source} has no training dynamics; they must be of the rows that were evaluated, in the same order.",
                nameof(dynamics)
            );
        }

        var entries = new List<ForgettingEntry>();
        int[] before = [];
        string from = "start";
        foreach ((string to, int[] now) in points)
        {
            CartographyRow[] forgotten = [.. now.Except(before).Select(row => map[row])];
            entries.Add(
                new(
                    from,
                    to,
                    forgotten.Length,
                    before.Except(now).Count(),
                    Mean(row => row.Correctness),
                    Mean(row => row.Confidence),
                    Mean(row => row.Variability),
                    Mean(row => row.Turns)
                )
            );
            (before, from) = (now, to);

            double Mean(Func<CartographyRow, double> value) => forgotten.Select(value).DefaultIfEmpty(double.NaN).Average();
        }

        return new() { Entries = entries };
    }
}

/// <summary>The rows forgotten from one point of a path to the next, and their training dynamics (methods, C.6).</summary>
/// <param name="From">The earlier point as in the analysis files, such as 0.04; <c>start</c> before the first, which counts as nothing
/// forgotten.</param>
/// <param name="To">The later point.</param>
/// <param name="Forgotten">Number of rows that are wrong at the later point but not at the earlier one.</param>
/// <param name="Relearnt">Number of rows that are wrong at the earlier point but not at the later one.</param>
/// <param name="Correctness">The mean correctness of the forgotten rows; NaN, like the following, if there are none.</param>
/// <param name="Confidence">Their mean confidence.</param>
/// <param name="Variability">Their mean variability.</param>
/// <param name="Turns">Their mean number of turns.</param>
public sealed record ForgettingEntry(
    string From,
    string To,
    int Forgotten,
    int Relearnt,
    double Correctness,
    double Confidence,
    double Variability,
    double Turns
);
