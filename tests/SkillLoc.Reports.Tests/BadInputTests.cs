using System.Text;
using System.Text.RegularExpressions;
using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Evaluators;
using SkillLoc.Models.Cartography;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Neurons;
using SkillLoc.Trainers;

namespace SkillLoc.Reports.Tests;

/// <summary>A clear message or a sensible picture, never a broken page.</summary>
public sealed class BadInputTests
{
    private const string Markup = "\"><img src=x onerror=alert(1)><script>alert(2)</script>&amp;]]>--";

    private static ReportBuilder Empty() => Samples.Catalog.Report("Bad input");

    [Fact]
    public void EmptyResultsAreRefusedByName()
    {
        InterpolationMetrics none = Samples.Path() with { Sets = [] };
        (Action Add, string Says)[] all =
        [
            (() => Empty().Add("x", Samples.Calibration() with { Count = 0, Bins = [] }), "no row"),
            (() => Empty().Add("x", new OutOfDistributionMetrics { InDistribution = "a", Entries = [] }), "no entry"),
            (() => Empty().Add("x", new GraftSweepResult(new(0, 0), new(1, 1), [])), "no graft"),
            (() => Empty().Add("x", new Dictionary<string, GraftSweepResult>()), "no graft"),
            (() => Empty().Add("x", new GraftReport { Rows = [] }), "no row"),
            (() => Empty().Add("x", Samples.Cells() with { Entries = [] }), "no cell"),
            (() => Empty().Add("x", new Dictionary<string, Graft>()), "2 to 10"),
            (() => Empty().Add("x", new RelativeGainMetrics { Entries = [] }), "no relative gain"),
            (() => Empty().Add("x", none), "no points"),
            (() => Empty().Add("x", new Dictionary<string, InterpolationMetrics>()), "no points"),
            (() => Empty().Add("x", new TrainingDynamics()), "no row"),
            (() => Empty().Add("x", new ForgettingMetrics { Entries = [] }), "no entry"),
            (() => Empty().Add("x", Samples.Distances() with { Parameters = [] }), "no parameter"),
            (() => Empty().Add("x", Samples.Drop() with { Points = [] }), "no point"),
            (() => Empty().Add("x", (IReadOnlyList<FaithfulnessCurve>)[]), "No curve"),
            (() => Empty().Add("x", (IReadOnlyList<PathBetween>)[]), "two models"),
            (() => Empty().Add("x", Samples.Matrix() with { Rows = [] }), "no row"),
            (
                () =>
                    Empty()
                        .Add(
                            "x",
                            new NeuronProbeResult
                            {
                                Kind = NeuronProbeKind.TextMean,
                                Tasks = [],
                                Thresholds = [],
                                Accuracies = [],
                            }
                        ),
                "no neuron"
            ),
            (() => Empty().Add("x", Samples.Path().Sets[0] with { Scores = [] }, Samples.Dynamics()), "no scores"),
            (() => Empty().Add("x", Samples.Path().Sets[0], Samples.Dynamics(3)), "no training dynamics"),
        ];
        Assert.All(all, each => Assert.Contains(each.Says, Assert.Throws<ArgumentException>(each.Add).Message, StringComparison.Ordinal));
        Assert.Contains("empty", Assert.Throws<InvalidOperationException>(() => Empty().ToHtml()).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => Samples.Catalog.Report(""));
    }

    [Fact]
    public void OneRowAndOnePointAreDrawn()
    {
        var one = new CalibrationBin(0, 1, 1, 0.75, 1);
        string html = Empty()
            .Add("row", Samples.Calibration() with { Count = 1, Accuracy = 1, Bins = [one] })
            .Add("point", Samples.Path(0, 1, 1))
            .Add("ribbon", Samples.Path(0, 1, 1).Sets[0], Samples.Dynamics(1, 1))
            .Add("graft", new GraftSweepResult(new(0.5, null), new(0.5, null), [new(0.1, Samples.Graft(), new(0.5, null))]))
            .Add("map", Samples.Dynamics(1, 1))
            .Add("neuron", Samples.Probe(1, 1))
            .Add("distance", Samples.Distances() with { Parameters = [Samples.Distances().Parameters[0]], Layers = [] })
            .Add("cell", Samples.Matrix(1))
            .ToHtml();
        Sound(html);
        Assert.Contains("Of 1 row 100.0 % are right", html, StringComparison.Ordinal);
    }

