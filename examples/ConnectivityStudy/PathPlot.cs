using System.Globalization;
using System.Net;
using System.Text;
using SkillLoc.Evaluators;

namespace SkillLoc.ConnectivityStudy;

/// <summary>Paths as pictures.</summary>
public static class PathPlot
{
    private const int Width = 420, Height = 260, Margin = 46, LegendLine = 16;
    private const string Levels = "▁▂▃▄▅▆▇█";

    // Told apart by people who do not see all colours (Okabe and Ito 2008).
    private static readonly string[] Colours = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"];

    /// <summary>Two panels over the place on the path, loss and metric, with a line for each path and a legend; curves are dashed.</summary>
    /// <param name="paths">At least one path.</param>
    /// <returns>An SVG document.</returns>
    public static string Svg(IReadOnlyList<PathResult> paths)
    {
        int height = Height + (2 * Margin) + (LegendLine * paths.Count), width = 2 * (Width + (2 * Margin));
        var svg = new StringBuilder();
        svg.AppendLine(CultureInfo.InvariantCulture,
            $"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"11\">");
        svg.AppendLine("<rect width=\"100%\" height=\"100%\" fill=\"white\"/>");
        Panel(svg, "loss", Margin, paths, point => point.Loss);
        Panel(svg, "metric", Width + (3 * Margin), paths, point => point.Metric);
        for (int i = 0; i < paths.Count; i++)
        {
            int y = Height + (2 * Margin) + (LegendLine * i);
            svg.AppendLine(CultureInfo.InvariantCulture, $"<path d=\"M{Margin} {y - 4}h24\" {Stroke(paths[i], i)}/>");
            svg.AppendLine(CultureInfo.InvariantCulture,
                $"<text x=\"{Margin + 30}\" y=\"{y}\">{WebUtility.HtmlEncode($"{paths[i].Method}: {paths[i].Pair}, on {paths[i].Task}{(paths[i].IsCurve ? ", curve" : "")}")}</text>");
        }

        return svg.AppendLine("</svg>").ToString();
    }

    /// <summary>A line of text with a block for each point, between the lowest value and the highest.</summary>
    public static string Sparkline(IReadOnlyList<double> values)
    {
        double low = values.Min(), span = values.Max() - low;
        return string.Concat(values.Select(value => Levels[span > 0 ? (int)Math.Round((value - low) / span * (Levels.Length - 1)) : 0]));
    }

    private static void Panel(StringBuilder svg, string title, int left, IReadOnlyList<PathResult> paths, Func<InterpolationPoint, double> value)
    {
        double low = paths.Min(path => path.Points.Min(value)), high = paths.Max(path => path.Points.Max(value));
        double span = high > low ? high - low : 1;
        svg.AppendLine(CultureInfo.InvariantCulture, $"<text x=\"{left}\" y=\"{Margin - 10}\" font-weight=\"bold\">{title}</text>");
        svg.AppendLine(CultureInfo.InvariantCulture, $"<path d=\"M{left} {Margin}v{Height}h{Width}\" fill=\"none\" stroke=\"gray\"/>");
        foreach (double share in new[] { 0, 0.5, 1 })
        {
            svg.AppendLine(CultureInfo.InvariantCulture, $"<text x=\"{left - 6}\" y=\"{Y(low + (share * span)) + 4:F1}\" text-anchor=\"end\">{low + (share * span):0.00}</text>");
            svg.AppendLine(CultureInfo.InvariantCulture, $"<text x=\"{left + (share * Width):F1}\" y=\"{Margin + Height + 16}\" text-anchor=\"middle\">{share:0.0}</text>");
        }

        for (int i = 0; i < paths.Count; i++)
        {
            string points = string.Join(' ', paths[i].Points.Select(point =>
                string.Create(CultureInfo.InvariantCulture, $"{left + (point.X * Width):F1},{Y(value(point)):F1}")));
            svg.AppendLine(CultureInfo.InvariantCulture, $"<polyline points=\"{points}\" {Stroke(paths[i], i)}/>");
        }

        double Y(double place) => Margin + (Height * (1 - ((place - low) / span)));
    }

    private static string Stroke(PathResult path, int number) =>
        $"fill=\"none\" stroke-width=\"1.6\" stroke=\"{Colours[number % Colours.Length]}\"{(path.IsCurve ? " stroke-dasharray=\"5 3\"" : "")}";
}
