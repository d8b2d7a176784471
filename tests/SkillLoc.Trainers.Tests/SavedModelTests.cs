using Microsoft.ML;
using SkillLoc.Models.Cartography;
using SkillLoc.Models.Datasets;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Runs;
using SkillLoc.Models.Tuning;
using SkillLoc.Transforms;

namespace SkillLoc.Trainers.Tests;

/// <summary>What is trained, saved and loaded again answers as it did: by every method, on any path, in any language, beside an older
/// one.</summary>
public sealed class SavedModelTests : IDisposable
{
    private readonly MLContext _ml = new(seed: 1);
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    public static TheoryData<string> MethodNames => [.. Methods.Keys];

    public static TheoryData<string> PathNames => ["Кириллица и ё", "中文 路径", "three hundred"];

    private static Dictionary<string, TuningOptions?> Methods { get; } =
        new()
        {
            ["full"] = null,
            ["BitFit"] = new BitFitOptions(),
            ["adapters"] = new AdapterOptions { BottleneckSize = 4 },
            ["LoRA"] = new LoraOptions { Rank = 2 },
            ["soft prompt"] = new SoftPromptOptions { Size = 3 },
            ["prefix"] = new PrefixOptions { Length = 2, ProjectionSize = 8 },
            ["low-rank bias"] = new LowRankBiasOptions { Rank = 2, Mlp = true },
        };

    [Theory]
    [MemberData(nameof(MethodNames))]
    public void EveryMethodIsSavedAndLoadedWithTheSameScores(string method)
    {
        string zip = Path.Join(_folder, "model.zip"),
            file = Path.Join(_folder, "tuned.safetensors");
        using TextScoringTransformer model = Fit(options =>
            (options.Tuning, options.OutputFolder) = (Methods[method], Path.Join(_folder, "model"))
        );
        _ml.Model.Save(model, View().Schema, zip);
        float[][] expected = Scores(model);
        Assert.True(Math.Abs(expected[0][0] - expected[1][0]) > 1e-6);
        Assert.Equal(expected, Scores(_ml.Model.Load(zip, out _)));
        if (Methods[method] is not null)
        {
            model.Classifier.SaveTuned(file);
            using TextScoringTransformer loaded = _ml.SkillLoc().Connectivity.LoadTextScorer(Toy.Checkpoint, file);
            Assert.Equal(expected, Scores(loaded));
        }
    }

    [Fact]
    public void AnOlderEngineServesWhileItsZipAndFolderAreTrainedAnew()
    {
        string folder = Path.Join(_folder, "model"),
            zip = Path.Join(_folder, "model.zip");
        float[][] first = Train(seed: 5);
        ITransformer served = _ml.Model.Load(zip, out _);
        using PredictionEngine<Toy.Row, Scored> older = _ml.Model.CreatePredictionEngine<Toy.Row, Scored>(served);
        Assert.Equal(first, Scores(older));

        float[][] second = Train(seed: 6);
        Assert.NotEqual(first, second);
        Assert.Equal(first, Scores(older));
        Assert.Equal(second, Scores(_ml.Model.Load(zip, out _)));
        Assert.Equal(first, Scores(older));

        float[][] Train(int seed)
        {
            using TextScoringTransformer model = Fit(options => (options.OutputFolder, options.Seed) = (folder, seed));
            _ml.Model.Save(model, View().Schema, zip);
            return Scores(model);
        }
    }

    [Fact]
    public void LanguagesOfTheMachineChangeNothing()
    {
        (float[][] Scores, Dictionary<string, byte[]> Files) expected = Train("expected");
        Assert.True(expected.Files.Count >= 8);
        foreach (string culture in Cultures.Names)
        {
            (float[][] scores, Dictionary<string, byte[]> files) = Cultures.In(culture, () => Train(culture));
            Assert.Equal(expected.Scores, scores);
            Assert.Equal(expected.Files.Keys.Order(), files.Keys.Order());
            Assert.All(
                expected.Files,
                file => Assert.True(file.Value.AsSpan().SequenceEqual(files[file.Key]), $"{culture}: {file.Key} is another.")
            );
            Cultures.In(
                "de-DE",
                () =>
                {
                    Assert.Equal(expected.Scores, Scores(_ml.Model.Load(Path.Join(_folder, culture, "model.zip"), out _)));
                    Assert.Equal(
                        RunRecord
                            .Read(Path.Join(_folder, "expected", "log.jsonl"))[0]
                            .Metrics.Where(metric => metric.Key != "seconds")
                            .Order(KeyOrder),
                        RunRecord
                            .Read(Path.Join(_folder, culture, "log.jsonl"))[0]
                            .Metrics.Where(metric => metric.Key != "seconds")
                            .Order(KeyOrder)
                    );
                }
            );
        }

        (float[][] Scores, Dictionary<string, byte[]> Files) Train(string name)
        {
            string folder = Directory.CreateDirectory(Path.Join(_folder, name)).FullName,
                csv = Path.Join(folder, "rows.csv");
            File.WriteAllLines(csv, Toy.Examples(12).Select(row => $"{row.Label};{row.Text}, and 1.5 more"));
            IDataView rows = _ml.SkillLoc()
                .Data.LoadTaskFile(
                    csv,
                    new TaskFileFormat
                    {
                        Layout = TaskFileLayout.Csv,
                        Separator = ";",
                        Label = 0,
                        Text = 1,
                    }
                );
            IDataView data = _ml.Transforms.Conversion.MapValueToKey("Label").Fit(rows).Transform(rows);
            using TextScoringTransformer model = _ml.SkillLoc()
                .PromptFineTune(
                    Toy.Options(options =>
                    {
                        (options.OutputFolder, options.CheckpointFolder) = (Path.Join(folder, "model"), Path.Join(folder, "checkpoints"));
                        (options.RecordPath, options.CartographyPath) = (
                            Path.Join(folder, "log.jsonl"),
                            Path.Join(folder, "cartography.json")
                        );
                        options.Checkpoints = CheckpointPolicy.Last;
                        (options.Epochs, options.LearningRate, options.Dropout, options.ValidationSet) = (1, 1.5e-3, 0.1, data);
                    })
                )
                .Fit(data);
            using GraftTransformer graft = _ml.SkillLoc()
                .GraftMask(
                    new GraftMaskEstimator.Options
                    {
                        FineTuned = model,
                        Sparsity = 0.01,
                        Epochs = 1,
                        Seed = 1,
                    }
                )
                .Fit(data);
            graft.SaveGraft(Path.Join(folder, "graft.safetensors"));
            _ml.Model.Save(model, data.Schema, Path.Join(folder, "model.zip"));

            // Times stand in the record and in the zip.
            return (
                Scores(model),
                Directory
                    .EnumerateFiles(folder, "*", SearchOption.AllDirectories)
                    .Where(file =>
                        !file.EndsWith("log.jsonl", StringComparison.Ordinal) && !file.EndsWith(".zip", StringComparison.Ordinal)
                    )
                    .ToDictionary(file => Path.GetRelativePath(folder, file), File.ReadAllBytes)
            );
        }
    }

