using System.Globalization;
using SkillLoc.Evaluators;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Grafts;
using SkillLoc.Reports.Drawing;

namespace SkillLoc.Reports.Pictures;

/// <summary>Where skills lie in a model, and where those of several tasks meet.</summary>
internal static class SkillMapPictures
{
    private const int MostTasks = 10,
        MostCombinations = 24;

    /// <summary>The kinds of weights, as a block computes.</summary>
    public static IReadOnlyList<string> Modules { get; } = ["q", "k", "v", "qkv", "o", "ffn-in", "ffn-out", "norm", "bias", "other"];

    /// <summary>The densities of a graft's cells, and what each is worth.</summary>
    public static IEnumerable<Picture> Of(GraftCellMetrics cells)
    {
        if (cells.Entries.Count == 0)
        {
            throw new ArgumentException("The graft has no cell: there is nothing to show.", nameof(cells));
        }

        GraftCellEntry[] entries = cells.Entries.Where(entry => entry.Scalars > 0).ToArray();
        yield return Density([.. entries.Select(entry => (entry.Place, entry.Module, entry.Count, entry.Scalars))]);
        string[] places = [.. entries.Select(entry => entry.Place).Distinct(StringComparer.Ordinal)],
            modules = [.. Modules.Where(module => Array.Exists(entries, entry => entry.Module == module))];
        double[,] values = GraftPictures.Matrix(
            places,
            modules,
            entries.Select(entry => (entry.Place, entry.Module, entry.Count == 0 ? double.NaN : entry.Worth))
        );
        if (!entries.Any(entry => double.IsFinite(entry.Worth)))
        {
            yield return new(
                "What each part of the graft is worth",
                $"With the whole graft the metric is {Words.Number(cells.Grafted)}, without it {Words.Number(cells.PreTrained)}: there is no gain on these rows of "
                    + "which parts could have a share.",
                Table.Of(
                    ["Place", "Module", "Count", "Metric"],
                    entries.Select(entry => (IReadOnlyList<object>)[entry.Place, entry.Module, entry.Count, entry.Metric])
                )
            )
            {
                Provenance = new() { Rows = Words.Count(cells.Count, "row") },
            };
            yield break;
        }

        GraftCellEntry most = entries.MaxBy(entry => double.IsNaN(entry.Worth) ? double.NegativeInfinity : entry.Worth)!;
        yield return Matrices.Draw(
            "What each part of the graft is worth",
            $"With the whole graft the metric is {Words.Number(cells.Grafted)}, without it {Words.Number(cells.PreTrained)}. A cell has the share of that gain "
                + $"that is lost without it: {most.Module} of {most.Place} is worth most, {Words.Number(most.Worth)}. Cells may share what they carry, so "
                + "they need not sum to 1; below 0 the metric is better without. Empty cells have no coordinate.",
            "",
            places,
            "",
            modules,
            values,
            Heat.AroundZero("share of the gain lost", values.Cast<double>()),
            (row, column) => double.IsNaN(values[row, column]) ? "" : values[row, column].ToString("0.##", CultureInfo.InvariantCulture)
        ) with
        {
            Provenance = new() { Rows = Words.Count(cells.Count, "row") },
        };
    }

    /// <summary>The densities of a graft's cells.</summary>
    public static Picture Of(GraftSpreadMetrics spread) =>
        Density([
            .. spread
                .Parameters.Where(entry => entry.Scalars > 0)
                .GroupBy(entry =>
                {
                    var place = new ParameterPlace(Enum.Parse<ParameterRegion>(entry.Region), entry.Layer, entry.Kind);
                    return (place.Area, place.Module);
                })
                .Select(cell => (cell.Key.Area, cell.Key.Module, cell.Sum(entry => entry.Count), cell.Sum(entry => entry.Scalars))),
        ]);

    private static Picture Density((string Place, string Module, long Count, long Scalars)[] cells)
    {
        if (cells.Length == 0)
        {
            throw new ArgumentException("The graft has no considered parameter: there is nothing to show.", nameof(cells));
        }

        string[] places = [.. cells.Select(cell => cell.Place).Distinct(StringComparer.Ordinal)],
            modules = [.. Modules.Where(module => Array.Exists(cells, cell => cell.Module == module))];
        long count = cells.Sum(cell => cell.Count),
            scalars = cells.Sum(cell => cell.Scalars);
        double mean = (double)count / scalars;
        double[,] densities = GraftPictures.Matrix(
            places,
            modules,
            cells.Select(cell => (cell.Place, cell.Module, (double)cell.Count / cell.Scalars))
        );
        (string Place, string Module, long Count, long Scalars) densest = cells.MaxBy(cell => (double)cell.Count / cell.Scalars);
        return Matrices.Draw(
            "Skill map: where the graft lies",
            $"{Words.Count(count, "scalar")} of {scalars.ToString("#,0", CultureInfo.InvariantCulture)} are in the graft, {Words.Percent(mean)}. It is densest in "
                + $"{densest.Module} of {densest.Place}: {Words.Percent((double)densest.Count / densest.Scalars)}. Cells have densities in per cent.",
            "",
            places,
            "",
            modules,
            densities,
            Heat.Over("density", densities.Cast<double>(), low: 0),
            (row, column) =>
                double.IsNaN(densities[row, column]) ? "" : (100 * densities[row, column]).ToString("0.###", CultureInfo.InvariantCulture)
        );
    }

