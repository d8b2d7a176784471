using ScottPlot;
using ScottPlot.Plottables;
using SkiaSharp;

namespace SkillLoc.Reports.Drawing;

/// <summary>A plot of ScottPlot in the style of the reports.</summary>
internal sealed class Chart : IDisposable
{
    /// <summary>The width in units that are pixels on a page where the picture has its own size.</summary>
    public const int Width = 460;

    private const int UsualHeight = 310,
        LegendLine = 20,
        LegendMargin = 8,
        MostLegendLines = 10,
        LongestLegend = 52,
        MostRectangles = 1500;
    private const float Letters = 12;

    private static readonly string[] SansSerif = ["Arial", "Helvetica", "Liberation Sans", "DejaVu Sans"];

    private static readonly MarkerShape[] Shapes =
    [
        MarkerShape.FilledCircle,
        MarkerShape.FilledSquare,
        MarkerShape.FilledTriangleUp,
        MarkerShape.FilledDiamond,
        MarkerShape.FilledTriangleDown,
        MarkerShape.OpenCircle,
        MarkerShape.OpenSquare,
    ];

    private readonly Plot _plot = new();
    private readonly bool _isVector;
    private readonly Dictionary<string, string> _replaced;
    private readonly List<LegendItem> _legend = [];

    /// <summary>Draws axes.</summary>
    /// <param name="isVector">Whether the picture becomes SVG, whose writer knows neither dashes nor letters that no font has.</param>
    /// <param name="x">The horizontal axis.</param>
    /// <param name="y">The vertical axis; names stand from the top.</param>
    /// <param name="height">The height without the legend.</param>
    public Chart(bool isVector, Scale x, Scale y, int height = UsualHeight)
    {
        (_isVector, AreaHeight) = (isVector, height);
        _replaced = new(StringComparer.Ordinal);
        _plot.RenderManager.ClearCanvasBeforeEachRender = false; // A rendering that finds the limits would stay under the next.
        _plot.FigureBackground.Color = Colors.Transparent;
        _plot.DataBackground.Color = Colors.Transparent;
        _plot.Font.Set(Font.FamilyName);
        _plot.Axes.Color(Color.FromHex(Theme.Ink));
        _plot.Grid.MajorLineColor = Color.FromHex(Theme.Grid);
        _plot.Axes.Top.FrameLineStyle.Width = 0;
        _plot.Axes.Right.FrameLineStyle.Width = 0;
        _plot.Axes.Right.MinimumSize = 14;
        _plot.Axes.Top.MinimumSize = 10;
        Letter(_plot.Axes.Bottom, x, false);
        Letter(_plot.Axes.Left, y, y.HasNames);
        _plot.Axes.SetLimits(x.Low, x.High, y.Low, y.High);
        if (x.HasNames && y.HasNames)
        {
            _plot.HideGrid();
        }
    }

    /// <summary>The font; without any on the system its letters are not drawn.</summary>
    public static SKTypeface Font { get; } =
        Array.Find(SansSerif, SKFontManager.Default.FontFamilies.Contains) is { } name
            ? SKTypeface.FromFamilyName(name)
            : SKTypeface.Default;

    /// <summary>Whether the system has a font to draw letters with.</summary>
    public static bool HasLetters => Font.ContainsGlyph('a');

    /// <summary>What stands in the picture for texts that the font lacks letters of.</summary>
    public IReadOnlyDictionary<string, string> Replaced => _replaced;

    /// <summary>The height without the legend.</summary>
    public int AreaHeight { get; }

    /// <summary>The height with the legend.</summary>
    public int Height => AreaHeight + (_legend.Count == 0 ? 0 : (_legend.Count * LegendLine) + LegendMargin);

    public void Dispose() => _plot.Dispose();