    [Theory]
    [MemberData(nameof(PathNames))]
    public void EveryOutputMayLieAnywhere(string name)
    {
        string place =
            name == "three hundred" ? Path.Join([_folder, .. Enumerable.Repeat(new string('l', 100), 3)]) : Path.Join(_folder, name);
        Action<PromptFineTuneTrainer.Options> outputs = options =>
        {
            (options.OutputFolder, options.CheckpointFolder) = (Path.Join(place, "model"), Path.Join(place, "checkpoints"));
            options.Checkpoints = CheckpointPolicy.Last;
            (options.RecordPath, options.CartographyPath) = (Path.Join(place, "log.jsonl"), Path.Join(place, "cartography.json"));
            (options.StateFile, options.StateInterval, options.MaxSteps) = (Path.Join(place, "states", "state.safetensors"), 1, 3);
        };
        Assert.Throws<TimeoutException>(() =>
            Fit(
                outputs
                    + (
                        options =>
                            options.Progress = new Trainings.Immediate(progress =>
                                _ = progress.Step == 2 ? throw new TimeoutException() : 0
                            )
                    )
            )
        );
        Assert.True(File.Exists(Path.Join(place, "states", "state.safetensors")));
        using TextScoringTransformer model = Fit(outputs);
        using TextScoringTransformer loaded = _ml.SkillLoc().Connectivity.LoadTextScorer(Path.Join(place, "model"));
        float[][] expected = Scores(model);
        Assert.Equal(expected, Scores(loaded));
        using TextScoringTransformer last = _ml.SkillLoc().Connectivity.LoadTextScorer(Path.Join(place, "checkpoints", "last"));
        Assert.Equal(expected, Scores(last));
        Assert.Equal(8, TrainingDynamics.Load(Path.Join(place, "cartography.json")).Count);
        Assert.Single(RunRecord.Read(Path.Join(place, "log.jsonl")));

        using GraftTransformer graft = _ml.SkillLoc().GraftMask(model, sparsity: 0.01, epochs: 1).Fit(View());
        string file = Path.Join(place, "grafts", "graft.safetensors"),
            zip = Path.Join(place, "model.zip"),
            grafted = Path.Join(place, "graft.zip");
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        graft.SaveGraft(file);
        Assert.Equal(graft.Graft.Count, Graft.Load(file).Count);
        _ml.Model.Save(model, View().Schema, zip);
        _ml.Model.Save(graft, View().Schema, grafted);
        Assert.Equal(expected, Scores(_ml.Model.Load(zip, out _)));
        Assert.Equal(Scores(graft), Scores(_ml.Model.Load(grafted, out _)));
    }

    private static readonly Comparer<KeyValuePair<string, double>> KeyOrder = Comparer<KeyValuePair<string, double>>.Create(
        (one, other) => string.CompareOrdinal(one.Key, other.Key)
    );

    private static TextScoringTransformer Fit(Action<PromptFineTuneTrainer.Options> change) =>
        Trainings.Fit(
            Toy.Examples(8),
            options =>
            {
                options.MaxSteps = 3;
                change(options);
            }
        );

    private IDataView View() => Toy.View(_ml, Toy.Examples(8));

    /// <summary>Row by row, as a loaded model scores.</summary>
    private float[][] Scores(ITransformer model)
    {
        using PredictionEngine<Toy.Row, Scored> engine = _ml.Model.CreatePredictionEngine<Toy.Row, Scored>(model);
        return Scores(engine);
    }

    private static float[][] Scores(PredictionEngine<Toy.Row, Scored> engine) =>
        [.. Toy.Examples(6, seed: 9).Select(row => engine.Predict(new Toy.Row { Text = row.Text }).Score)];

    private sealed class Scored
    {
        public float[] Score { get; set; } = [];
    }
}
