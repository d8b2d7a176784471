using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using Microsoft.ML;
using SkillLoc.ConnectivityStudy;
using SkillLoc.Evaluators;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Studies;
using SkillLoc.Tests;
using SkillLoc.Transforms;
using TorchSharp;

namespace SkillLoc.EndToEnd.Tests;

/// <summary>The study of mode connectivity on a model and data of seconds.</summary>
public sealed class ConnectivityStudyTests : IDisposable
{
    private const string Experiments = """
        {
          "name": "seeds", "methods": ["full", "adapter"], "both": { "task": "Films" }, "knowledge": true,
          "pairs": [{ "name": "one and two", "first": { "seed": 1 }, "second": { "seed": 2 } }]
        },
        {
          "name": "boundary", "methods": ["full"], "both": { "head": "sequence_classification" },
          "pairs": [{ "name": "both", "first": { "task": "Films" }, "second": { "task": "Moods" } }],
          "planes": [{ "name": "three", "points": 3, "ends": [{ "task": "Films" }, { "task": "Films", "seed": 5 }, { "task": "Moods" }] }]
        },
        {
          "name": "grown", "methods": ["full"], "both": { "task": "Films" }, "bases": [0, 2], "points": 2,
          "pairs": [{ "name": "halves", "first": { "rows": "first_half" }, "second": { "rows": "second_half", "steps": 3, "batch_size": 4, "learning_rate_factor": 2 } }]
        }
        """;

    private static readonly JsonSerializerOptions Named = new() { NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals };

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("connectivity-study-tests");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void AStudyThatStoppedGoesOnToTheSameResults()
    {
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        StudyPlan plan = Plan();
        Study part = new(plan.Only(["seeds"])),
            study = new(plan);
        StudyResult one = part.Measurements(StudyRuns.Run(part, PathOf("out")));
        string[] ends = Ends(part);
        StudyResults results = StudyRuns.Run(study, PathOf("out"));
        StudyResult whole = study.Measurements(results);
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);

        // Of seeds two ends by two methods, and one of each trained again for its cartography; two tasks, and one's second seed for the
        // plane; halves on two bases.
        Assert.Equal(6, ends.Length);
        Assert.Equal(6 + 3 + 4, Ends(study).Length);
        Assert.Empty(ends.Except(Ends(study)));
        Assert.Equal([0, 2], whole.Bases.Select(each => each.Steps));

        // Lines: two methods; the pair of tasks on each of them; two bases. Curves: one for each method.
        Assert.Equal([(2 + 2 + 2, false), (2, true)], whole.Paths.CountBy(path => path.IsCurve).Select(each => (each.Value, each.Key)));
        Assert.Equal(Json(one.Paths.Where(path => !path.IsCurve)), Json(whole.Paths.Take(2)));
        Assert.Equal(2, whole.Forgetting.Count);
        LossPlaneMetrics plane = Assert.Single(whole.Planes).Plane;
        Assert.Equal((9, LossPlaneAxes.Models), (plane.Points.Count, plane.Axes));
        Assert.Equal(["first", "second", "third"], plane.Marks.Select(mark => mark.Name));
        Assert.Equal(whole.Paths.First(path => path.Experiment == "boundary").Points[0].Loss, plane.Marks[0].Loss, 1e-5);

        // Three blocks, and of tiny-roberta's adapters two tensors and two biases in each.
        Assert.Equal([3, 3 * 4], whole.Mixtures.Where(each => each.Method == "adapter").Select(each => each.Groups));

        // Some runs are lost: others are taken as they are, and the lost ones come out the same.
        string[] contents = StudyRuns.Contents(PathOf("out"));
        string[] lost =
        [
            "seeds-adapter-one and two",
            "boundary-full-both",
            Ends(study).First(name => name.StartsWith("Films-adapter", StringComparison.Ordinal)),
        ];
        string kept = StudyRuns.FileOf(study, PathOf("out"), Ends(study).First(name => name.StartsWith("Moods", StringComparison.Ordinal)));
        DateTime written = File.GetLastWriteTimeUtc(kept);
        Array.ForEach(lost, name => StudyRuns.Lose(study, PathOf("out"), name));
        StudyRuns.Run(study, PathOf("out"));
        Assert.Equal(written, File.GetLastWriteTimeUtc(kept));
        Assert.Equal(contents, StudyRuns.Contents(PathOf("out")));
        Assert.Empty(Directory.GetDirectories(PathOf("out/state")));

