using ScottPlot;

namespace SkillLoc.Reports.Drawing;

/// <summary>What the cells of a heat map mean.</summary>
/// <param name="Title">What their values measure.</param>
/// <param name="Low">The value of the first colour.</param>
/// <param name="High">The value of the last.</param>
/// <param name="IsDiverging">Whether the middle is a neutral value.</param>
internal sealed record Heat(string Title, double Low, double High, bool IsDiverging = false)
{
    // Dark on one end of either, so that they are told apart in grey, too.
    private static readonly IColormap Sequential = new ScottPlot.Colormaps.Viridis();

    private static readonly IColormap Diverging = new ScottPlot.Colormaps.CustomInterpolated([
        Color.FromHex("#0B3C8C"),
        Color.FromHex("#6FA8DC"),
        Color.FromHex("#F4F4F2"),
        Color.FromHex("#F0A050"),
        Color.FromHex("#8C3A00"),
    ]);

    public IColormap Colours => IsDiverging ? Diverging : Sequential;

    /// <summary>Colours for all finite values.</summary>
    public static Heat Over(string title, IEnumerable<double> values, double? low = null, double? high = null)
    {
        double[] finite = [.. values.Where(double.IsFinite)];
        double least = low ?? (finite.Length == 0 ? 0 : finite.Min()),
            most = high ?? (finite.Length == 0 ? 1 : finite.Max());
        return new(title, least, most > least ? most : least + Math.Max(Math.Abs(least) * 0.1, 1e-9));
    }

    /// <summary>Colours for values around 0.</summary>
    public static Heat AroundZero(string title, IEnumerable<double> values)
    {
        double most = values.Where(double.IsFinite).Select(Math.Abs).DefaultIfEmpty(1).Max();
        return new(title, -Math.Max(most, 1e-9), Math.Max(most, 1e-9), IsDiverging: true);
    }

    public Color Of(double value) => Colours.GetColor(Math.Clamp((value - Low) / (High - Low), 0, 1));

    /// <summary>A colour for letters on a cell, by its relative luminance.</summary>
    public string InkOn(double value)
    {
        Color colour = Of(value);
        return (0.2126 * Linear(colour.R)) + (0.7152 * Linear(colour.G)) + (0.0722 * Linear(colour.B)) > 0.18 ? "#0A0A0A" : "#FDFDFD";

        static double Linear(byte part) => Math.Pow(part / 255.0, 2.2);
    }
}