    /// <summary>A line with markers, broken where a number is missing.</summary>
    public void Line(
        IReadOnlyList<double> xs,
        IReadOnlyList<double> ys,
        int series,
        int pattern = 0,
        string? name = null,
        bool marks = true
    )
    {
        for (int i = 0; i < xs.Count; i++)
        {
            int start = i;
            while (i < xs.Count && double.IsFinite(xs[i]) && double.IsFinite(ys[i]))
            {
                i++;
            }

            if (i - start > 1)
            {
                Scatter line = _plot.Add.ScatterLine(
                    xs.Skip(start).Take(i - start).ToArray(),
                    ys.Skip(start).Take(i - start).ToArray(),
                    Paint(series, pattern)
                );
                line.LineWidth = 1.8f;
                line.LinePattern = Dashes(pattern);
            }
        }

        if (marks)
        {
            Points(xs, ys, series);
        }

        if (name is not null)
        {
            AddToLegend(name, series, pattern, hasLine: true, hasMark: marks);
        }
    }

    /// <summary>Markers alone.</summary>
    public void Points(
        IReadOnlyList<double> xs,
        IReadOnlyList<double> ys,
        int series,
        string? name = null,
        float size = 6,
        double opacity = 1
    )
    {
        int[] finite = [.. Enumerable.Range(0, xs.Count).Where(i => double.IsFinite(xs[i]) && double.IsFinite(ys[i]))];
        if (finite.Length > 0)
        {
            Scatter points = _plot.Add.ScatterPoints(
                finite.Select(i => xs[i]).ToArray(),
                finite.Select(i => ys[i]).ToArray(),
                Paint(series, 0).WithAlpha(opacity)
            );
            points.MarkerShape = Shapes[series % Shapes.Length];
            points.MarkerSize = size;
            points.MarkerLineWidth = 1.4f;
        }

        if (name is not null)
        {
            AddToLegend(name, series, 0, hasLine: false, hasMark: true);
        }
    }

    /// <summary>A translucent band, where both bounds are numbers.</summary>
    public void Band(IReadOnlyList<double> xs, IReadOnlyList<double> lows, IReadOnlyList<double> highs, int series, double opacity = 0.2)
    {
        int[] finite = [.. Enumerable.Range(0, xs.Count).Where(i => double.IsFinite(lows[i]) && double.IsFinite(highs[i]))];
        if (finite.Length > 1)
        {
            FillY band = _plot.Add.FillY(
                finite.Select(i => xs[i]).ToArray(),
                finite.Select(i => lows[i]).ToArray(),
                finite.Select(i => highs[i]).ToArray()
            );
            band.FillColor = Paint(series, 0).WithAlpha(opacity);
            band.LineWidth = 0;
            band.MarkerSize = 0;
        }
    }

    /// <summary>An interval as a thin upright line.</summary>
    public void Interval(double x, double low, double high, int series)
    {
        if (double.IsFinite(low) && double.IsFinite(high))
        {
            Segment(x, low, x, high, series, 0, 1.2f);
        }
    }

    /// <summary>A straight line.</summary>
    public void Segment(double x1, double y1, double x2, double y2, int series, int pattern = 0, float width = 1.2f)
    {
        LinePlot line = _plot.Add.Line(x1, y1, x2, y2);
        line.LineColor = Paint(series, pattern);
        line.LinePattern = Dashes(pattern);
        line.LineWidth = width;
        line.MarkerSize = 0;
    }

    /// <summary>A bar, translucent if asked.</summary>
    public void Bar(double left, double right, double bottom, double top, int series, double opacity = 1)
    {
        if (double.IsFinite(bottom) && double.IsFinite(top))
        {
            Rectangle bar = _plot.Add.Rectangle(left, right, bottom, top);
            bar.FillColor = Paint(series, 0).WithAlpha(opacity);
            bar.LineWidth = 0;
        }
    }

    /// <summary>Letters around a place: in a colour of the theme, or in one that is the same on every page; on a ground of their own if
    /// asked.</summary>
    public void Write(string text, double x, double y, string colour = Theme.Ink, float size = 11, string? ground = null)
    {
        Text label = _plot.Add.Text(Drawable(text), x, y);
        label.LabelFontSize = size;
        label.LabelFontColor = Color.FromHex(colour);
        label.LabelAlignment = Alignment.MiddleCenter;
        label.LabelFontName = Font.FamilyName;
        if (ground is not null)
        {
            label.LabelBackgroundColor = Color.FromHex(ground).WithAlpha(0.75);
            label.LabelPadding = 2;
        }
    }