        IsWhatTheModelsDo(plan, whole, results);

        // Other rows to judge by are another measurement of the same ends.
        string[] Ids(StudyPlan plan) => [.. PlannedRun.Of(new Study(plan)).Select(run => run.Id)];
        Assert.Equal(2 + Ends(study).Length, Ids(plan).Intersect(Ids(plan with { TestRows = 5 })).Count());
    }

    [Fact]
    public void AT5AnswersAlongThePath()
    {
        StudyPlan plan = Plan(
            """
            {
              "name": "seeds", "methods": ["full", "adapter"], "both": { "task": "Films" },
              "pairs": [{ "name": "one and two", "first": { "seed": 1 }, "second": { "seed": 2 } }]
            }
            """
        );
        plan = plan with
        {
            Checkpoint = Oracles.PathOf("tiny-t5"),
            Tasks =
            [
                plan.Tasks[0] with
                {
                    Task = "glue-sst2",
                    Words = new Dictionary<string, string> { ["0"] = "bad", ["1"] = "good" },
                },
            ],
            Training = plan.Training with { Optimizer = SkillLoc.Trainers.OptimizerKind.Adafactor },
        };
        var study = new Study(plan);
        StudyResult result = study.Measurements(StudyRuns.Run(study, PathOf("t5")));
        Assert.Equal(2 + 2, result.Paths.Count);
        Assert.All(
            result.Paths.SelectMany(path => path.Points),
            point => Assert.True(point.Loss > 0 && point.Metric is >= 0 and <= 1, $"{point}")
        );
    }

    [Theory]
    [InlineData("\"both\": {}", "without a task")]
    [InlineData("\"both\": { \"task\": \"Men\" }", "'Men', which is none of its tasks")]
    [InlineData("\"both\": { \"task\": \"Films\" }, \"bases\": [7]", "7 steps of pre-training")]
    [InlineData("\"both\": { \"task\": \"Films\", \"colour\": 1 }", "colour")]
    [InlineData("\"both\": { \"task\": \"Films\" }, \"points\": 1", "2 points or more")]
    public void PlansThatMakeNoSenseAreRefused(string part, string complaint)
    {
        InvalidDataException error = Assert.Throws<InvalidDataException>(() =>
            Plan($$"""{ "name": "a", "methods": ["full"], "pairs": [{ "name": "b" }], {{part}} }""")
        );
        Assert.Contains("plan.json", error.Message, StringComparison.Ordinal);
        Assert.Contains(complaint, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ExperimentsAreFoundByName()
    {
        Assert.Equal(["boundary", "grown"], Plan().Only(["grown", "boundary"]).Experiments.Select(each => each.Name));
        Assert.Contains(
            "'seeds', 'boundary', 'grown'",
            Assert.Throws<ArgumentException>(() => Plan().Only(["seed"])).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void TheReportTellsBarriersAndBoundaries()
    {
        // Halfway between 0.9 and 0.8 lies 0.85, between 0.2 and 0.4 0.3.
        PathResult films = Line("Films", (0.2, 0.9), (0.8, 0.7), (0.4, 0.8)),
            moods = Line("Moods", (1, 0.1), (1, 0.79), (1, 0.8));
        PathResult easy = Line("Films", (0.2, 0.9), (0.2, 0.89), (0.2, 0.5)) with { Pair = "easy" },
            gone = Line("Moods", (1, 0.1), (1, 0.2), (1, 0.8)) with { Pair = "easy" };
        PathResult near = easy with { Task = "Moods", Points = [.. moods.Points] };
        string text = new Report(
            Plan(),
            new([films, moods, easy, gone, films with { IsCurve = true, Points = moods.Points }], [], [], [], [])
        ).Markdown();

        Assert.Contains(
            "| full | both | Films | 90.0 % | 80.0 % | 80.0 % | 70.0 % | 15.0 | 0.500 | no | 75.0 % | 3.00 (0.5000; 0.25) | █▁▅ |",
            text,
            StringComparison.Ordinal
        );
        Assert.Contains("| full | easy | Films | 90.0 % | 50.0 % | 76.3 % | 50.0 % | 0.0 | 0.000 | yes |", text, StringComparison.Ordinal);
        Assert.Contains(
            "full, both: Films stays within 2.0 points of its end up to x = 0, Moods from x = 0.5 on: there is a gap of 0.5 between them.",
            text,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "full, easy: Films stays within 2.0 points of its end up to x = 0.5, Moods from x = 1 on: there is a gap of 0.5",
            text,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "both do from 0.5 to 0.5.",
            new Report(Plan(), new([easy, near], [], [], [], [])).Markdown(),
            StringComparison.Ordinal
        );
        Assert.Contains(
            "| full | boundary | both | Films | 70.0 % | 10.0 % | 15.0 | 0.0 | 0.500 | 0.000 | yes |",
            text,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void PicturesShowEveryPath()
    {
        PathResult films = Line("Films", (0.2, 0.9), (0.8, 0.7), (0.4, 0.8)),
            moods = Line("Moods", (1, 0.1), (1, 0.79), (1, 0.8)) with { Method = "a < b & c", IsCurve = true };
        string page = Report.Pictures(((PathResult[])[films, moods]).GroupBy(path => path.Experiment), []).ToHtml();
        XElement[] pictures =
        [
            .. Regex.Matches(page, "<svg.*?</svg>", RegexOptions.Singleline).Select(match => XElement.Parse(match.Value)),
        ];
        Assert.Equal(["Loss along the path", "Metric along the path"], pictures.Select(picture => picture.Elements().First().Value));

        // A line of three points for each path; the second's metric rises, and y runs downwards.
        double[][] lines = [.. pictures.SelectMany(picture => (double[][])[Drawn(picture, "s-c0"), Drawn(picture, "s-c1")])];
        Assert.All(lines, line => Assert.Equal(6, line.Length));
        Assert.True(lines[3][1] > lines[3][3] && lines[3][3] > lines[3][5]);
        Assert.Equal(lines[1][1], lines[1][5], 0.01);
        Assert.Contains(pictures[0].Descendants(), each => each.Value == "a < b & c: both, on Moods, curve");

        static double[] Drawn(XElement picture, string colour) =>
            [
                .. picture
                    .Descendants()
                    .Where(each => each.Attribute("class")?.Value == colour && each.Name.LocalName == "path")
                    .MaxBy(each => each.Attribute("d")!.Value.Length)!
                    .Attribute("d")!
                    .Value.Split(['M', 'L', ' '], StringSplitOptions.RemoveEmptyEntries)
                    .Select(number => double.Parse(number, CultureInfo.InvariantCulture)),
            ];
    }

    private static PathResult Line(string task, params (double Loss, double Metric)[] points) =>
        new(
            "boundary",
            "full",
            "both",
            task,
            false,
            [
                .. points.Select(
                    (point, i) =>
                        new InterpolationPoint
                        {
                            Set = "Test",
                            X = (double)i / (points.Length - 1),
                            Loss = point.Loss,
                            Metric = point.Metric,
                            Accuracy = 0,
                            ExpectedCalibrationError = 0,
                            BrierScore = 0,
                            AgreementWithFirst = 0.75,
                            AgreementWithSecond = 0,
                            Right = 0,
                            Learnt = 0,
                            Forgotten = 0,
                        }
                ),
            ],
            3,
            0.5,
            0.25
        );

    /// <summary>ML.NET's own accuracy of the ends that were kept, against the path's and the file in the layout of the paper's
    /// code.</summary>
    private void IsWhatTheModelsDo(StudyPlan plan, StudyResult result, StudyResults results)
    {
        Assert.Equal(1 + result.Paths.Count, File.ReadAllLines(PathOf("out/results.csv")).Length);
        Assert.Equal(1 + (2 * 2), File.ReadAllLines(PathOf("out/grown/points.csv")).Length);
        Assert.Equal(1 + 9, File.ReadAllLines(PathOf("out/boundary/full/three/plane.csv")).Length);
        Assert.Equal(2, Directory.GetFiles(PathOf("out/boundary/planes"), "*.svg").Length);
        Assert.Contains(
            "The plane through three, full: over 9 points",
            File.ReadAllText(PathOf("out/results.md")),
            StringComparison.Ordinal
        );

        var ml = new MLContext();
        var data = new StudyData(ml, plan);
        var ends = new Ends(ml, plan, data, new Bases(plan));
        foreach (string method in plan.Methods.Keys)
        {
            using TextScoringTransformer second = ends.Load(
                EndSettings.Of(new() { Task = "Films", Seed = 2 }, method, plan),
                results.FilesOf
            );
            double accuracy = ml.MulticlassClassification.Evaluate(second.Transform(data.Test("Films"))).MicroAccuracy;
            PathResult path = result.Paths.First(each => each.Experiment == "seeds" && each.Method == method);
            Assert.Equal(accuracy, path.Points[^1].Metric, 1e-9);
            string[] rows = File.ReadAllLines(PathOf($"out/seeds/{method}/one and two/Films/result.csv"));
            Assert.Equal(accuracy, double.Parse(rows[^2].Split(',')[5], CultureInfo.InvariantCulture), 1e-4);
            Assert.Equal(1 + 3 + 1, rows.Length);
        }

        // All that is wrong at the first end was forgotten from the start, and every entry is of the end's 32 rows.
        Assert.All(result.Forgetting, each => Assert.Equal((32, "start"), (each.Rows, each.Entries[0].From)));
    }

    private static string Json(object value) => JsonSerializer.Serialize(value, Named);

    /// <summary>The names of the runs that train an end, cartography included.</summary>
    private static string[] Ends(Study study) =>
        [.. PlannedRun.Of(study).Select(run => run.Run.Name).Where(name => Regex.IsMatch(name, "-[0-9a-f]{8}(, cartography)?$"))];

    private string PathOf(string name) => Path.Combine(_folder.FullName, name);

    private StudyPlan Plan(string experiments = Experiments)
    {
        string[] fillers = ["the", "was", "and", "it"];
        AtomicFile.WriteText(
            PathOf("films.txt"),
            string.Concat(
                Enumerable
                    .Range(0, 60)
                    .Select(i => $"{i % 2} {fillers[i % 4]} {(i % 2 == 1 ? "film" : "man")} {fillers[i / 4 % 4]} {fillers[i / 16]}\n")
            )
        );
        AtomicFile.WriteText(
            PathOf("moods.txt"),
            string.Concat(
                Enumerable
                    .Range(0, 90)
                    .Select(i => $"{i % 3} {fillers[i % 4]} {(i % 3 == 0 ? "man" : "film")} {fillers[i / 4 % 4]} {fillers[i / 30]}\n")
            )
        );
        AtomicFile.WriteText(
            PathOf("tales.txt"),
            string.Concat(
                Enumerable
                    .Range(0, 200)
                    .Select(i =>
                        string.Join(' ', Enumerable.Range(i, 30).Select(word => $"{fillers[word % 4]} film{word % (i + 1)}")) + "\n"
                    )
            )
        );
        File.WriteAllText(
            PathOf("plan.json"),
            $$"""
            {
              "checkpoint": {{JsonSerializer.Serialize(Oracles.PathOf("tiny-roberta"))}},
              "data": {{JsonSerializer.Serialize(_folder.FullName)}},
              "train_rows": 32,
              "points": 3,
              "knowledge_points": 2,
              "training": { "steps": 8, "batch_size": 8, "max_length": 16 },
              "methods": { "full": { "learning_rate": 0.005 }, "adapter": { "learning_rate": 0.01, "tuning": { "kind": "adapter" } } },
              "curves": { "lines": 1, "steps": 2, "evaluation_interval": 1 },
              "mixtures": { "lines": 1, "steps": 2, "granularities": ["block", "weight"] },
              "pretraining": {
                "steps": [0, 2], "text": ["tales.txt", "films.txt#rest"], "vocabulary": 300, "hidden": 16, "layers": 1, "heads": 2, "feed_forward": 16,
                "longest_piece": 16, "tokens_per_batch": 64
              },
              "experiments": [{{experiments}}],
              "tasks": [
                { "name": "Films", "task": "sst-2", "words": { "0": "bad", "1": "good" }, "sources": [{ "path": "films.txt", "format": { "layout": "label_first" } }] },
                { "name": "Moods", "task": "sst-2", "words": { "0": "bad", "1": "it", "2": "good" }, "sources": [{ "path": "moods.txt", "format": { "layout": "label_first" } }] }
              ]
            }
            """
        );
        return StudyPlan.Load(PathOf("plan.json"));
    }
}
