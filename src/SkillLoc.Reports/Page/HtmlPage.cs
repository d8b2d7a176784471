using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Unicode;
using SkillLoc.Reports.Drawing;

namespace SkillLoc.Reports.Page;

/// <summary>Writes a report as one HTML file: no script, nothing from elsewhere, and nothing that depends on the time.</summary>
internal static class HtmlPage
{
    /// <summary>The most bytes of a page: mail programs and CI artefacts take it, and phones show it.</summary>
    public const int MostBytes = 2_000_000;

    private const int LargestCsv = 48 * 1024,
        ShownRows = 12,
        ShownColumns = 12;

    // No source of anything but the page itself: what a label may hold cannot run or load.
    private const string Policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

    private const string Style = """
        *{box-sizing:border-box}
        body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
        main,header,footer{max-width:68rem;margin:0 auto;padding:0 1rem}
        h1{font-size:1.7rem;line-height:1.2;margin:1.6rem 0 .6rem}h2{font-size:1.3rem;margin:2.2rem 0 .4rem;padding-top:.8rem;border-top:1px solid var(--grid)}
        h3{font-size:1rem;margin:0 0 .4rem}h1,h2,h3,p,li,dd{overflow-wrap:anywhere}
        a{color:var(--c0)}nav ol{padding-left:1.4rem;margin:.4rem 0}
        .pictures{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,24rem),1fr));gap:1.2rem}
        figure{margin:0;padding:.9rem;border:1px solid var(--grid);border-radius:.5rem;min-width:0}
        figure svg{display:block;width:100%;max-width:36rem;height:auto;margin:0 auto}
        figure.table,figure.wide{grid-column:1/-1}
        figcaption p{margin:.5rem 0}
        .foot{margin:.6rem 0 0;font-size:.8rem;color:var(--muted);list-style:none;padding:0}
        .foot li{overflow-wrap:anywhere}
        .scroll{overflow-x:auto;max-width:100%}
        details{font-size:.85rem;margin:.4rem 0}summary{cursor:pointer}
        table{border-collapse:collapse;font-variant-numeric:tabular-nums}
        th,td{padding:.15rem .6rem .15rem 0;text-align:left;border-bottom:1px solid var(--grid);max-width:18rem;overflow-wrap:anywhere}
        td.n{text-align:right}
        .passage{white-space:pre-wrap;line-height:2;font-size:1.05rem}.passage sub{font-size:.7em;font-variant-numeric:tabular-nums}
        .p1,.p2,.p3,.n1,.n2,.n3{color:inherit;background:none;border-bottom:2px solid var(--c0);border-radius:.15rem;padding:0 .1rem}
        .n1,.n2,.n3{border-bottom:2px dashed var(--c1)}
        .p1{background:color-mix(in srgb,var(--c0) 10%,transparent)}.p2{background:color-mix(in srgb,var(--c0) 20%,transparent)}
        .p3{background:color-mix(in srgb,var(--c0) 32%,transparent)}.n1{background:color-mix(in srgb,var(--c1) 10%,transparent)}
        .n2{background:color-mix(in srgb,var(--c1) 20%,transparent)}.n3{background:color-mix(in srgb,var(--c1) 32%,transparent)}
        .note{color:var(--muted);font-size:.85rem}
        @media print{body{font-size:11pt}nav,details{display:none}figure,section{break-inside:avoid}h2{break-after:avoid}.pictures{grid-template-columns:1fr 1fr}}
        """;

    private static readonly HtmlEncoder Encoder = HtmlEncoder.Create(UnicodeRanges.All);

