using System.Globalization;
using System.Text;
using ScottPlot;
using SkiaSharp;
using SkillLoc.Evaluators;

namespace SkillLoc.PublishedModels;

/// <summary>What was measured, as tables and as a picture.</summary>
public sealed class Report(CheckpointDistanceMetrics distances, IReadOnlyList<PathPoint> points)
{
    private const int Width = 440,
        Height = 340;

    private static readonly ScottPlot.Palettes.ColorblindFriendly Colours = new();

    /// <summary>Writes <c>results.md</c> and <c>published-models.svg</c>.</summary>
    /// <exception cref="IOException">A file cannot be written.</exception>
    public void Save(string folder)
    {
        File.WriteAllText(Path.Join(folder, "results.md"), Markdown());
        File.WriteAllText(Path.Join(folder, "published-models.svg"), Svg());
    }

    /// <summary>The tables.</summary>
    public string Markdown()
    {
        var text = new StringBuilder("| where | scalars | L2 | root of the mean square | cosine |\n|---|---|---|---|---|\n");
        foreach (CheckpointDistanceEntry entry in distances.Layers.Prepend(distances.Whole))
        {
            string name =
                entry.Region.Length == 0 ? "all"
                : entry.Layer < 0 ? entry.Region
                : $"layer {entry.Layer + 1}";
            text.AppendLine(Row(name, entry));
        }

        text.AppendLine().AppendLine("| kind | scalars | L2 | root of the mean square | cosine |").AppendLine("|---|---|---|---|---|");
        foreach (CheckpointDistanceEntry entry in distances.Kinds.OrderByDescending(kind => kind.MeanL2))
        {
            text.AppendLine(Row($"`{entry.Kind}`", entry));
        }

        text.AppendLine()
            .AppendLine("| merge | t | pooling | paraphrase is nearest | question of the same kind is nearest | SST-2, fine-tuned |")
            .AppendLine("|---|---|---|---|---|---|");
        foreach (PathPoint point in points)
        {
            string tuned =
                point.FineTuned.Count == 0
                    ? ""
                    : $"{Percent(point.FineTuned.Average())} ({Percent(point.FineTuned.Min())} to {Percent(point.FineTuned.Max())})";
            text.AppendLine(
                CultureInfo.InvariantCulture,
                $"| {point.Method} | {point.T:0.0} | {point.Pooling} | {Percent(point.Paraphrases)} | {Percent(point.Questions)} | {tuned} |"
            );
        }

        return text.ToString();

        static string Row(string name, CheckpointDistanceEntry entry) =>
            string.Create(
                CultureInfo.InvariantCulture,
                $"| {name} | {entry.Count:N0} | {entry.L2:0.00} | {entry.MeanL2:0.0000} | {entry.Cosine:0.000} |"
            );

        static string Percent(double value) => string.Create(CultureInfo.InvariantCulture, $"{100 * value:0.0} %");
    }

    /// <summary>Three panels: distance by layer, and both kinds of retrieval on the path.</summary>
    public string Svg()
    {
        using Plot layers = Layers(),
            paraphrases = OnPath("A sentence's paraphrase is nearest", point => point.Paraphrases),
            questions = OnPath("A question of the same kind is nearest", point => point.Questions);
        using var svg = new MemoryStream();
        using (SKCanvas canvas = SKSvgCanvas.Create(SKRect.Create(3 * Width, Height), svg))
        {
            canvas.Clear(SKColors.White);
            layers.Render(canvas, new PixelRect(0, Width, Height, 0));
            paraphrases.Render(canvas, new PixelRect(Width, 2 * Width, Height, 0));
            questions.Render(canvas, new PixelRect(2 * Width, 3 * Width, Height, 0));
        }

        return Encoding.UTF8.GetString(svg.ToArray());
    }

    private Plot Layers()
    {
        CheckpointDistanceEntry[] places = [.. distances.Layers.Where(layer => layer.Layer >= 0 || layer.Region == "Embeddings")];
        Plot plot = Panel("Cosine of the two models' weights");
        plot.Add.Bars(places.Select(place => place.Cosine).ToArray()).Color = Colours.GetColor(0);
        plot.Axes.Bottom.SetTicks(
            [.. places.Select((_, i) => (double)i)],
            [.. places.Select(place => place.Layer < 0 ? "embeddings" : $"layer {place.Layer + 1}")]
        );
        plot.Axes.SetLimitsY(0, 1);
        return Rendered(plot);
    }

    private Plot OnPath(string title, Func<PathPoint, double> value)
    {
        Plot plot = Panel(title);
        int i = 0;
        foreach (IGrouping<(string, string), PathPoint> line in points.GroupBy(point => (point.Method, point.Pooling)))
        {
            ScottPlot.Plottables.Scatter drawn = plot.Add.ScatterLine(
                line.Select(point => point.T).ToArray(),
                line.Select(point => 100 * value(point)).ToArray(),
                Colours.GetColor(i % 2 == 0 ? 0 : 1)
            );
            drawn.LinePattern = i < 2 ? LinePattern.Solid : LinePattern.Dashed;
            drawn.LineWidth = 1.6f;
            drawn.LegendText = $"{line.Key.Item1}, {(line.Key.Item2 == "Mean" ? "mean" : "first token")}";
            i++;
        }

        plot.Axes.Bottom.Label.Text = "0: all-MiniLM-L6-v2, 1: arctic-embed-xs";
        plot.Axes.Left.Label.Text = "% of queries";
        plot.ShowLegend(Alignment.LowerLeft);
        return Rendered(plot);
    }

    private static Plot Panel(string title)
    {
        var plot = new Plot();
        plot.RenderManager.ClearCanvasBeforeEachRender = false; // Else each panel paints over the one before.
        plot.Title(title, 15);
        if (
            SKFontManager.Default.FontFamilies.FirstOrDefault(family => family is "Arial" or "Liberation Sans" or "DejaVu Sans") is { } font
        )
        {
            plot.Font.Set(font);
        }

        return plot;
    }

    private static Plot Rendered(Plot plot)
    {
        plot.RenderInMemory(Width, Height); // Limits are found in a first rendering, which would be in the picture, too.
        return plot;
    }
}
