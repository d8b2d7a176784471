using System.Globalization;

namespace SkillLoc.Reports.Drawing;

/// <summary>An axis: its limits, and where it has which letters.</summary>
/// <param name="Title">What it measures.</param>
/// <param name="Low">The lower limit.</param>
/// <param name="High">The upper limit.</param>
/// <param name="Places">Where it is lettered, in order.</param>
/// <param name="Labels">The letters there.</param>
internal sealed record Scale(string Title, double Low, double High, double[] Places, string[] Labels)
{
    private const int LongestName = 22,
        MostNames = 26;

    /// <summary>Whether the labels are names, which may be long.</summary>
    public bool HasNames { get; private init; }

    /// <summary>An axis of numbers, which is lettered at round ones.</summary>
    public static Scale Of(string title, double low, double high, int wanted = 6)
    {
        if (!(high > low))
        {
            double around = double.IsFinite(low) ? low : 0,
                half = around == 0 ? 1 : Math.Abs(around) / 10;
            (low, high) = (around - half, around + half);
        }

        double raw = (high - low) / wanted,
            power = Math.Pow(10, Math.Floor(Math.Log10(raw))),
            step =
                power
                * (
                    raw / power <= 1 ? 1
                    : raw / power <= 2 ? 2
                    : raw / power <= 5 ? 5
                    : 10
                );
        var places = new List<double>();
        for (double i = Math.Ceiling((low / step) - 1e-9); i * step <= high + (step * 1e-9) && places.Count < 50; i++)
        {
            places.Add(i * step);
        }

        int decimals = Math.Clamp(-(int)Math.Floor(Math.Log10(step) + 1e-9), 0, 10);
        return new(title, low, high, [.. places], [.. places.Select(Label)]);

        string Label(double value) =>
            Math.Abs(value) < step / 2 ? "0"
            : Math.Abs(value) >= 1e6 || step < 1e-6 ? value.ToString("0.##E+0", CultureInfo.InvariantCulture)
            : value.ToString("F" + decimals.ToString(CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
    }

    /// <summary>An axis around values, with some room on both sides.</summary>
    public static Scale Around(string title, IEnumerable<double> values, double? low = null, double? high = null)
    {
        double[] finite = [.. values.Where(double.IsFinite)];
        double least = finite.Length == 0 ? 0 : finite.Min(),
            most = finite.Length == 0 ? 1 : finite.Max(),
            room = most > least ? (most - least) * 0.06 : Math.Max(Math.Abs(most) * 0.1, 1e-3);
        return Of(title, low ?? (least - room), high ?? (most + room));
    }

    /// <summary>An axis from 0 to 1.</summary>
    public static Scale Share(string title) => Of(title, 0, 1, 5);

    /// <summary>An axis of powers of ten; places are decimal logarithms.</summary>
    public static Scale Logarithmic(string title, double least, double most)
    {
        double low = Math.Floor(Math.Log10(least) + 0.02),
            high = Math.Max(Math.Ceiling(Math.Log10(most) - 0.02), low + 1);
        int step = Math.Max(1, (int)Math.Ceiling((high - low) / 7));
        double[] places = [.. Enumerable.Range(0, (int)((high - low) / step) + 1).Select(i => low + (i * step))];
        return new(title, low - 0.1, high + 0.1, places, [.. places.Select(Power)]);

        static string Power(double place) =>
            place is >= -4 and <= 5
                ? Math.Pow(10, place).ToString("0.#####", CultureInfo.InvariantCulture)
                : string.Create(CultureInfo.InvariantCulture, $"1E{place}");
    }

    /// <summary>An axis of names at 0, 1, ... Of very many, some are lettered.</summary>
    public static Scale Names(string title, IReadOnlyList<string> names)
    {
        int step = ((names.Count - 1) / MostNames) + 1;
        int[] shown = [.. Enumerable.Range(0, names.Count).Where(i => i % step == 0)];
        return new(
            title,
            -0.5,
            names.Count - 0.5,
            [.. shown.Select(i => (double)i)],
            [.. shown.Select(i => Words.Short(names[i], LongestName))]
        )
        {
            HasNames = true,
        };
    }
}
