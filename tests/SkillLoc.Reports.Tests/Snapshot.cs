using System.Text;
using System.Xml.Linq;

namespace SkillLoc.Reports.Tests;

/// <summary>A part of a page as lines that tell what it consists of.</summary>
internal static class Snapshot
{
    private const int Context = 1;

    // What says how a picture is drawn, and not what there is in it.
    private static readonly string[] Skipped = ["clipPath", "defs", "style"];

    /// <summary>One line for each element, indented by its depth; of a picture like marks are counted, and its letters follow.</summary>
    public static string[] Of(XElement part)
    {
        var lines = new List<string>();
        Add(part, 0);
        return [.. lines];

        void Add(XElement element, int depth)
        {
            string name = element.Name.LocalName;
            lines.Add(new string(' ', 2 * depth) + Described(element));
            if (name == "svg")
            {
                string indent = new(' ', 2 * (depth + 1));
                XElement[] drawn =
                [
                    .. element.Descendants().Where(each => each.Name.LocalName != "g" && !each.AncestorsAndSelf().Any(IsSkipped)),
                ];
                lines.AddRange(
                    drawn
                        .Where(each => each.Value.Length == 0)
                        .CountBy(Described)
                        .Select(marks => FormattableString.Invariant($"{indent}{marks.Key} × {marks.Value}"))
                );
                lines.AddRange(drawn.Where(each => each.Value.Length > 0).Select(each => indent + Described(each)));
                return;
            }

            foreach (XElement child in name is "tr" or "table" or "p" ? [] : element.Elements())
            {
                Add(child, depth + 1);
            }
        }

        static bool IsSkipped(XElement element) => Skipped.Contains(element.Name.LocalName);
    }

    /// <summary>The lines that one has and the other has not, with a line around them; empty if there are none.</summary>
    public static string Difference(string[] before, string[] after)
    {
        // The longest common subsequence from each pair of lines on.
        int[,] common = new int[before.Length + 1, after.Length + 1];
        for (int i = before.Length - 1; i >= 0; i--)
        {
            for (int j = after.Length - 1; j >= 0; j--)
            {
                common[i, j] = before[i] == after[j] ? common[i + 1, j + 1] + 1 : Math.Max(common[i + 1, j], common[i, j + 1]);
            }
        }

        var all = new List<string>();
        int left = 0,
            right = 0;
        while (left < before.Length || right < after.Length)
        {
            bool isSame = left < before.Length && right < after.Length && before[left] == after[right],
                isGone = right == after.Length || (left < before.Length && common[left + 1, right] >= common[left, right + 1]);
            all.Add(
                isSame ? $"  {before[left]}"
                : isGone ? $"- {before[left]}"
                : $"+ {after[right]}"
            );
            left += isSame || isGone ? 1 : 0;
            right += isSame || !isGone ? 1 : 0;
        }

        bool[] isNear = [.. all.Select((_, i) => Enumerable.Range(i - Context, (2 * Context) + 1).Any(HasChanged))];
        return string.Join('\n', all.Where((_, i) => isNear[i]));

        bool HasChanged(int i) => i >= 0 && i < all.Count && all[i][0] != ' ';
    }

    private static string Described(XElement element)
    {
        string name = element.Name.LocalName;
        var line = new StringBuilder(name);
        line.Append(element.Attribute("class") is { } classes ? "." + classes.Value.Replace(' ', '.') : "");
        foreach (string attribute in (string[])["role", "scope", "download", "aria-label", "stroke-dasharray"])
        {
            line.Append(element.Attribute(attribute) is { } value ? $" {attribute}={value.Value}" : "");
        }

        if (name == "table")
        {
            XElement[] rows = [.. element.Elements("tr")];
            line.Append(": ").AppendJoin(" | ", rows[0].Elements().Select(cell => cell.Value));
            return line.Append(FormattableString.Invariant($"; {rows.Length - 1} rows")).ToString();
        }

        string text =
            element.HasElements && name != "p"
                ? ""
                : string.Join(' ', element.Value.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        return line.Append(text.Length > 0 ? ": " + text : "").ToString();
    }
}