    [Fact]
    public void WhatIsNoNumberLeavesAGap()
    {
        InterpolationMetrics path = Samples.Path(withSets: false);
        InterpolationSet set = path.Sets[0];
        InterpolationPoint[] points = [.. set.Points];
        points[4] = points[4] with { Loss = double.NaN, Metric = double.NaN };
        points[5] = points[5] with { Loss = double.PositiveInfinity };
        string html = Empty()
            .Add("path", path with { Sets = [set with { Points = points }] })
            .Add(
                "all",
                path with
                {
                    Sets = [set with { Points = [.. points.Select(point => point with { Loss = double.NaN, Metric = double.NaN })] }],
                }
            )
            .Add(
                "matrix",
                Samples.Matrix(2) with
                {
                    Values =
                    [
                        [double.NaN, double.NaN],
                        [double.NaN, double.NegativeInfinity],
                    ],
                }
            )
            .Add("curve", (IReadOnlyList<FaithfulnessCurve>)[new() { Name = "x", Points = [new(0, 1), new(0.5, double.NaN), new(1, 0.5)] }])
            .Add(
                "distance",
                Samples.Distances() with
                {
                    Parameters = [.. Samples.Distances().Parameters.Select(entry => entry with { L2 = double.NaN })],
                    Layers = [.. Samples.Distances().Layers.Select(entry => entry with { Cosine = double.NaN })],
                }
            )
            .Add(
                "cells",
                Samples.Cells() with
                {
                    PreTrained = double.NaN,
                    Grafted = double.NaN,
                    Entries = [new("layer 0", "q", 1, 2, 0.5, double.NaN)],
                }
            )
            .Add(
                "sweep",
                new GraftSweepResult(new(0.5, double.NaN), new(0.5, double.NaN), [new(0.1, Samples.Graft(), new(0.5, double.NaN))])
            )
            .ToHtml();
        Sound(html);
    }

    [Fact]
    public void APathThatWasMeasuredByAMetricAloneHasNoPictureOfLosses()
    {
        InterpolationMetrics path = Samples.Path(withSets: false);
        InterpolationPoint[] points = [.. path.Sets[0].Points.Select(point => point with { Loss = double.NaN })];
        string html = Empty()
            .Add(
                "x",
                new Dictionary<string, InterpolationMetrics>
                {
                    ["a"] = path with { Metric = "nearest is right", Sets = [path.Sets[0] with { Points = points, Calibration = [] }] },
                }
            )
            .ToHtml();
        Sound(html);
        Assert.DoesNotContain("Loss along the path", html, StringComparison.Ordinal);
        Assert.Contains(">nearest is right</text>", html, StringComparison.Ordinal);
        Assert.Contains("Intervals: 95 %", html, StringComparison.Ordinal);
    }

    [Fact]
    public void AGraftWithoutGainHasNoPictureOfShares()
    {
        GraftCellMetrics cells = Samples.Cells();
        string html = Empty()
            .Add("x", cells with { Grafted = 0.5, Entries = [.. cells.Entries.Select(entry => entry with { Worth = double.NaN })] })
            .ToHtml();
        Assert.Contains("there is no gain on these rows", html, StringComparison.Ordinal);
        Assert.Single(Regex.Matches(html, "<svg"));
    }