    /// <summary>Cells of a heat map at 0, 1, ..., the first row on top, with a bar that tells their colours.</summary>
    public void Cells(double[,] values, Heat heat, Func<int, int, string>? text = null)
    {
        int rows = values.GetLength(0),
            columns = values.GetLength(1);
        double[,] finite = (double[,])values.Clone();
        for (int i = 0; i < values.Length; i++)
        {
            ref double value = ref finite[i / columns, i % columns];
            value = double.IsFinite(value) ? value : double.NaN;
        }

        if (finite.Cast<double>().Any(double.IsFinite))
        {
            AddHeatmap(finite, heat);
        }

        for (int row = 0; text is not null && row < rows; row++)
        {
            for (int column = 0; column < columns; column++)
            {
                if (text(row, column) is { Length: > 0 } letters)
                {
                    string ink = double.IsFinite(values[row, column]) ? heat.InkOn(values[row, column]) : Theme.Ink;
                    Write(letters, column, rows - 1 - row, ink, rows > 10 || columns > 7 ? 9 : 11);
                }
            }
        }
    }

    /// <summary>Lines of equal value over the cells of a heat map, the first row on top; none where a number is missing.</summary>
    public void IsoLines(double[,] values, double[] levels)
    {
        int rows = values.GetLength(0),
            columns = values.GetLength(1);
        var grid = new Coordinates3d[rows, columns];
        for (int row = 0; row < rows; row++)
        {
            for (int column = 0; column < columns; column++)
            {
                grid[row, column] = new(column, rows - 1 - row, values[row, column]);
            }
        }

        ContourLines lines = _plot.Add.ContourLines(grid);
        lines.ContourLineLevels = levels;
        lines.Update(grid);
        lines.LineColor = Color.FromHex(Theme.OnHeat).WithAlpha(0.55);
        lines.LineWidth = 1;
        lines.LabelStyle.IsVisible = false;
    }

    private void AddHeatmap(double[,] values, Heat heat)
    {
        Heatmap map = _plot.Add.Heatmap(values);
        map.Colormap = heat.Colours;
        map.ManualRange = new(heat.Low, heat.High);
        map.Rectangle = new CoordinateRect(-0.5, values.GetLength(1) - 0.5, -0.5, values.GetLength(0) - 0.5);
        map.NaNCellColor = Colors.Transparent;
        map.RenderStrategy =
            values.Length <= MostRectangles ? new Heatmap.RenderStrategies.Rectangles() : new Heatmap.RenderStrategies.Bitmap();
        ScottPlot.Panels.ColorBar bar = _plot.Add.ColorBar(map);
        bar.Width = 14;
        bar.Label = heat.Title;
        bar.LabelStyle.FontSize = Letters;
        bar.LabelStyle.FontName = Font.FamilyName;
        bar.LabelStyle.ForeColor = Color.FromHex(Theme.Ink);
        var scale = Scale.Of("", heat.Low, heat.High, 4);
        bar.Axis.TickGenerator = new ScottPlot.TickGenerators.NumericManual(scale.Places, scale.Labels);
        Style(bar.Axis);
    }

    /// <summary>A line of the legend; of many the last says how many there are.</summary>
    public void AddToLegend(string name, int series, int pattern, bool hasLine, bool hasMark)
    {
        if (_legend.Count == MostLegendLines)
        {
            _legend[^1].LabelText = "and more: see the table";
            _legend[^1].LineWidth = 0;
            _legend[^1].MarkerStyle.IsVisible = false;
            return;
        }

        _legend.Add(
            new()
            {
                LabelText = Drawable(Words.Short(name, LongestLegend)),
                LineColor = Paint(series, pattern),
                LinePattern = Dashes(pattern),
                LineWidth = hasLine ? 1.8f : 0,
                MarkerStyle = new(Shapes[series % Shapes.Length], 6, Paint(series, 0)) { IsVisible = hasMark, LineWidth = 1.4f },
                LabelFontColor = Color.FromHex(Theme.Ink),
                LabelFontName = Font.FamilyName,
                LabelFontSize = Letters,
            }
        );
    }

