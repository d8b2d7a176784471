namespace SkillLoc.Studies;

/// <summary>Numbers as a line of text.</summary>
public static class Sparkline
{
    private const string Levels = "▁▂▃▄▅▆▇█";

    /// <summary>A line of text with a block for each value, between the lowest and the highest; a space for what is no number.</summary>
    /// <param name="values">The values, in order.</param>
    /// <param name="width">The most blocks, of which each is the mean of some neighbours; null for one a value.</param>
    /// <returns>The line; empty without values.</returns>
    public static string Of(IReadOnlyList<double> values, int? width = null)
    {
        ArgumentNullException.ThrowIfNull(values);
        int blocks = Math.Min(values.Count, width ?? values.Count);
        double[] means =
        [
            .. Enumerable
                .Range(0, blocks)
                .Select(i =>
                    values
                        .Take((int)((i + 1L) * values.Count / blocks))
                        .Skip((int)((long)i * values.Count / blocks))
                        .Where(double.IsFinite)
                        .DefaultIfEmpty(double.NaN)
                        .Average()
                ),
        ];
        double[] finite = [.. means.Where(double.IsFinite)];
        double low = finite.DefaultIfEmpty(0).Min(),
            span = finite.DefaultIfEmpty(0).Max() - low;
        return string.Concat(means.Select(Block));

        char Block(double value) =>
            !double.IsFinite(value) ? ' '
            : span > 0 ? Levels[(int)Math.Round((value - low) / span * (Levels.Length - 1))]
            : Levels[0];
    }
}
