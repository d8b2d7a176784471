using System.Globalization;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using SkiaSharp;

namespace SkillLoc.Reports.Drawing;

/// <summary>
/// Writes pictures as SVG. Skia's own output has fixed colours, a place for each letter, and names that occur in every picture; these
/// become classes, a place and length for each text, and names of the picture's own.
/// </summary>
internal static partial class Svg
{
    private const int FootLine = 14,
        FootWidth = 78;
    private static readonly XNamespace Namespace = "http://www.w3.org/2000/svg";
    private static readonly XName Link = XNamespace.Get("http://www.w3.org/1999/xlink") + "href";
    private static readonly string[] Dashes = ["", "7 4", "1.5 4"];

    /// <summary>The picture as an element of a page that has the style sheet, without its foot.</summary>
    public static string Inline(Picture picture) => Write(picture, isInline: true).ToString(SaveOptions.DisableFormatting);

    /// <summary>The picture as a file, with its foot.</summary>
    public static string Document(Picture picture) =>
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n" + Write(picture, isInline: false).ToString(SaveOptions.DisableFormatting) + "\n";

    private static XElement Write(Picture picture, bool isInline)
    {
        using Chart chart = picture.Draw!(true);
        using var stream = new MemoryStream();
        using (SKCanvas canvas = SKSvgCanvas.Create(SKRect.Create(Chart.Width, chart.Height), stream))
        {
            chart.Render(canvas);
        }

        stream.Position = 0;
        XElement root = XDocument.Load(stream).Root!;
        string prefix = Words.Slug(picture.Name) + "-";
        Tidy(root, prefix, chart.Replaced, chart.AreaHeight);
        string[] foot = isInline ? [] : [.. picture.Foot.SelectMany(line => Words.Wrap(Words.Clean(line), FootWidth))];
        int height = chart.Height + (foot.Length == 0 ? 0 : (foot.Length * FootLine) + 10);
        root.ReplaceAttributes(
            new XAttribute("viewBox", FormattableString.Invariant($"0 0 {Chart.Width} {height}")),
            new XAttribute("role", "img"),
            new XAttribute("aria-labelledby", $"{prefix}title {prefix}desc")
        );
        if (!isInline)
        {
            root.Add(new XAttribute("width", Chart.Width), new XAttribute("height", height));
            root.AddFirst(
                new XElement(Namespace + "style", Theme.StyleSheet),
                new XElement(
                    Namespace + "rect",
                    new XAttribute("width", Chart.Width),
                    new XAttribute("height", height),
                    new XAttribute("fill", Theme.Paper),
                    new XAttribute("class", "f-paper")
                )
            );
            root.Add(
                foot.Select(
                    (line, i) =>
                        new XElement(
                            Namespace + "text",
                            new XAttribute("x", 10),
                            new XAttribute("y", chart.Height + ((i + 1) * FootLine)),
                            new XAttribute("font-size", 10),
                            new XAttribute("font-family", "sans-serif"),
                            new XAttribute("fill", Theme.Muted),
                            new XAttribute("class", "f-muted"),
                            line
                        )
                )
            );
        }

        root.AddFirst(
            new XElement(Namespace + "title", new XAttribute("id", prefix + "title"), Words.Clean(picture.Title)),
            new XElement(Namespace + "desc", new XAttribute("id", prefix + "desc"), Words.Clean(picture.Text))
        );
        return root;
    }

