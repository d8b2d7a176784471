namespace SkillLoc.ConnectivityStudy;

/// <summary>Numbers as a line of text.</summary>
public static class Sparkline
{
    private const string Levels = "▁▂▃▄▅▆▇█";

    /// <summary>A line of text with a block for each point, between the lowest value and the highest.</summary>
    public static string Of(IReadOnlyList<double> values)
    {
        double low = values.Min(),
            span = values.Max() - low;
        return string.Concat(values.Select(value => Levels[span > 0 ? (int)Math.Round((value - low) / span * (Levels.Length - 1)) : 0]));
    }
}
