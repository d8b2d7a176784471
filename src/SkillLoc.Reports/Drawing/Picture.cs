using System.Globalization;
using SkiaSharp;

namespace SkillLoc.Reports.Drawing;

/// <summary>A picture with the text and the numbers that say the same.</summary>
/// <param name="Title">Its heading.</param>
/// <param name="Text">What is to be seen, in sentences.</param>
/// <param name="Table">The numbers.</param>
/// <param name="Draw">Draws it, for SVG or not; null where the table is all.</param>
internal sealed record Picture(string Title, string Text, Table Table, Func<bool, Chart>? Draw = null)
{
    /// <summary>What the intervals in it are; empty if it has none.</summary>
    public string Intervals { get; init; } = "";

    /// <summary>Texts with scores, which a page shows.</summary>
    public IReadOnlyList<Passage> Passages { get; init; } = [];

    /// <summary>Where its numbers come from.</summary>
    public Provenance Provenance { get; init; } = new();

    /// <summary>Its file's name without extension, once it is in a report.</summary>
    public string Name { get; init; } = "";

    /// <summary>The lines at its foot.</summary>
    public IReadOnlyList<string> Foot => Provenance.Lines(Intervals);

    /// <summary>The picture with its foot as PNG, on white, with two pixels for each unit.</summary>
    public byte[] Png()
    {
        const int Scale = 2,
            FootLine = 14,
            FootWidth = 78;
        using Chart chart = Draw!(false);
        string[] foot = [.. Foot.SelectMany(line => Words.Wrap(line, FootWidth))];
        int height = chart.Height + (foot.Length * FootLine) + 10;
        using var bitmap = new SKBitmap(Chart.Width * Scale, height * Scale);
        using (var canvas = new SKCanvas(bitmap))
        using (var font = new SKFont(Chart.Font, 10))
        using (var paint = new SKPaint { Color = SKColor.Parse(Theme.Muted), IsAntialias = true })
        {
            canvas.Clear(SKColors.White);
            canvas.Scale(Scale);
            chart.Render(canvas);
            for (int i = 0; i < foot.Length; i++)
            {
                canvas.DrawText(foot[i], 10, chart.Height + ((i + 1) * FootLine), font, paint);
            }
        }

        using SKData data = bitmap.Encode(SKEncodedImageFormat.Png, 100);
        return data.ToArray();
    }

    /// <summary>What someone who does not see it is told.</summary>
    public string Alternative => string.Create(CultureInfo.InvariantCulture, $"{Title}. {Text}");
}
