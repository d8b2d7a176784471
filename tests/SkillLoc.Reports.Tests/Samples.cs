using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Evaluators;
using SkillLoc.Models.Cartography;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Neurons;
using SkillLoc.Trainers;

namespace SkillLoc.Reports.Tests;

/// <summary>Results with known numbers, as records hold them.</summary>
internal static class Samples
{
    public static MLContext Ml { get; } = new(seed: 1);

    public static SkillLocCatalog Catalog => Ml.SkillLoc();

    public static Provenance Provenance { get; } =
        new()
        {
            Rows = "872 rows of a development set",
            Seeds = [1, 2, 3],
            Chosen = "sparsity on 100 validation rows",
            Command = "dotnet run --project examples/Demo -- sst-2",
            Fingerprints = new Dictionary<string, string>(StringComparer.Ordinal) { ["model"] = "0123abcd", ["data"] = "89ef4567" },
        };

    public static IDataView Scored(int count = 400, int classes = 2)
    {
        var random = new Random(1);
        var rows = new List<Row>();
        for (int i = 0; i < count; i++)
        {
            int label = random.Next(classes);
            double sure = 0.5 + (0.5 * random.NextDouble());
            int favoured = random.NextDouble() < (sure * 0.7) + 0.2 ? label : random.Next(classes);
            float[] scores = [.. Enumerable.Repeat((float)((1 - sure) / (classes - 1)), classes)];
            scores[favoured] = (float)sure;
            rows.Add(
                new()
                {
                    Label = $"{(char)('a' + (label % 26))}{label:00}",
                    Score = scores,
                    Predicted = (uint)favoured,
                }
            );
        }

        var schema = SchemaDefinition.Create(typeof(Row));
        schema["Score"].ColumnType = new VectorDataViewType(NumberDataViewType.Single, classes);
        IDataView data = Ml.Data.LoadFromEnumerable(rows, schema);
        return Ml
            .Transforms.Conversion.MapValueToKey(
                "Label",
                keyOrdinality: Microsoft.ML.Transforms.ValueToKeyMappingEstimator.KeyOrdinality.ByValue
            )
            .Append(Ml.Transforms.CopyColumns("PredictedLabel", "Label"))
            .Fit(data)
            .Transform(data);
    }

    public static OutOfDistributionMetrics Elsewhere(params string[] models) =>
        new()
        {
            InDistribution = "films",
            Entries =
            [
                .. from model in models.Index()
                from set in (string[])["films", "shops", "tweets"]
                let accuracy = set == "films" ? 0.9 : 0.62 + (model.Index * 0.05)
                select new OutOfDistributionEntry(model.Item, set, 400, accuracy, accuracy, 0.08, 0.5, 0.9, 0.9 - accuracy),
            ],
        };

    public static Graft Graft(int seed = 1, int count = 400, int considered = 20_000)
    {
        var random = new Random(seed);
        int half = considered / 2;
        return new()
        {
            BaseFingerprint = "base",
            ConsideredCount = considered,
            Parts =
            [
                .. (
                    (string[])["roberta.encoder.layer.0.attention.self.query.weight", "roberta.encoder.layer.1.output.dense.weight"]
                ).Select(name =>
                {
                    int[] indices = [.. Enumerable.Range(0, count / 2).Select(_ => random.Next(half)).Distinct().Order()];
                    return new GraftPart(name, indices, new float[indices.Length]);
                }),
            ],
        };
    }

    public static GraftSweepResult Sweep(int seed = 1) =>
        new(
            new(0.5, 0.52),
            new(0.97, 0.9),
            [
                .. ((double[])[0.0001, 0.001, 0.01, 0.1]).Select(
                    (sparsity, i) =>
                        new GraftSweepPoint(
                            sparsity,
                            Graft(seed, (int)(20_000 * sparsity) + 2),
                            new(0.6 + (0.1 * i), 0.6 + (0.09 * i) + (0.01 * seed))
                        )
                ),
            ]
        );

    public static GraftReport Report() =>
        new()
        {
            Rows =
            [
                .. ((string[])["0.01 %", "0.1 %", "random"]).Select(
                    (name, i) =>
                        new GraftReportRow
                        {
                            Graft = name,
                            Task = "films",
                            Sparsity = 0.001,
                            Scalars = 1000,
                            Share = 0.001,
                            FileBytes = 8192,
                            Count = 872,
                            Agreement = 0.9,
                            PreTrainedAccuracy = 0.51,
                            FineTunedAccuracy = 0.91,
                            GraftedAccuracy = i == 2 ? 0.55 : 0.82 + (0.05 * i),
                            PreTrainedCalibrationError = 0.2,
                            FineTunedCalibrationError = 0.08,
                            GraftedCalibrationError = 0.04,
                        }
                ),
            ],
        };

