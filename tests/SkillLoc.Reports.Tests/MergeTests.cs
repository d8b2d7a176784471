using System.Net;
using System.Text.RegularExpressions;
using SkillLoc.Evaluators;
using SkillLoc.Models.Merging;

namespace SkillLoc.Reports.Tests;

/// <summary>Merges and planes in a report: what is said of them, and bad input.</summary>
public sealed class MergeTests
{
    private const string Markup = "\"><img src=x onerror=alert(1)><script>alert(2)</script>";

    private static ReportBuilder Report => Samples.Catalog.Report("Merging");

    [Fact]
    public void AMergeIsSaidInWordsAndNumbers()
    {
        string html = Html(Report.Add("x", Merging.Merge()));
        Assert.Contains("The merged model has 81.02 % on average, 91.0 % of the single models' 89.0 %.", html, StringComparison.Ordinal);
        Assert.Contains("The merged model keeps least on questions: 87.0 %.", html, StringComparison.Ordinal);
        Assert.Contains("Their rank correlation is 1 (Spearman; Pearson 1)", html, StringComparison.Ordinal);
        Assert.Contains("<td>films</td><td class=\"n\">400</td>", html, StringComparison.Ordinal);

        // Accuracy, share, calibration, forecast, and the board with its models.
        Assert.Equal(6, Regex.Count(html, "<figure"));
    }

    [Fact]
    public void TheBoardHasTheWorstCellAndWhoLosesThere()
    {
        string html = Html(Report.Add("x", Merging.Forecast()));
        Assert.Contains(
            "It is worst in ffn-out of layer 3: 25.0 % clash, with 5.93 % of the movement; questions-2 loses most",
            html,
            StringComparison.Ordinal
        );
        Assert.Contains("<th scope=\"col\">questions-2</th>", html, StringComparison.Ordinal);
        Assert.Equal(2, Regex.Count(html, "<figure"));
    }

    [Fact]
    public void SeveralMergesAreMeansOverTheirRuns()
    {
        string folder = Path.Join(GalleryTests.Gallery.Folder, "merges");
        ReportBuilder report = Report.Add(
            "x",
            new Dictionary<string, IReadOnlyList<MergeMetrics>>
            {
                ["mean"] = [Merging.Merge(0.8, 1, false), Merging.Merge(0.6, 1, false)],
                ["ties"] = [Merging.Merge(0.9, 1, false)],
            }
        );
        string html = Html(report);
        Assert.Contains("Of 2 models ties has most, 90.0 % of the single models' accuracy", html, StringComparison.Ordinal);
        Assert.Contains("Cells are means over the runs of a merge.", html, StringComparison.Ordinal);
        string csv = File.ReadAllText(report.SaveFiles(folder)[0]);
        Assert.Contains("\nmean,2,films,400,0.9,0.54,", csv, StringComparison.Ordinal);
        string svg = File.ReadAllText(Path.Join(folder, "01-accuracy-of-merged-models-by-task.svg"));
        Assert.Contains(">0.63</text>", svg, StringComparison.Ordinal); // 0.9 × 0.7.
        Assert.Contains(">single models</text>", svg, StringComparison.Ordinal);
    }

    [Fact]
    public void NothingIsRefusedByName()
    {
        (Action Add, string Says)[] all =
        [
            (() => Report.Add("x", Merging.Merge() with { Tasks = [] }), "no task"),
            (() => Report.Add("x", new Dictionary<string, IReadOnlyList<MergeMetrics>>()), "no task"),
            (() => Report.Add("x", new Dictionary<string, IReadOnlyList<MergeMetrics>> { ["a"] = [] }), "no task"),
            (() => Report.Add("x", Merging.Forecast() with { Models = [] }), "no model"),
            (() => Report.Add("x", Merging.Forecast() with { Cells = [] }), "no cell"),
            (() => Report.Add("x", Merging.Forecast(2) with { Cells = Merging.Forecast(3).Cells }), "3 models, and the forecast of 2"),
            (() => Report.Add("x", Planes.Around() with { X = [0] }), "two places"),
            (() => Report.Add("x", Planes.Around() with { Points = [] }), "two places"),
            (() => Report.Add("x", Planes.Around(2) with { X = [1, double.NaN] }), "two places"),
        ];
        Assert.All(all, each => Assert.Contains(each.Says, Assert.Throws<ArgumentException>(each.Add).Message, StringComparison.Ordinal));
    }

