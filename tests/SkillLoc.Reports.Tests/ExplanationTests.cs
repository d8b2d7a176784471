using System.Net;
using System.Text;
using System.Text.RegularExpressions;
using SkillLoc.Evaluators;
using SkillLoc.Models.Explanations;

namespace SkillLoc.Reports.Tests;

/// <summary>Highlighted texts: every score in letters, nothing of a text as markup.</summary>
public sealed class ExplanationTests
{
    private const string Markup = "<script>alert(1)</script> \"onload=x <img src=x>";

    [Fact]
    public void ScoresStandInTheTextAndNotInItsColoursAlone()
    {
        string html = WebUtility.HtmlDecode(Html(ExplanationSamples.Some()));
        Assert.Contains("<mark class=\"p3\">good<sub>+2.10</sub></mark>", html, StringComparison.Ordinal);
        Assert.Contains("<mark class=\"n2\">nobody<sub>-1.20</sub></mark>", html, StringComparison.Ordinal);

        // Below a tenth of the largest score.
        Assert.Contains("</mark> that <mark", html, StringComparison.Ordinal);
        Assert.Contains(">First text<", html, StringComparison.Ordinal);
        Assert.Contains("query.weight[77]", html, StringComparison.Ordinal);
        Assert.Contains("1,337 of them, make +1.50 of the logit", html, StringComparison.Ordinal);

        // The passage without its marks is the text.
        string passage = Regex.Match(html, "<p class=\"passage\">(.*?)</p>", RegexOptions.Singleline).Groups[1].Value;
        Assert.Equal(ExplanationSamples.Some()[0].Text, Regex.Replace(passage, "<sub>.*?</sub>|<[^>]*>", ""));
    }

    [Fact]
    public void MarkupInTextsLabelsAndTokensIsText()
    {
        string html = Html([ExplanationSamples.Of(Markup, Markup, 1, -1) with { TextPair = Markup }]);
        Assert.DoesNotContain("<script", html, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("<img", html, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("&lt;script&gt;", html, StringComparison.Ordinal);
    }

    [Fact]
    public void OddExplanationsAreShownAsFarAsTheyGo()
    {
        TextExplanation plain = ExplanationSamples.Of("a b", "x", 1);
        string html = Html([
            plain with
            {
                Text = "",
                Tokens = [],
            },
            plain with
            {
                Tokens = [new("a", 0, 0, 1, double.NaN), new("b", 0, 2, 1, double.PositiveInfinity)],
                Logit = double.NaN,
            },
            plain with
            {
                Tokens = [new("a", 0, 0, 1, 0), new("b", 0, 2, 1, 0)],
            },
            // Some bytes of one letter, a place outside the text, and half a letter.
            plain with
            {
                Text = "\ud83d\ude00 b\ud800",
                Tokens = [new("\u00f0\u0141", 0, 0, 2, 1), new("x", 0, 0, 2, -1), new("b", 0, 3, 1, 0.5), new("?", 0, 90, 9, 0.2)],
            },
        ]);
        Assert.DoesNotContain(">NaN<", html, StringComparison.Ordinal);
        Assert.Contains("\ud83d\ude00<sub>+1.00</sub>", WebUtility.HtmlDecode(html), StringComparison.Ordinal);
        Assert.Contains("No token speaks for it, and none against it.", html, StringComparison.Ordinal);
    }

    [Fact]
    public void LongAndManyTextsFitOnAPage()
    {
        string text = string.Join(' ', Enumerable.Range(0, 1000).Select(i => $"word{i}"));
        double[] scores = [.. Enumerable.Range(0, 1000).Select(i => Math.Sin(i))];
        string html = Html([.. Enumerable.Repeat(ExplanationSamples.Of(text, "x", scores), 40)]);
        Assert.InRange(Encoding.UTF8.GetByteCount(html), 10_000, 2_000_000);
        Assert.Contains("10 more explanations are left out", html, StringComparison.Ordinal);
        Assert.Equal(30, Regex.Count(html, "<p class=\"passage\">"));
    }

    [Fact]
    public void NothingIsRefused()
    {
        ReportBuilder report = Samples.Catalog.Report("x");
        Assert.Contains(
            "no explanation",
            Assert.Throws<ArgumentException>(() => report.Add("x", (IReadOnlyList<TextExplanation>)[])).Message
        );
        ExplanationMetrics none = ExplanationSamples.Faithful() with { Points = [] };
        Assert.Contains("no point", Assert.Throws<ArgumentException>(() => report.Add("x", none)).Message);
        string html = report
            .Add("one", ExplanationSamples.Faithful() with { Points = [new(1, double.NaN, 0, 0, 0, 0, double.NaN)] })
            .Add("some", ExplanationSamples.Faithful())
            .ToHtml();
        Assert.Contains("is 0.3167 by integrated gradients and 0.1233 by random tokens", html, StringComparison.Ordinal);
    }

    private static string Html(IReadOnlyList<TextExplanation> explanations) =>
        Samples.Catalog.Report("Explanations").Add("x", explanations).ToHtml();
}