    public static GraftCellMetrics Cells() =>
        new()
        {
            Count = 872,
            PreTrained = 0.5,
            Grafted = 0.88,
            Entries =
            [
                .. from layer in Enumerable.Range(0, 6)
                from module in (string[])["q", "k", "v", "o", "ffn-in", "ffn-out", "norm", "bias"]
                let count = (layer * 3) + module.Length
                select new GraftCellEntry(
                    $"layer {layer}",
                    module,
                    layer == 0 ? 0 : count,
                    4096,
                    0.88 - (count * 0.004),
                    (count * 0.01) - 0.05
                ),
            ],
        };

    public static InterpolationMetrics Path(double height = 0.3, int points = 11, int rows = 60, bool withSets = true)
    {
        var random = new Random(3);
        double[] difficulties = [.. Enumerable.Range(0, rows).Select(_ => random.NextDouble())];
        float[][] scores =
        [
            .. Enumerable
                .Range(0, points)
                .Select(point =>
                    (float[])
                        [
                            .. difficulties.Select(
                                (value, row) => value < 0.85 - (height * Hump(point)) + (row % 7 == 0 ? 0.1 * point / points : 0) ? 1f : 0f
                            ),
                        ]
                ),
        ];
        InterpolationSet Set(string name) =>
            new()
            {
                Name = name,
                Rows = [.. Enumerable.Range(0, rows)],
                Scores = scores,
                Points =
                [
                    .. Enumerable
                        .Range(0, points)
                        .Select(point => new InterpolationPoint
                        {
                            Set = name,
                            X = X(point),
                            Loss = 0.3 + (height * Hump(point)),
                            Metric = scores[point].Average(),
                            Accuracy = scores[point].Average(),
                            ExpectedCalibrationError = 0.05 + (0.1 * Hump(point)),
                            BrierScore = 0.2,
                            AgreementWithFirst = 1 - (0.2 * X(point)),
                            AgreementWithSecond = 0.8 + (0.2 * X(point)),
                            Right = (long)scores[point].Sum(),
                            Learnt = 0,
                            Forgotten = 0,
                        }),
                ],
                Calibration = [.. Enumerable.Range(0, points).Select(point => Calibration(0.1 * Hump(point)))],
                SmoothCalibrationErrors = [.. Enumerable.Range(0, points).Select(point => 0.04 + (0.1 * Hump(point)))],
            };
        return new()
        {
            Task = "films",
            Metric = "ACC",
            Sets = withSets ? [Set("Validation"), Set("Training")] : [Set("Validation")],
        };

        double X(int point) => points == 1 ? 0 : point / (points - 1.0);

        double Hump(int point) => 4 * X(point) * (1 - X(point));
    }

    public static CalibrationMetrics Calibration(double gap = 0.05, int bins = 15) =>
        new()
        {
            Count = 25 * (bins / 2),
            Accuracy = 0.75 - gap,
            ExpectedCalibrationError = gap,
            AdaptiveCalibrationError = gap,
            MaximumCalibrationError = gap,
            BrierScore = 0.2,
            LogLoss = 0.4,
            Bins =
            [
                .. Enumerable
                    .Range(0, bins)
                    .Select(bin =>
                    {
                        double middle = (bin + 0.5) / bins;
                        return bin < bins - (bins / 2)
                            ? new CalibrationBin((double)bin / bins, (bin + 1.0) / bins, 0, double.NaN, double.NaN)
                            : new CalibrationBin((double)bin / bins, (bin + 1.0) / bins, 25, middle, Math.Clamp(middle - gap, 0, 1));
                    }),
            ],
        };

    public static TrainingDynamics Dynamics(int rows = 60, int epochs = 6)
    {
        var random = new Random(5);
        var dynamics = new TrainingDynamics();
        for (int row = 0; row < rows; row++)
        {
            double ease = random.NextDouble();
            for (int epoch = 0; epoch < epochs; epoch++)
            {
                double confidence = Math.Clamp(ease + ((epoch - 2) * 0.1 * random.NextDouble()), 0, 1);
                dynamics.Add(row, confidence > 0.5, confidence);
            }
        }

        return dynamics;
    }

    public static NeuronProbeResult Probe(int layers = 4, int width = 64, int tasks = 1)
    {
        var random = new Random(7);
        NeuronValues Values() =>
            new(
                [
                    .. Enumerable
                        .Range(0, layers * width)
                        .Select(i => 0.5 + (0.4 * Math.Pow(random.NextDouble(), 6) * (1 + (i / width))) / layers),
                ],
                layers,
                width
            );
        return new()
        {
            Kind = NeuronProbeKind.TextMean,
            Tasks = [.. Enumerable.Range(0, tasks).Select(task => $"label {task}")],
            Thresholds = [.. Enumerable.Range(0, tasks).Select(_ => Values())],
            Accuracies = [.. Enumerable.Range(0, tasks).Select(_ => Values())],
        };
    }

    public static NeuronDropMetrics Drop() =>
        new()
        {
            Count = 400,
            Accuracy = 0.88,
            Seed = 4,
            Points =
            [
                .. ((double[])[0, 0.01, 0.05, 0.1, 0.2]).Select(fraction => new NeuronDropPoint(
                    "Gaussian",
                    0,
                    4,
                    fraction,
                    (int)(fraction * 256),
                    0.88 - (1.6 * fraction),
                    0.88 - (0.2 * fraction),
                    0.01
                )),
            ],
        };