    /// <summary>The page's bytes.</summary>
    /// <exception cref="InvalidOperationException">It would be larger than <see cref="MostBytes"/>.</exception>
    public static byte[] Write(string title, string text, IReadOnlyList<Section> sections, IReadOnlyList<string> foot)
    {
        string[] drawn =
        [
            .. sections.SelectMany(section => section.Pictures).Select(picture => picture.Draw is null ? "" : Svg.Inline(picture)),
        ];
        byte[] page = Write(title, text, sections, foot, drawn, LargestCsv);
        if (page.Length > MostBytes)
        {
            page = Write(title, text, sections, foot, drawn, 0);
        }

        return page.Length <= MostBytes
            ? page
            : throw new InvalidOperationException(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"The report has {drawn.Length} pictures and would take {page.Length / 1e6:0.0} MB; a page has at most "
                        + $"{MostBytes / 1e6:0} MB. Divide it into several reports."
                )
            );
    }

    private static byte[] Write(
        string title,
        string text,
        IReadOnlyList<Section> sections,
        IReadOnlyList<string> foot,
        string[] drawn,
        int largestCsv
    )
    {
        var page = new StringBuilder();
        page.Append("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n")
            .Append("<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n")
            .Append("<meta http-equiv=\"Content-Security-Policy\" content=\"" + Policy + "\">\n")
            .Append("<link rel=\"icon\" href=\"data:,\">\n")
            .Append("<title>" + Escaped(title) + "</title>\n<style>\n")
            .Append(Theme.StyleSheet + Style.ReplaceLineEndings("\n"))
            .Append("\n</style>\n</head>\n<body>\n<header>\n<h1>" + Escaped(title) + "</h1>\n");
        if (text.Length > 0)
        {
            page.Append("<p>" + Escaped(text) + "</p>\n");
        }

        if (!Chart.HasLetters)
        {
            page.Append("<p class=\"note\">This system has no font, so the pictures have no letters; the tables have their numbers.</p>\n");
        }

        if (sections.Count > 1)
        {
            page.Append("<nav aria-label=\"Contents\"><ol>\n");
            for (int i = 0; i < sections.Count; i++)
            {
                page.Append(CultureInfo.InvariantCulture, $"<li><a href=\"#s{i + 1}\">{Escaped(sections[i].Title)}</a></li>\n");
            }

            page.Append("</ol></nav>\n");
        }

        page.Append("</header>\n<main>\n");
        for (int i = 0, picture = 0; i < sections.Count; i++)
        {
            page.Append(CultureInfo.InvariantCulture, $"<section id=\"s{i + 1}\">\n<h2>{Escaped(sections[i].Title)}</h2>\n");
            if (sections[i].Text.Length > 0)
            {
                page.Append("<p>" + Escaped(sections[i].Text) + "</p>\n");
            }

            page.Append("<div class=\"pictures\">\n");
            foreach (Picture each in sections[i].Pictures)
            {
                Figure(page, each, drawn[picture++], largestCsv);
            }

            page.Append("</div>\n</section>\n");
        }

        page.Append("</main>\n<footer>\n");
        Foot(page, foot);
        page.Append("</footer>\n</body>\n</html>\n");
        return Encoding.UTF8.GetBytes(page.ToString());
    }

    private static void Figure(StringBuilder page, Picture picture, string svg, int largestCsv)
    {
        bool isTable = svg.Length == 0;
        string kind =
            isTable ? " class=\"table\""
            : picture.Passages.Count > 0 ? " class=\"wide\""
            : "";
        page.Append($"<figure{kind}>\n").Append("<h3>" + Escaped(picture.Title) + "</h3>\n");
        foreach (Passage passage in picture.Passages)
        {
            Text(page, passage);
        }

        page.Append(svg).Append("\n<figcaption>\n<p>" + Escaped(picture.Text) + "</p>\n");
        Table table = picture.Table;
        string rows = Words.Count(table.Rows.Count, "row");
        page.Append(isTable ? "" : $"<details><summary>The numbers ({rows})</summary>\n");
        page.Append("<div class=\"scroll\"><table>\n<tr>");
        string[] columns = [.. table.Columns.Take(ShownColumns)];
        page.AppendJoin("", columns.Select(column => $"<th scope=\"col\">{Escaped(Words.Short(column, 40))}</th>")).Append("</tr>\n");
        foreach (IReadOnlyList<object> row in table.Rows.Take(ShownRows))
        {
            page.Append("<tr>")
                .AppendJoin(
                    "",
                    row.Take(columns.Length)
                        .Select(value => $"<td{(value is string ? "" : " class=\"n\"")}>{Escaped(Table.Shown(value))}</td>")
                )
                .Append("</tr>\n");
        }

        page.Append("</table></div>\n");
        byte[] csv = table.Csv();
        bool isCut = table.Rows.Count > ShownRows || table.Columns.Count > ShownColumns;
        if (csv.Length <= largestCsv)
        {
            page.Append(isCut ? $"<p class=\"note\">The first of {rows}. " : "<p class=\"note\">")
                .Append(
                    $"<a download=\"{picture.Name}.csv\" href=\"data:text/csv;charset=utf-8;base64,{Convert.ToBase64String(csv)}\">All as CSV</a></p>\n"
                );
        }
        else if (isCut)
        {
            page.Append($"<p class=\"note\">The first of {rows}; the report's files have all, in {picture.Name}.csv.</p>\n");
        }

        page.Append(isTable ? "" : "</details>\n");
        Foot(page, picture.Foot);
        page.Append("</figcaption>\n</figure>\n");
    }

    /// <summary>A text with its scores in letters, so that it can be read without its colours.</summary>
    private static void Text(StringBuilder page, Passage passage)
    {
        page.Append(passage.Title.Length > 0 ? $"<p class=\"note\">{Escaped(passage.Title)}</p>\n" : "").Append("<p class=\"passage\">");
        foreach (PassagePart part in passage.Parts)
        {
            string text = Escaped(part.Text);
            page.Append(
                part.Strength == 0
                    ? text
                    : string.Create(
                        CultureInfo.InvariantCulture,
                        $"<mark class=\"{(part.Strength > 0 ? 'p' : 'n')}{Math.Abs(part.Strength)}\">{text}<sub>{Escaped(part.Score)}</sub></mark>"
                    )
            );
        }

        page.Append("</p>\n");
    }

    private static void Foot(StringBuilder page, IReadOnlyList<string> lines) =>
        page.Append("<ul class=\"foot\">\n").AppendJoin("", lines.Select(line => $"<li>{Escaped(line)}</li>\n")).Append("</ul>\n");

    private static string Escaped(string text) => Encoder.Encode(Words.Clean(text));
}
