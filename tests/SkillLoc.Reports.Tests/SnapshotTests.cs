using System.Globalization;
using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace SkillLoc.Reports.Tests;

/// <summary>
/// What each picture consists of, as files in <c>snapshots</c>: elements with their roles and classes, texts, alternatives, letters at the
/// axes, and how many marks there are; not where they are, which fonts and rasterisers decide. With SKILLLOC_ACCEPT_SNAPSHOTS=1 in the
/// environment the test writes the files anew, and git shows what changed.
/// </summary>
public sealed class SnapshotTests
{
    private const string Accept = "SKILLLOC_ACCEPT_SNAPSHOTS";

    private static readonly string Folder = Path.GetFullPath(Oracles.PathOf("..", "SkillLoc.Reports.Tests", "snapshots"));

    [Fact]
    public void PicturesConsistOfWhatTheyDid()
    {
        string html = Samples.Everything().ToHtml();
        Assert.SkipWhen(
            html.Contains("This system has no font", StringComparison.Ordinal),
            "There is no font, so pictures have no letters."
        );
        var found = Regex
            .Matches(html, "<section.*?</section>", RegexOptions.Singleline)
            .Select(section => XElement.Parse(section.Value))
            .ToDictionary(section => FileOf(section.Element("h2")!.Value), Snapshot.Of, StringComparer.Ordinal);
        if (Environment.GetEnvironmentVariable(Accept) == "1")
        {
            Directory.CreateDirectory(Folder);
            Array.ForEach(Directory.GetFiles(Folder), File.Delete);
            foreach ((string name, string[] lines) in found)
            {
                File.WriteAllText(Path.Join(Folder, name), string.Join('\n', lines) + "\n");
            }
        }

        Dictionary<string, string[]> kept = Directory
            .GetFiles(Folder)
            .ToDictionary(file => Path.GetFileName(file), File.ReadAllLines, StringComparer.Ordinal);
        string[] changes =
        [
            .. found
                .Keys.Union(kept.Keys, StringComparer.Ordinal)
                .Order(StringComparer.Ordinal)
                .Select(name =>
                    (Name: name, Changes: Snapshot.Difference(kept.GetValueOrDefault(name) ?? [], found.GetValueOrDefault(name) ?? []))
                )
                .Where(each => each.Changes.Length > 0)
                .Select(each => $"{each.Name}:\n{each.Changes}"),
        ];
        Assert.True(
            changes.Length == 0,
            $"Pictures are not what their snapshots say; run the test with {Accept}=1 if they should be.\n{string.Join('\n', changes)}"
        );
    }

    [Fact]
    public void ASnapshotTellsStructureAndNotPlaces()
    {
        var one = XElement.Parse(
            "<figure><svg role='img'><title>T</title><g transform='x'><rect x='1' class='f-c0'/><rect x='2' class='f-c0'/></g><rect class='f-c1'/>"
                + "<text x='3' class='f-ink'>0.5</text></svg></figure>"
        );
        string[] lines = Snapshot.Of(one);
        Assert.Equal(["figure", "  svg role=img", "    rect.f-c0 × 2", "    rect.f-c1 × 1", "    title: T", "    text.f-ink: 0.5"], lines);
        one.Descendants("rect").First().SetAttributeValue("x", "7");
        Assert.Equal("", Snapshot.Difference(lines, Snapshot.Of(one)));
        one.Descendants("rect").First().Remove();
        Assert.Equal(
            "    svg role=img\n-     rect.f-c0 × 2\n+     rect.f-c0 × 1\n      rect.f-c1 × 1",
            Snapshot.Difference(lines, Snapshot.Of(one))
        );
    }

    private static string FileOf(string title) => Regex.Replace(title.ToLower(CultureInfo.InvariantCulture), "[^a-z0-9]+", "-") + ".txt";
}
