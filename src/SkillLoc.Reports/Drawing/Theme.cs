using System.Globalization;
using System.Text;

namespace SkillLoc.Reports.Drawing;

/// <summary>
/// The colours of pictures. In SVG each is also a class, so that a style sheet can exchange it for a dark page. Series are told apart by
/// people who do not see all colours (after Wong 2011), and by their markers and lines too.
/// </summary>
internal static class Theme
{
    public const string Ink = "#1B1D23",
        Muted = "#5B6170",
        Grid = "#E2E5EB",
        Paper = "#FFFFFF";

    /// <summary>Lines over the colours of a heat map, the same on every page.</summary>
    public const string OnHeat = "#FDFDFD";

    /// <summary>Number of line patterns: solid, dashed, dotted.</summary>
    public const int Patterns = 3;

    // Light and dark; the last is for controls and references. Dark ones are lighter, so that they stand out from the page.
    private static readonly (string Light, string Dark)[] Series =
    [
        ("#0072B0", "#56B4E8"),
        ("#D55E00", "#FF8C42"),
        ("#009E70", "#2CCB9B"),
        ("#B8568C", "#E79CC5"),
        ("#8A6D00", "#E8C547"),
        ("#5B4FB0", "#A79CF0"),
        ("#6B7280", "#9AA3B2"),
    ];

    private static readonly (string Name, string Light, string Dark)[] Roles =
    [
        ("ink", Ink, "#ECEEF3"),
        ("muted", Muted, "#A4ABBA"),
        ("grid", Grid, "#343A46"),
        ("paper", Paper, "#14171D"),
    ];

    /// <summary>Number of colours of series, without the one of controls.</summary>
    public static int Count => Series.Length - 1;

    /// <summary>The series of controls and references.</summary>
    public static int Control => Series.Length - 1;

    /// <summary>The colour of a series. Its last digit tells the SVG's writer the line's pattern, as SVG has dashes of its own.</summary>
    public static string Of(int series, int pattern = 0)
    {
        string light = Series[series < 0 || series >= Series.Length ? (int)((uint)series % Count) : series].Light;
        return light[..^1] + (char)(light[^1] + pattern);
    }

    /// <summary>The class of a colour in SVG, or null for a colour that is the same on every page.</summary>
    public static string? ClassOf(string colour, out int pattern)
    {
        pattern = 0;
        string? role = Roles.FirstOrDefault(role => role.Light.Equals(colour, StringComparison.OrdinalIgnoreCase)).Name;
        if (role is not null)
        {
            return role;
        }

        for (pattern = 0; pattern < Patterns; pattern++)
        {
            for (int i = 0; i < Series.Length; i++)
            {
                if (Of(i, pattern).Equals(colour, StringComparison.OrdinalIgnoreCase))
                {
                    return string.Create(CultureInfo.InvariantCulture, $"c{i}");
                }
            }
        }

        return null;
    }

    /// <summary>The style sheet: variables for light and dark pages, and a class for each colour as filling and as line.</summary>
    public static string StyleSheet { get; } = WriteStyleSheet();

    private static string WriteStyleSheet()
    {
        (string Name, string Light, string Dark)[] all =
        [
            .. Roles,
            .. Series.Select((series, i) => (string.Create(CultureInfo.InvariantCulture, $"c{i}"), series.Light, series.Dark)),
        ];
        var style = new StringBuilder();
        style.Append(":root{color-scheme:light dark;").AppendJoin(';', all.Select(each => $"--{each.Name}:{each.Light}")).Append("}\n");
        style
            .Append("@media screen and (prefers-color-scheme:dark){:root{")
            .AppendJoin(';', all.Select(each => $"--{each.Name}:{each.Dark}"))
            .Append("}}\n");
        foreach ((string name, _, _) in all)
        {
            style.Append(CultureInfo.InvariantCulture, $".f-{name}{{fill:var(--{name})}}.s-{name}{{stroke:var(--{name})}}");
        }

        return style.Append('\n').ToString();
    }
}
