using System.Text;
using ScottPlot;
using SkiaSharp;
using SkillLoc.Evaluators;

namespace SkillLoc.ConnectivityStudy;

/// <summary>Paths as pictures.</summary>
public static class PathPlot
{
    private const int Width = 520,
        Height = 360,
        LegendMargin = 30,
        LegendLine = 20;
    private const string Levels = "▁▂▃▄▅▆▇█";

    private static readonly string[] SansSerif = ["Arial", "Helvetica", "Liberation Sans", "DejaVu Sans"];

    // Told apart by people who do not see all colours (Wong 2011).
    private static readonly ScottPlot.Palettes.ColorblindFriendly Colours = new();

    /// <summary>Whether the system has a font to draw letters with; pictures have none otherwise.</summary>
    public static bool HasLetters => SKTypeface.Default.ContainsGlyph('a');

    /// <summary>Two panels over the place on the path, loss and metric, with a line for each path and a legend; curves are
    /// dashed.</summary>
    /// <param name="paths">At least one path.</param>
    /// <returns>An SVG document.</returns>
    public static string Svg(IReadOnlyList<PathResult> paths)
    {
        int height = Height + LegendMargin + (LegendLine * paths.Count);
        using Plot loss = Panel("loss", paths, point => point.Loss),
            metric = Panel("metric", paths, point => point.Metric);
        using var svg = new MemoryStream();
        using (SKCanvas canvas = SKSvgCanvas.Create(SKRect.Create(2 * Width, height), svg))
        using (var paint = Paint.NewDisposablePaint())
        {
            canvas.Clear(SKColors.White);
            loss.Render(canvas, new PixelRect(0, Width, Height, 0));
            metric.Render(canvas, new PixelRect(Width, 2 * Width, Height, 0));
            loss.Legend.Render(canvas, paint, new PixelRect(LegendMargin, 2 * Width, height, Height), Alignment.UpperLeft);
        }

        return Encoding.UTF8.GetString(svg.ToArray());
    }

    /// <summary>A line of text with a block for each point, between the lowest value and the highest.</summary>
    public static string Sparkline(IReadOnlyList<double> values)
    {
        double low = values.Min(),
            span = values.Max() - low;
        return string.Concat(values.Select(value => Levels[span > 0 ? (int)Math.Round((value - low) / span * (Levels.Length - 1)) : 0]));
    }

    private static Plot Panel(string title, IReadOnlyList<PathResult> paths, Func<InterpolationPoint, double> value)
    {
        var plot = new Plot();
        plot.RenderManager.ClearCanvasBeforeEachRender = false; // Else the second panel paints over the first.
        plot.Title(title);
        plot.Legend.IsVisible = false;
        plot.Legend.Orientation = Orientation.Vertical;
        plot.Legend.SymbolWidth = 30;
        plot.Legend.OutlineWidth = 0;
        plot.Legend.ShadowColor = Colors.Transparent;
        for (int i = 0; i < paths.Count; i++)
        {
            PathResult path = paths[i];
            ScottPlot.Plottables.Scatter line = plot.Add.ScatterLine(
                path.Points.Select(point => point.X).ToArray(),
                path.Points.Select(value).ToArray(),
                Colours.GetColor(i)
            );
            line.LineWidth = 1.6f;
            line.LinePattern = path.IsCurve ? LinePattern.Dashed : LinePattern.Solid;
            line.LegendText = $"{path.Method}: {path.Pair}, on {path.Task}{(path.IsCurve ? ", curve" : "")}";
        }

        if (Array.Find(SansSerif, SKFontManager.Default.FontFamilies.Contains) is { } font)
        {
            plot.Font.Set(font);
        }

        plot.RenderInMemory(Width, Height); // Limits are found in a first rendering, which would be in the picture, too.
        return plot;
    }
}