    /// <summary>Draws everything; the canvas has the size of the picture.</summary>
    public void Render(SKCanvas canvas)
    {
        _plot.HideLegend();
        if (_legend.Count > 0)
        {
            _plot.Legend.ManualItems.Clear();
            _plot.Legend.ManualItems.AddRange(_legend);
            _plot.Legend.Orientation = Orientation.Vertical;
            _plot.Legend.SymbolWidth = 30;
            _plot.Legend.OutlineWidth = 0;
            _plot.Legend.BackgroundColor = Colors.Transparent;
            _plot.Legend.ShadowColor = Colors.Transparent;
            _plot.Legend.Padding = new(0);
        }

        using (var scratch = new SKBitmap(Width, AreaHeight))
        using (var nowhere = new SKCanvas(scratch))
        {
            _plot.Render(nowhere, new PixelRect(0, Width, AreaHeight, 0));
        }

        _plot.Render(canvas, new PixelRect(0, Width, AreaHeight, 0));
        if (_legend.Count > 0)
        {
            using var paint = ScottPlot.Paint.NewDisposablePaint();
            _plot.Legend.Render(canvas, paint, new PixelRect(40, Width, Height, AreaHeight), Alignment.UpperLeft);
        }
    }

    private static Color Colour(int series, int pattern) => Color.FromHex(Theme.Of(series, pattern));

    private Color Paint(int series, int pattern) => Colour(series, _isVector ? pattern : 0);

    private LinePattern Dashes(int pattern) =>
        _isVector || pattern == 0 ? LinePattern.Solid
        : pattern == 1 ? LinePattern.Dashed
        : LinePattern.Dotted;

    /// <summary>A text that the font can draw; the SVG's writer puts back what it stands for.</summary>
    private string Drawable(string text)
    {
        string clean = Words.Clean(text);
        if (!_isVector || Font.ContainsGlyphs(clean))
        {
            return clean;
        }

        string mark = FormattableString.Invariant($"%{_replaced.Count:D3}").PadRight(clean.Length, 'm');
        _replaced.Add(mark, clean);
        return mark;
    }

    private void Letter(IAxis axis, Scale scale, bool fromTop)
    {
        string[] labels = Array.ConvertAll(scale.Labels, Drawable);
        double last = scale.High - 0.5;
        double[] places = fromTop ? Array.ConvertAll(scale.Places, place => last - place) : scale.Places;
        axis.TickGenerator = new ScottPlot.TickGenerators.NumericManual(places, labels);
        axis.Label.Text = Drawable(scale.Title);
        axis.Label.FontSize = Letters;
        axis.Label.Bold = false;
        axis.Label.FontName = Font.FamilyName;
        Style(axis);
        if (!scale.HasNames || axis is not IXAxis)
        {
            return;
        }

        // Upright where they would run into each other.
        using var font = new SKFont(Font, Letters);
        float longest = labels.Select(label => font.MeasureText(label)).DefaultIfEmpty().Max();
        if (longest > 340f / Math.Max(labels.Length, 1) - 6)
        {
            axis.TickLabelStyle.Rotation = -90;
            axis.TickLabelStyle.Alignment = Alignment.MiddleRight;
            axis.MinimumSize = longest + (scale.Title.Length > 0 ? 32 : 12);
        }
    }

    private static void Style(IAxis axis)
    {
        axis.TickLabelStyle.FontSize = Letters;
        axis.TickLabelStyle.FontName = Font.FamilyName;
        axis.TickLabelStyle.ForeColor = Color.FromHex(Theme.Ink);
        axis.MajorTickStyle.Color = Color.FromHex(Theme.Ink);
        axis.FrameLineStyle.Color = Color.FromHex(Theme.Ink);
    }
}