    public static NamedMatrix Matrix(int size = 4) =>
        new()
        {
            Measure = "cosine of task vectors",
            Rows = [.. Enumerable.Range(0, size).Select(i => $"task {i}")],
            Columns = [.. Enumerable.Range(0, size).Select(i => $"task {i}")],
            Values = [.. Enumerable.Range(0, size).Select(i => (double[])[.. Enumerable.Range(0, size).Select(j => Math.Cos(i - j))])],
            IsAroundZero = true,
        };

    public static CheckpointDistanceMetrics Distances()
    {
        CheckpointDistanceEntry[] parameters =
        [
            new("Embeddings", -1, "roberta.embeddings.word_embeddings.weight", 900, 3, 0.1, 0.8),
            .. from layer in Enumerable.Range(0, 3)
            from kind in (string[])["attention.self.query.weight", "output.dense.weight", "output.dense.bias"]
            select new CheckpointDistanceEntry("Layer", layer, kind, 100, 1 + layer, (1 + layer) / 10.0, 0.9 - (0.1 * layer)),
        ];
        return new()
        {
            Whole = new("", -1, "", 1800, 6, 6 / Math.Sqrt(1800), 0.75),
            Parameters = parameters,
            Layers =
            [
                parameters[0],
                .. parameters.Where(entry => entry.Kind == "output.dense.weight").Select(entry => entry with { Kind = "" }),
            ],
            Kinds = [],
        };
    }

    /// <summary>A report with every kind of result.</summary>
    public static ReportBuilder Everything(string title = "All pictures")
    {
        IDataView scored = Scored();
        string[] seeds = ["1", "2", "3", "4"];
        return Catalog
            .Report(title, "Synthetic results, to look at.", Provenance)
            .AddText("What this is", "Every picture that a report can have.")
            .AddCalibration("Calibration", scored)
            .Add("A classifier of ML.NET", Ml.MulticlassClassification.Evaluate(scored), ["negative", "positive"])
            .Add(
                "Sparsity",
                new Dictionary<string, GraftSweepResult>
                {
                    ["1"] = Sweep(1),
                    ["2"] = Sweep(2),
                    ["3"] = Sweep(3),
                }
            )
            .Add("Grafts", Report())
            .Add("Skill map", Cells())
            .Add(
                "Masks of tasks",
                new Dictionary<string, Graft>
                {
                    ["films"] = Graft(1, 4000),
                    ["shops"] = Graft(2, 4000),
                    ["tweets"] = Graft(3, 2000),
                    ["news"] = Graft(1, 1000),
                }
            )
            .Add("One path", Path())
            .Add(
                "Line and curve",
                new Dictionary<string, InterpolationMetrics>
                {
                    ["line"] = Path(0.4, withSets: false),
                    ["Bézier curve"] = Path(0.1, withSets: false),
                }
            )
            .Add("Ribbon", Path().Sets[1], Dynamics())
            .Add("Data map", Dynamics(400))
            .Add("Neurons", Probe(12, 3072, 3))
            .Add("Perturbed neurons", Drop())
            .Add(
                "Faithfulness",
                (IReadOnlyList<FaithfulnessCurve>)
                    [FaithfulnessCurve.Of("graft", Sweep()), .. FaithfulnessCurve.Of("skill neurons", Drop(), 0.5)]
            )
            .Add("Explanations", ExplanationSamples.Some())
            .Add("Whether they are true", ExplanationSamples.Faithful())
            .Add("Other distributions", Elsewhere("full", "graft"))
            .Add(
                "Basins",
                (IReadOnlyList<PathBetween>)
                    [
                        .. from first in seeds
                        from second in seeds
                        where string.CompareOrdinal(first, second) < 0
                        select new PathBetween(
                            first,
                            second,
                            Path((int.Parse(first, null) + int.Parse(second, null)) % 2 == 0 ? 0.02 : 0.4)
                        ),
                    ],
                beside: Elsewhere(seeds)
            )
            .Add("Task vectors", Matrix(6))
            .Add("Merge", Merging.Merge())
            .Add(
                "Merges",
                new Dictionary<string, IReadOnlyList<MergeMetrics>>
                {
                    ["mean"] = [Merging.Merge(0.8, forecast: false), Merging.Merge(0.75, forecast: false)],
                    ["ties"] = [Merging.Merge(0.9, forecast: false), Merging.Merge(0.85, forecast: false)],
                }
            )
            .Add("Interference", Merging.Forecast(5))
            .Add("Distance", Distances())
            .Add("Loss plane", Planes.Through())
            .Add("Random plane", Planes.Around());
    }

    private sealed class Row
    {
        public string Label { get; set; } = "";

        [VectorType]
        public float[] Score { get; set; } = [];

        public uint Predicted { get; set; }
    }
}