    private static void Tidy(XElement root, string prefix, IReadOnlyDictionary<string, string> replaced, int areaHeight)
    {
        // The cleared canvas: a black rectangle for readers that take the format at its word.
        root.Elements(Namespace + "rect").Where(each => each.Attribute("fill") is null).Remove();
        var clips = new Dictionary<string, string>(StringComparer.Ordinal);
        var names = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (XElement clip in root.Descendants(Namespace + "clipPath").ToArray())
        {
            string id = clip.Attribute("id")!.Value,
                content = string.Concat(clip.Elements().Select(each => each.ToString(SaveOptions.DisableFormatting)));
            if (!clips.TryAdd(content, id))
            {
                clip.Remove();
            }

            names.Add(id, names.GetValueOrDefault(clips[content], Next()));
        }

        // Skia counts its names over all pictures of the process.
        foreach (string id in root.Descendants().Attributes("id").Select(id => id.Value).Where(id => !names.ContainsKey(id)))
        {
            names.Add(id, Next());
        }

        foreach (XElement element in root.DescendantsAndSelf())
        {
            if (element.Name.LocalName == "text")
            {
                PlaceText(element, replaced);
            }

            if (element.Attribute(Link) is { } link)
            {
                element.SetAttributeValue("href", link.Value);
                link.Remove();
            }

            foreach (XAttribute attribute in element.Attributes().ToArray())
            {
                if (attribute.Name.LocalName is not ("transform" or "href"))
                {
                    attribute.Value = Numbers().Replace(attribute.Value, Round);
                }

                attribute.Value = attribute switch
                {
                    { Name.LocalName: "id" } => names[attribute.Value],
                    { Name.LocalName: "href" } when attribute.Value.StartsWith('#') => "#" + names[attribute.Value[1..]],
                    { Value: ['u', 'r', 'l', '(', '#', .. var id, ')'] } => $"url(#{names[id]})",
                    _ => attribute.Value,
                };
            }

            Classify(element);
            if (element.Name.LocalName == "rect" && element.Parent?.Name.LocalName == "g")
            {
                element.SetAttributeValue("shape-rendering", "crispEdges");
            }

            if (element.Name.LocalName is "use" or "image")
            {
                element.SetAttributeValue("style", "image-rendering:pixelated");
            }
        }

        // A legend's own bounds cut its last letter.
        HashSet<string> below =
        [
            .. root.Descendants(Namespace + "clipPath")
                .Where(clip => clip.Elements().Any(bounds => Number(bounds, "y") >= areaHeight - 1))
                .Select(clip => $"url(#{clip.Attribute("id")!.Value})"),
        ];
        root.Descendants().Attributes("clip-path").Where(clip => below.Contains(clip.Value)).Remove();

        foreach (XElement empty in root.Descendants(Namespace + "g").Where(each => !each.HasElements).ToArray())
        {
            empty.Remove();
        }

        string Next() =>
            string.Create(CultureInfo.InvariantCulture, $"{prefix}{names.Values.Distinct(StringComparer.Ordinal).Count() + 1}");
    }

    /// <summary>Letters that are set one by one would stand apart in another font: the text has its place and its length.</summary>
    private static void PlaceText(XElement element, IReadOnlyDictionary<string, string> replaced)
    {
        string text = element.Value.Trim();
        foreach (string axis in (string[])["x", "y"])
        {
            element.SetAttributeValue(axis, element.Attribute(axis)?.Value.Split(',')[0].Trim());
        }

        element.SetAttributeValue("font-family", $"{Chart.Font.FamilyName}, sans-serif");
        if (replaced.TryGetValue(text, out string? real))
        {
            element.Value = real;
            return;
        }

        element.Value = text;
        using var font = new SKFont(Chart.Font, float.Parse(element.Attribute("font-size")!.Value, CultureInfo.InvariantCulture));
        element.SetAttributeValue("textLength", font.MeasureText(text).ToString("0.##", CultureInfo.InvariantCulture));
        element.SetAttributeValue("lengthAdjust", "spacingAndGlyphs");
    }

    private static void Classify(XElement element)
    {
        var classes = new List<string>();
        if (element.Name.LocalName == "text" && element.Attribute("fill") is null)
        {
            element.SetAttributeValue("fill", Theme.Ink);
        }

        foreach (string part in (string[])["fill", "stroke"])
        {
            if (element.Attribute(part) is { } colour && Theme.ClassOf(colour.Value, out int pattern) is { } name)
            {
                classes.Add($"{part[0]}-{name}");
                colour.Value = pattern == 0 ? colour.Value : colour.Value[..^1] + (char)(colour.Value[^1] - pattern);
                if (part == "stroke" && pattern > 0)
                {
                    element.SetAttributeValue("stroke-dasharray", Dashes[pattern]);
                }
            }
        }

        if (classes.Count > 0)
        {
            element.SetAttributeValue("class", string.Join(' ', classes));
        }
    }

    private static double Number(XElement element, string name) =>
        double.Parse(element.Attribute(name)?.Value ?? "0", CultureInfo.InvariantCulture);

    private static string Round(Match match) =>
        Math.Round(double.Parse(match.Value, CultureInfo.InvariantCulture), 2).ToString("0.##", CultureInfo.InvariantCulture);

    [GeneratedRegex(@"-?\d+\.\d{3,}(?:e-?\d+)?", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex Numbers();
}