    [Fact]
    public void MarkupInLabelsIsText()
    {
        string[] names = [Markup, "=cmd|'/c calc'!A0"];
        ReportBuilder report = Samples
            .Catalog.Report(
                Markup,
                Markup,
                new Provenance
                {
                    Rows = Markup,
                    Command = Markup,
                    Chosen = Markup,
                    Fingerprints = new Dictionary<string, string> { [Markup] = Markup },
                }
            )
            .AddText(Markup, Markup)
            .Add(Markup, Samples.Matrix(2) with { Measure = Markup, Rows = names, Columns = names, RowsAre = Markup })
            .Add(Markup, Samples.Elsewhere(Markup))
            .Add(
                "paths",
                new Dictionary<string, InterpolationMetrics>
                {
                    [Markup] = Samples.Path(withSets: false),
                    ["\u0001\uD800\u202Eb"] = Samples.Path(withSets: false),
                }
            );
        string html = report.ToHtml();
        Sound(html);
        Assert.DoesNotContain("<img", html, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("&lt;script&gt;", html, StringComparison.Ordinal);
        string folder = Path.Join(GalleryTests.Gallery.Folder, "markup");
        Assert.All(
            report.SaveFiles(folder).Where(file => file.EndsWith(".svg", StringComparison.Ordinal)),
            file =>
                Assert.DoesNotContain(System.Xml.Linq.XDocument.Load(file).Descendants(), each => each.Name.LocalName is "script" or "img")
        );
        Assert.Contains(
            "'=cmd",
            File.ReadAllText(Path.Join(folder, "01-" + Regex.Match(html, "download=\"01-([^\"]*)\"").Groups[1].Value)),
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void LettersThatTheFontLacksStayInTheText()
    {
        string html = Empty().Add("x", Samples.Matrix(2) with { Rows = ["好评", "差评"], Columns = ["good", "bad"] }).ToHtml();
        Assert.Contains(">好评</text>", html, StringComparison.Ordinal);
        Assert.DoesNotContain("%000", html, StringComparison.Ordinal);
    }

    [Fact]
    public void AThousandLabelsFitOnAPage()
    {
        const int Labels = 1000;
        IDataView data = Samples.Ml.Data.LoadFromEnumerable(
            Enumerable
                .Range(0, Labels)
                .Select(label =>
                {
                    float[] score = new float[Labels];
                    score[label % 10 == 0 ? (label + 1) % Labels : label] = 1;
                    return new Wide
                    {
                        Label = (uint)label,
                        PredictedLabel = (uint)(label % 10 == 0 ? (label + 1) % Labels : label),
                        Score = score,
                    };
                })
        );
        MulticlassClassificationMetrics metrics = Samples.Ml.MulticlassClassification.Evaluate(data);
        string html = Empty()
            .Add("x", metrics, [.. Enumerable.Range(0, Labels).Select(i => $"label with a long name, number {i}")])
            .ToHtml();
        Sound(html);
        Assert.Contains("90.0 % of 1,000 rows are right", html, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => Empty().Add("x", metrics, ["one"]));
    }

    [Fact]
    public void ThreeHundredThousandNeuronsAreOnePicture()
    {
        string html = Empty().Add("x", Samples.Probe(24, 12_500)).ToHtml();
        Sound(html);
        Assert.InRange(Encoding.UTF8.GetByteCount(html), 1, 300_000);
        Assert.Contains("300,000 neurons in 24 layers", html, StringComparison.Ordinal);
    }

    [Fact]
    public void ManyRowsOfADataMapAreDrawnInPart()
    {
        string html = Empty().Add("x", Samples.Dynamics(20_000, 2)).ToHtml();
        Assert.InRange(Encoding.UTF8.GetByteCount(html), 1, 700_000);
        Assert.Contains("Every 14th row is drawn.", html, StringComparison.Ordinal);
    }

    [Fact]
    public void APageThatWouldBeTooLargeIsRefused()
    {
        ReportBuilder report = Empty();
        for (int i = 0; i < 60; i++)
        {
            report.AddText("text", new string('x', 40_000));
        }

        Assert.Contains("2.4 MB", Assert.Throws<InvalidOperationException>(() => report.ToHtml()).Message, StringComparison.Ordinal);
    }

    /// <summary>Of ten rows with an accuracy of a half, resamples have from two to eight right in 95 of 100 cases: the distribution function is
    /// 0.011 at one, 0.055 at two.</summary>
    [Fact]
    public void IntervalsAreThoseOfResampledRows()
    {
        string folder = Path.Join(GalleryTests.Gallery.Folder, "interval");
        NeuronDropMetrics drop = Samples.Drop() with { Count = 10, Points = [new("Zero", 0, 1, 0.1, 5, 0.5, 0.5, 0.1)] };
        string csv = File.ReadAllText(Empty().Add("x", drop).SaveFiles(folder)[0]);
        Assert.Contains("\nZero,0,1,0.1,5,0.5,0.2,0.8,0.5,0.1\n", csv, StringComparison.Ordinal);
    }

    private static void Sound(string html)
    {
        Assert.DoesNotContain("<script", html, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain(">NaN<", html, StringComparison.Ordinal);
        Assert.InRange(Encoding.UTF8.GetByteCount(html), 1000, 2_000_000);
        Assert.All(
            Regex.Matches(html, "<svg.*?</svg>", RegexOptions.Singleline).Select(match => match.Value),
            svg =>
            {
                Assert.DoesNotContain("NaN", svg.Replace("base64", "", StringComparison.Ordinal)[..200], StringComparison.Ordinal);
                System.Xml.Linq.XElement.Parse(svg);
            }
        );
    }

    private sealed class Wide
    {
        [KeyType(1000)]
        public uint Label { get; set; }

        [KeyType(1000)]
        public uint PredictedLabel { get; set; }

        [VectorType(1000)]
        public float[] Score { get; set; } = [];
    }
}
