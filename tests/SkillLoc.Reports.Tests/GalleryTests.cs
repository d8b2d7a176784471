using System.Text;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using PuppeteerSharp;
using PuppeteerSharp.Media;

namespace SkillLoc.Reports.Tests;

/// <summary>Every picture at once, as a file and in a browser; the page stays beside the tests, to be looked at.</summary>
public sealed class GalleryTests(GalleryTests.Gallery gallery) : IClassFixture<GalleryTests.Gallery>
{
    private static readonly string[] Browsers = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

    [Fact]
    public void ThePageNeedsNothingButItself()
    {
        Assert.InRange(Encoding.UTF8.GetByteCount(gallery.Html), 10_000, 2_000_000);
        Assert.DoesNotContain("<script", gallery.Html, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotMatch(@"\son[a-z]+\s*=", gallery.Html);
        Assert.All(
            Regex.Matches(gallery.Html, "(?:href|src)=\"([^\"]*)\"").Select(match => match.Groups[1].Value),
            link => Assert.Matches("^(#|data:)", link)
        );
        Assert.DoesNotMatch("https?://(?!www\\.w3\\.org/)", gallery.Html);
        string[] ids = [.. Regex.Matches(gallery.Html, " id=\"([^\"]*)\"").Select(match => match.Groups[1].Value)];
        Assert.Equal(ids.Length, ids.Distinct(StringComparer.Ordinal).Count());
        Assert.Subset(
            ids.ToHashSet(StringComparer.Ordinal),
            Regex
                .Matches(gallery.Html, "url\\(#([^)]*)\\)|href=\"#([^\"]*)\"")
                .Select(match => match.Groups[1].Value + match.Groups[2].Value)
                .ToHashSet(StringComparer.Ordinal)
        );
    }

    [Fact]
    public void EveryPictureHasItsTextAndItsFoot()
    {
        XElement[] pictures =
        [
            .. Regex.Matches(gallery.Html, "<svg.*?</svg>", RegexOptions.Singleline).Select(match => XElement.Parse(match.Value)),
        ];
        Assert.InRange(pictures.Length, 25, 60);
        Assert.All(
            pictures,
            picture =>
            {
                Assert.Equal("img", picture.Attribute("role")!.Value);
                string[] named = picture.Attribute("aria-labelledby")!.Value.Split(' ');
                Assert.Equal(named, picture.Elements().Take(2).Select(each => each.Attribute("id")!.Value));
                Assert.All(picture.Elements().Take(2), each => Assert.True(each.Value.Length > 5));
            }
        );
        int figures = Regex.Count(gallery.Html, "<figure");
        Assert.Equal(figures + 1, Regex.Count(gallery.Html, "<li>Intervals: ")); // And one at the page's foot.
        Assert.Equal(figures + 1, Regex.Count(gallery.Html, "<li>Fingerprints: model 0123abcd, data 89ef4567</li>"));
    }

    [Fact]
    public void EachPictureHasThreeFiles()
    {
        string[] names = [.. gallery.Files.Select(file => Path.GetFileNameWithoutExtension(file)).Distinct()];
        Assert.All(names, name => Assert.Contains(Path.Join(Gallery.Folder, name + ".csv"), gallery.Files));
        int tables = Regex.Count(gallery.Html, "<figure class=\"table\"");
        Assert.InRange(tables, 1, 5);
        Assert.Equal(names.Length - tables, gallery.Files.Count(file => file.EndsWith(".png", StringComparison.Ordinal)));
        string[] pictures = [.. gallery.Files.Where(file => file.EndsWith(".svg", StringComparison.Ordinal))];
        Assert.Equal(names.Length - tables, pictures.Length);
        Assert.All(
            pictures,
            file => Assert.Contains("Chosen: sparsity on 100", XDocument.Load(file).Root!.Value, StringComparison.Ordinal)
        );
    }

    [Fact]
    public void TheSameResultsGiveTheSameBytes()
    {
        ReportBuilder one = Samples.Catalog.Report("Twice").Add("a", Samples.Cells()).Add("b", Samples.Path()).Add("c", Samples.Probe()),
            other = Samples.Catalog.Report("Twice").Add("a", Samples.Cells()).Add("b", Samples.Path()).Add("c", Samples.Probe());
        Assert.Equal(one.ToHtml(), other.ToHtml());
        string folder = Path.Join(Gallery.Folder, "again");
        byte[][] before = [.. one.SaveFiles(folder).Select(File.ReadAllBytes)];
        Assert.Equal(before, other.SaveFiles(folder).Select(File.ReadAllBytes));
    }

    /// <summary>A phone, a tablet and a desk, light and dark: nothing sticks out, no letters lie on others, nothing is said on the
    /// console.</summary>
    [Fact]
    public async Task ABrowserShowsItAtThreeWidths()
    {
        string? found = Array.Find(Browsers, File.Exists);
        Assert.SkipUnless(found is not null, "There is no Chromium: apt install chromium.");
        await using IBrowser browser = await Puppeteer.LaunchAsync(
            new()
            {
                ExecutablePath = found,
                Headless = true,
                Args = ["--no-sandbox", "--disable-gpu"],
                Timeout = 120_000,
            }
        );
        await using IPage page = await browser.NewPageAsync();
        var said = new List<string>();
        page.Console += (_, e) => said.Add(e.Message.Text);
        page.PageError += (_, e) => said.Add(e.Message);
        page.RequestFailed += (_, e) => said.Add(e.Request.Url);
        page.DefaultTimeout = 120_000;
        foreach ((int width, bool isDark) in ((int, bool)[])[(360, false), (800, true), (1280, false)])
        {
            await page.SetViewportAsync(new() { Width = width, Height = 900 });
            await page.EmulateMediaFeaturesAsync([
                new() { MediaFeature = MediaFeature.PrefersColorScheme, Value = isDark ? "dark" : "light" },
            ]);
            await page.GoToAsync("file://" + Gallery.Page);
            Assert.InRange(await page.EvaluateExpressionAsync<int>("document.documentElement.scrollWidth"), 1, width);
            Assert.Empty(await page.EvaluateExpressionAsync<string[]>(Outside));
            Assert.Empty(await page.EvaluateExpressionAsync<string[]>(Overlapping));
            Assert.Equal(
                isDark ? "rgb(20, 23, 29)" : "rgb(255, 255, 255)",
                await page.EvaluateExpressionAsync<string>("getComputedStyle(document.body).backgroundColor")
            );
            Assert.Equal(
                isDark ? "rgb(236, 238, 243)" : "rgb(27, 29, 35)",
                await page.EvaluateExpressionAsync<string>("getComputedStyle(document.querySelector('svg text.f-ink')).fill")
            );
        }

        Assert.Empty(said);
    }

    // Letters that leave their picture, by more than half a unit.
    private const string Outside = """
        [...document.querySelectorAll('svg')].flatMap(svg => {
          const box = svg.getBoundingClientRect();
          return [...svg.querySelectorAll('text')].filter(text => {
            const r = text.getBoundingClientRect();
            return r.left < box.left - 0.5 || r.right > box.right + 0.5 || r.top < box.top - 0.5 || r.bottom > box.bottom + 0.5;
          }).map(text => svg.querySelector('title').textContent + ': ' + text.textContent);
        })
        """;

    // Letters that cover others by more than a fifth of their height and two units of their width.
    private const string Overlapping = """
        [...document.querySelectorAll('svg')].flatMap(svg => {
          const texts = [...svg.querySelectorAll('text')].map(text => [text, text.getBoundingClientRect()]);
          const scale = svg.getBoundingClientRect().width / 460;
          return texts.flatMap(([a, r], i) => texts.slice(i + 1).filter(([b, s]) =>
            Math.min(r.right, s.right) - Math.max(r.left, s.left) > 2 * scale &&
            Math.min(r.bottom, s.bottom) - Math.max(r.top, s.top) > 4 * scale
          ).map(([b]) => svg.querySelector('title').textContent + ': ' + a.textContent + ' / ' + b.textContent));
        })
        """;

    /// <summary>The page and its files, made once.</summary>
    public sealed class Gallery
    {
        public Gallery()
        {
            ReportBuilder report = Samples.Everything();
            report.Save(Page);
            Files = report.SaveFiles(Folder);
            Html = File.ReadAllText(Page);
        }

        public static string Folder { get; } = Path.Join(AppContext.BaseDirectory, "gallery");

        public static string Page { get; } = Path.Join(Folder, "report.html");

        public IReadOnlyList<string> Files { get; }

        public string Html { get; }
    }
}