    [Fact]
    public void OneRowAndWhatIsNoNumberAreDrawn()
    {
        MergeMetrics one = Merging.Merge(1, 1);
        MergeMetricsEntry entry = one.Tasks[0];
        MergeForecast none = Merging.Forecast(1) with
        {
            Interference = double.NaN,
            Cells =
            [
                .. Merging
                    .Forecast(1)
                    .Cells.Select(cell => cell with { Clash = double.NaN, Movement = [double.NaN], Against = [double.NaN] }),
            ],
        };
        LossPlaneMetrics plane = Planes.Through(5),
            small = Planes.Through(2);
        LossPlanePoint[] points = [.. plane.Points];
        points[7] = points[7] with { Loss = double.NaN, Metric = double.NaN };
        points[8] = points[8] with { Loss = double.PositiveInfinity };
        string html = Html(
            Report
                .Add("row", one with { Tasks = [entry with { Count = 1, Accuracy = 1, SingleAccuracy = 1, Share = 1 }] })
                .Add(
                    "nothing right",
                    one with
                    {
                        Tasks =
                        [
                            entry with
                            {
                                Count = 0,
                                SingleAccuracy = 0,
                                Accuracy = double.NaN,
                                Share = double.NaN,
                                ExpectedCalibrationError = double.NaN,
                            },
                        ],
                    }
                )
                .Add("board", none)
                .Add(
                    "unmoved",
                    none with
                    {
                        Cells = [.. none.Cells.Select(cell => cell with { Clash = 0, Movement = [0], Against = [0] })],
                    }
                )
                .Add("plane", plane with { Points = points })
                .Add("smallest", small)
                .Add(
                    "all",
                    small with
                    {
                        Points = [.. small.Points.Select(point => point with { Loss = double.NaN, Metric = double.NaN })],
                        Marks = [new("nowhere", double.NaN, 0, double.NaN, double.NaN)],
                    }
                )
        );
        Assert.DoesNotContain(">NaN<", html, StringComparison.Ordinal);
        Assert.Contains("there is nothing to have a share of", html, StringComparison.Ordinal);
    }

    [Fact]
    public void AThousandTasksAndMarkupFit()
    {
        MergeMetrics many = Merging.Merge(0.9, 1000, forecast: false),
            odd = Merging.Merge();
        string html = Report
            .Add("one", many)
            .Add("two", new Dictionary<string, IReadOnlyList<MergeMetrics>> { ["a"] = [many], ["b"] = [many] })
            .Add(
                "odd",
                new Dictionary<string, IReadOnlyList<MergeMetrics>>
                {
                    [Markup] = [odd with { Tasks = [.. odd.Tasks.Select(task => task with { Task = Markup + task.Task })] }],
                }
            )
            .Add("board", odd.Forecast! with { Models = [.. odd.Forecast.Models.Select((model, i) => model with { Model = Markup + i })] })
            .Add("plane", Planes.Through() with { Marks = [new(Markup, 0, 0, 1, 1)], Metric = Markup })
            .ToHtml();
        Assert.InRange(html.Length, 10_000, 2_000_000);
        Assert.DoesNotContain("<script", html, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("<img", html, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public void APlaneHasLinesOfEqualLossAndItsModels()
    {
        string folder = Path.Join(GalleryTests.Gallery.Folder, "plane");
        string[] files = [.. Report.Add("x", Planes.Through()).SaveFiles(folder)];
        string svg = File.ReadAllText(
            Array.Find(files, file => file.EndsWith("01-loss-over-a-plane-of-models.svg", StringComparison.Ordinal))!
        );
        Assert.Contains(">third</text>", svg, StringComparison.Ordinal);
        Assert.Contains(">distance along u</text>", svg, StringComparison.Ordinal);
        Assert.InRange(Regex.Count(svg, "<path[^>]*stroke=\"#FDFDFD\""), 5, 60);
        Assert.Contains("\n0.1,0.5,0.7,0.75,,third\n", File.ReadAllText(files[0]), StringComparison.Ordinal);
        Assert.Contains(
            "of the models: first 0.8; second 0.8; third 0.7",
            Html(Report.Add("x", Planes.Through())),
            StringComparison.Ordinal
        );
        Assert.Contains("multiples of the first direction", Html(Report.Add("x", Planes.Around())), StringComparison.Ordinal);
    }

    private static string Html(ReportBuilder report) => WebUtility.HtmlDecode(report.ToHtml());
}