    /// <summary>How many coordinates are in exactly these tasks' masks, against what chance would give (UpSet: Lex et al. 2014).</summary>
    public static Picture Of(IReadOnlyDictionary<string, Graft> grafts)
    {
        string[] tasks = [.. grafts.Keys];
        if (tasks.Length is < 2 or > MostTasks)
        {
            throw new ArgumentException(
                FormattableString.Invariant($"There are {tasks.Length} grafts; combinations are shown of 2 to {MostTasks}."),
                nameof(grafts)
            );
        }

        Graft[] all = [.. grafts.Values];
        if (Array.Exists(all, graft => graft.BaseFingerprint != all[0].BaseFingerprint))
        {
            throw new ArgumentException(
                "The grafts are for different base models, so their masks have no coordinates in common.",
                nameof(grafts)
            );
        }

        var counts = new Dictionary<int, long>();
        foreach (string name in all.SelectMany(graft => graft.Parts).Select(part => part.Name).Distinct(StringComparer.Ordinal))
        {
            var members = new Dictionary<int, int>();
            for (int task = 0; task < all.Length; task++)
            {
                foreach (int index in all[task].Parts.Where(part => part.Name == name).SelectMany(part => part.Indices))
                {
                    members[index] = members.GetValueOrDefault(index) | (1 << task);
                }
            }

            foreach (IGrouping<int, int> group in members.Values.GroupBy(member => member))
            {
                counts[group.Key] = counts.GetValueOrDefault(group.Key) + group.Count();
            }
        }

        long considered = all.Max(graft => graft.ConsideredCount);
        (int Members, long Count, double Expected)[] combinations =
        [
            .. counts
                .OrderByDescending(pair => pair.Value)
                .ThenBy(pair => pair.Key)
                .Take(MostCombinations)
                .Select(pair => (pair.Key, pair.Value, Expected(pair.Key))),
        ];
        if (combinations.Length == 0)
        {
            throw new ArgumentException("The grafts have no coordinate: there is nothing to show.", nameof(grafts));
        }

        (int Members, long Count, double Expected) shared = combinations
            .Where(each => int.PopCount(each.Members) > 1)
            .DefaultIfEmpty()
            .MaxBy(each => each.Count);
        return new(
            "Coordinates that masks have in common",
            (
                shared.Count == 0
                    ? "No coordinate is in two masks. "
                    : $"The largest overlap is that of {Names(shared.Members)}: {Words.Count(shared.Count, "coordinate")}, "
                        + $"{(considered > 0 ? $"against {Words.Number(Math.Round(shared.Expected, 1))} by chance" : "")}. "
            )
                + "Bars count coordinates in exactly the marked masks, on a logarithmic scale; the orange marks say how many independent masks of the same sizes "
                + "would give.",
            Table.Of(
                ["Masks", "Tasks", "Count", "ExpectedIfIndependent"],
                combinations.Select(each =>
                    (IReadOnlyList<object>)[Names(each.Members), int.PopCount(each.Members), each.Count, each.Expected]
                )
            ),
            isVector => Draw(isVector, tasks, combinations)
        );

        string Names(int members) =>
            string.Join(" & ", tasks.Where((_, task) => (members >> task & 1) == 1).Select(task => Words.Short(task, 24)));

        double Expected(int members) =>
            considered == 0
                ? double.NaN
                : considered
                    * all.Select((graft, task) => (members >> task & 1) == 1 ? graft.Share : 1 - graft.Share)
                        .Aggregate(1.0, (product, share) => product * share);
    }

    private static Chart Draw(bool isVector, string[] tasks, (int Members, long Count, double Expected)[] combinations)
    {
        // Bars above, masks below; a tenth of a power of ten is a unit of neither.
        double most = Math.Max(
                Math.Log10(combinations.Max(each => Math.Max(each.Count, double.IsFinite(each.Expected) ? each.Expected : 0))),
                1
            ),
            row = most / 8,
            low = -row * (tasks.Length + 0.6);
        double[] powers =
        [
            .. Enumerable
                .Range(0, (int)Math.Floor(most) + 1)
                .Where(power => power % (most > 5 ? 2 : 1) == 0)
                .Select(power => (double)power),
        ];
        var y = new Scale(
            "",
            low,
            most * 1.08,
            [.. tasks.Select((_, task) => -row * (task + 1)), .. powers],
            [
                .. tasks.Select(task => Words.Short(task, 16)),
                .. powers.Select(power => Math.Pow(10, power).ToString("#,0", CultureInfo.InvariantCulture)),
            ]
        );
        var chart = new Chart(
            isVector,
            new Scale("combinations of masks", -0.7, combinations.Length - 0.3, [], []),
            y,
            280 + (18 * tasks.Length)
        );
        for (int i = 0; i < combinations.Length; i++)
        {
            (int members, long count, double expected) = combinations[i];
            chart.Bar(i - 0.35, i + 0.35, 0, Math.Max(Math.Log10(count), 0.02), 0, 0.8);
            if (expected >= 1)
            {
                chart.Segment(i - 0.45, Math.Log10(expected), i + 0.45, Math.Log10(expected), 1, 0, 2.4f);
            }

            int[] marked = [.. Enumerable.Range(0, tasks.Length).Where(task => (members >> task & 1) == 1)];
            if (marked.Length > 1)
            {
                chart.Segment(i, -row * (marked[0] + 1), i, -row * (marked[^1] + 1), Theme.Control, 0, 1.6f);
            }

            foreach (int task in marked)
            {
                chart.Points([i], [-row * (task + 1)], 0, null, 8);
            }
        }

        chart.AddToLegend("coordinates in exactly these masks", 0, 0, hasLine: false, hasMark: true);
        chart.AddToLegend("if the masks were independent", 1, 0, hasLine: true, hasMark: false);
        return chart;
    }
}
