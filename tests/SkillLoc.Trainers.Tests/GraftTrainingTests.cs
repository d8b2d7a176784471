using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tuning;
using SkillLoc.Transforms;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Trainers.Tests;

/// <summary>Base patches, stored trainings, sweeps, zeros outside, and grafts on grafts.</summary>
public sealed class GraftTrainingTests : IClassFixture<GraftMaskEstimatorTests.FineTuned>, IDisposable
{
    private readonly MLContext _ml = new(seed: 1);
    private readonly TextScoringTransformer _tuned;
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    public GraftTrainingTests(GraftMaskEstimatorTests.FineTuned fixture) => _tuned = fixture.Transformer;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void PatchesAreWhatTheirKindsSay()
    {
        // The tiny model: three layers of four 48 x 48 and two 48 x 96 matrices and their biases, and two layer norms.
        Graft random = Find(options => options.BasePatch = BasePatchKind.Random, sparsity: 0.01);
        Assert.Equal(568, random.Count);
        Assert.Equal(0.01, random.Sparsity);
        Assert.NotEqual(
            Indices(random),
            Indices(
                Find(
                    options =>
                    {
                        options.BasePatch = BasePatchKind.Random;
                        options.Seed = 9;
                    },
                    sparsity: 0.01
                )
            )
        );

        Graft biases = Find(options => options.BasePatch = BasePatchKind.Biases);
        Assert.All(biases.Parts, part => Assert.EndsWith("bias", part.Name, StringComparison.Ordinal));
        Assert.Equal(3 * ((5 * 48) + 96 + (2 * 48)), biases.Count);
        Assert.Equal((double)biases.Count / 56880, biases.Sparsity);

        Graft layer = Find(options =>
        {
            options.BasePatch = BasePatchKind.Layer;
            options.PatchLayer = 1;
        });
        Assert.All(layer.Parts, part => Assert.Contains("layer.1.", part.Name, StringComparison.Ordinal));
        Assert.Equal((4 * 48 * 48) + (2 * 48 * 96) + (5 * 48) + 96 + (4 * 48), layer.Count);
        Assert.Throws<ArgumentOutOfRangeException>(() =>
            Find(options =>
            {
                options.BasePatch = BasePatchKind.Layer;
                options.PatchLayer = 3;
            })
        );

        string file = Path.Join(_folder, "random.safetensors");
        random.Save(file);
        Graft loaded = Find(options =>
        {
            options.BasePatch = BasePatchKind.Loaded;
            options.PatchFile = file;
        });
        Assert.Equal(Indices(random), Indices(loaded));
        Assert.Equal(0, Find(options => options.BasePatch = BasePatchKind.Empty).Count);
        Assert.Throws<ArgumentException>(() => Find(options => options.BasePatch = BasePatchKind.Loaded));
        Assert.Throws<ArgumentException>(() => Find(options => options.PatchFile = file));
        Assert.Throws<InvalidOperationException>(() =>
            Find(options =>
            {
                options.BasePatch = BasePatchKind.Layer;
                options.Considered = new ParameterSelection { FixLayers = 1 };
            })
        );
    }

    [Fact]
    public void AnUntrainedPatchIsMeasured()
    {
        Graft all = Find(_ => { }, sparsity: 1);
        Graft none = Find(options => options.BasePatch = BasePatchKind.Empty);
        Assert.Equal(Accuracy(_tuned), all.Metrics["validation"], 1e-9);
        using var pre = new TextScoringTransformer(
            Models.Classification.TextClassifier.Create(Toy.Checkpoint, _tuned.Classifier.Settings),
            _tuned.Columns
        );
        Assert.Equal(Accuracy(pre), none.Metrics["validation"], 1e-9);
        Assert.True(all.Metrics["train"] > none.Metrics["train"]);
    }

    [Fact]
    public void EachGraftAppendsALineToTheLog()
    {
        string log = Path.Join(_folder, "runs.jsonl");
        Graft first = Find(options => options.RecordPath = log, sparsity: 1e-2);
        Find(options =>
        {
            options.RecordPath = log;
            options.Epochs = 2;
            options.LearningRate = 3e8;
        });
        IReadOnlyList<Models.Runs.RunRecord> records = Models.Runs.RunRecord.Read(log);
        Assert.Equal(2, records.Count);
        Assert.All(records, record => Assert.Equal(("graft", first.BaseFingerprint), (record.Kind, record.Fingerprint)));
        Assert.Equal(("0.01", "HighestMovement"), (records[0].Options["sparsity"], records[0].Options["base_patch"]));
        Assert.Equal((568, first.Metrics["validation"]), (records[0].Metrics["parameters"], records[0].Metrics["validation"]));
        Assert.Equal((2, "300000000"), (records[1].Steps, records[1].Options["learning_rate"]));
    }

    [Fact]
    public void AGraftHeldToItsSparsityDoesNotGrowAndLearnsNoLess()
    {
        Graft free = Find(options => Train(options, within: false), sparsity: 1e-3);
        Graft held = Find(options => Train(options, within: true), sparsity: 1e-3);
        Graft patch = Find(_ => { }, sparsity: 1e-3);
        Assert.True(free.Count > 56, $"{free.Count} coordinates are no test of a limit of 56.");
        Assert.InRange(held.Count, 1, 56);
        Assert.True(held.Metrics["validation"] + held.Metrics["train"] >= patch.Metrics["validation"] + patch.Metrics["train"] - 0.1);
        Assert.Contains(
            "Layer",
            Assert
                .Throws<ArgumentException>(() =>
                    Find(options =>
                    {
                        options.BasePatch = BasePatchKind.Layer;
                        options.WithinSparsity = true;
                    })
                )
                .Message
        );

        static void Train(GraftMaskEstimator.Options options, bool within)
        {
            options.Epochs = 10;
            options.LearningRate = 1e9;
            options.WithinSparsity = within;
        }
    }

    [Theory]
    [InlineData(null)]
    [InlineData(2)]
    public void OfScoresBelowZeroTheBestIsTakenAndSaid(int? stopAfter)
    {
        var said = new List<string>();
        _ml.Log += (_, log) => said.Add($"{log.Kind}: {log.RawMessage}");

        // The model knows the labels by heart; in these rows they are swapped, so that the better it is the worse it scores.
        PromptTask task = Toy.Task with
        {
            Metric = PromptMetric.MatthewsCorrelation,
        };
        using TextScoringTransformer tuned = Trainings.Fit(Toy.Examples(64), options => options.Task = task);
        Toy.Row[] swapped =
        [
            .. Toy.Examples(32, seed: 4).Select(row => new Toy.Row { Label = row.Label == "pos" ? "neg" : "pos", Text = row.Text }),
        ];
        var scores = new List<double>();
        string state = Path.Join(_folder, "below");
        if (stopAfter is { } epochs)
        {
            Train(epochs);
        }

        Graft graft = Train(5);
        double best = scores.Max();
        Assert.True(best < 0, $"The test needs scores below 0; the best is {best}.");
        Assert.Equal(best, graft.Metrics["train"] + graft.Metrics["validation"], 1e-9);
        Assert.Equal(scores.IndexOf(best) + 1, graft.Metrics["epoch"]);
        Assert.Contains(
            said,
            text => text.StartsWith("Warning", StringComparison.Ordinal) && text.Contains("never rose above 0", StringComparison.Ordinal)
        );

        using var grafted = GraftTransformer.Create(graft, Toy.Checkpoint);
        int[] wrong =
        [
            .. grafted
                .Transform(_ml.Data.LoadFromEnumerable(swapped))
                .GetColumn<float[]>("Score")
                .Zip(swapped, (score, row) => grafted.Labels[score[0] >= score[1] ? 0 : 1] == row.Label ? 0 : 1),
        ];
        Assert.InRange(wrong.Average(), 0.5, 1);

        Graft Train(int count)
        {
            using GraftTransformer found = _ml.SkillLoc()
                .GraftMask(
                    new GraftMaskEstimator.Options
                    {
                        FineTuned = tuned,
                        ValidationSet = Toy.View(_ml, swapped),
                        Sparsity = 1,
                        Epochs = count,
                        LearningRate = 1e5,
                        Seed = 3,
                        StateFolder = stopAfter is null ? null : state,
                        Progress = new Trainings.Immediate(progress => scores.Add(progress.Metric!.Value)),
                    }
                )
                .Fit(Toy.View(_ml, swapped));
            return found.Graft;
        }
    }

    [Fact]
    public void AStoppedTrainingGoesOnToTheSameMask()
    {
        string whole = Path.Join(_folder, "whole"),
            parts = Path.Join(_folder, "parts");
        Graft straight = Find(Options(whole, epochs: 7));
        Graft unstored = Find(options =>
        {
            options.Epochs = 7;
            options.LearningRate = 1e9;
        });
        Assert.Equal(Bytes(straight), Bytes(unstored));

        // Killed after the third epoch: what the fourth did was not stored.
        Find(
            options =>
            {
                Options(parts, epochs: 7)(options);
                options.StateInterval = 3;
                options.Progress = new Immediate(progress =>
                {
                    if (progress.Step == 4)
                    {
                        throw new OperationCanceledException();
                    }
                });
            },
            expected: typeof(OperationCanceledException)
        );
        using (var state = SafetensorsFile.Open(Assert.Single(Directory.GetFiles(parts))))
        {
            Assert.Equal("3", state.Metadata["epoch"]);
        }

        var steps = new List<int>();
        Graft resumed = Find(options =>
        {
            Options(parts, epochs: 7)(options);
            options.Progress = new Immediate(progress => steps.Add(progress.Step));
        });
        Assert.Equal([4, 5, 6, 7], steps);
        Assert.Equal(Bytes(straight), Bytes(resumed));
        Assert.Equal(Tensors(whole), Tensors(parts));
        Assert.NotEqual(Indices(Find(_ => { })), Indices(resumed));

        // No training: the stored mask, without a pass over the data.
        Assert.Equal(
            Bytes(straight),
            Bytes(
                Find(options =>
                {
                    Options(whole, epochs: 0)(options);
                    options.Progress = new Immediate(_ => Assert.Fail("an epoch ran"));
                })
            )
        );
    }

    [Fact]
    public void AStateOfAnotherTrainingIsRefused()
    {
        string folder = Path.Join(_folder, "state");
        Find(Options(folder, epochs: 1));
        string found;
        using (var state = SafetensorsFile.Open(Assert.Single(Directory.GetFiles(folder))))
        {
            found = state.Metadata["identity.options"];
        }

        Assert.Contains(found, Message(options => options.SigmoidBias = 9), StringComparison.Ordinal);
        Assert.Contains("its options", Message(options => options.Seed = 9), StringComparison.Ordinal);
        Assert.Contains("its validation rows", Message(options => options.ValidationSet = null), StringComparison.Ordinal);
        Assert.Contains("its training rows", Message(_ => { }, Toy.Examples(39)), StringComparison.Ordinal);
        string file = Path.Join(folder, "graft-mask-0.01.safetensors");
        File.WriteAllBytes(file, File.ReadAllBytes(file)[..^4]);
        Assert.Contains(file, Message(_ => { }), StringComparison.Ordinal);

        string Message(Action<GraftMaskEstimator.Options> change, Toy.Row[]? rows = null) =>
            Assert
                .Throws<InvalidDataException>(() =>
                    Find(
                        options =>
                        {
                            Options(folder, epochs: 2)(options);
                            change(options);
                        },
                        rows: rows
                    )
                )
                .Message;
    }

    [Fact]
    public void ASweepIsItsSingleRuns()
    {
        double[] sparsities = [0.01, 1e-3, 0.2];
        foreach (int epochs in new[] { 0, 3 })
        {
            GraftSweepResult sweep = _ml.SkillLoc().Grafts.SweepSparsity(New(Change), sparsities).Run(View(Toy.Examples(40)));
            Assert.Equal(sparsities, sweep.Points.Select(point => point.Sparsity));
            foreach (GraftSweepPoint point in sweep.Points)
            {
                Assert.Equal(Bytes(Find(Change, point.Sparsity)), Bytes(point.Graft));
                using var alone = GraftTransformer.Create(point.Graft, Toy.Checkpoint);
                Assert.Equal(Accuracy(alone), point.Quality.Validation!.Value, 1e-9);
            }

            Assert.Equal(Accuracy(_tuned), sweep.FineTuned.Validation!.Value, 1e-9);
            Assert.True(sweep.PreTrained.Validation < sweep.FineTuned.Validation);

            IDataView view = sweep.ToDataView(_ml);
            Assert.Equal(["pre-trained", "graft", "graft", "graft", "fine-tuned"], view.GetColumn<string>("Model"));
            Assert.Equal([0, .. sweep.Points.Select(point => point.Graft.Count), 56880], view.GetColumn<long>("Parameters"));
            Assert.Equal(
                [
                    sweep.PreTrained.Validation!.Value,
                    .. sweep.Points.Select(point => point.Quality.Validation!.Value),
                    sweep.FineTuned.Validation!.Value,
                ],
                view.GetColumn<double>("Validation")
            );

            void Change(GraftMaskEstimator.Options options)
            {
                options.Epochs = epochs;
                options.LearningRate = 1e9;
            }
        }

        Assert.Throws<ArgumentOutOfRangeException>(() => _ml.SkillLoc().Grafts.SweepSparsity(New(_ => { }), 0.1, 1.1));
        Assert.Throws<ArgumentOutOfRangeException>(() => _ml.SkillLoc().Grafts.SweepSparsity(New(_ => { })));
        Assert.Throws<ArgumentException>(() =>
            _ml.SkillLoc().Grafts.SweepSparsity(New(options => options.BasePatch = BasePatchKind.Biases), 0.1)
        );
    }

    [Fact]
    public void ZerosOutsideAreInTheModelItsFileAndItsZip()
    {
        IDataView data = View(Toy.Examples(40));
        using GraftTransformer grafted = _ml.SkillLoc()
            .GraftMask(
                New(options =>
                {
                    options.Outside = GraftOutside.Zero;
                    options.Sparsity = 0.5;
                    options.Considered = new ParameterSelection { FixLayers = 1 };
                    options.Epochs = 2;
                })
            )
            .Fit(data);
        var mask = grafted.Graft.Parts.ToDictionary(part => part.Name, part => part.Indices);
        foreach (string name in new ParameterSelection { FixLayers = 1 }.Of(grafted.Classifier.Backbone))
        {
            float[] now = grafted.Classifier.Backbone.Parameters[name].data<float>().ToArray();
            float[] tuned = _tuned.Classifier.Backbone.Parameters[name].data<float>().ToArray();
            HashSet<int> inside = [.. mask.GetValueOrDefault(name, [])];
            Assert.Equal(tuned.Select((value, i) => inside.Contains(i) ? value : 0), now);
        }

        string zip = Path.Join(_folder, "zero.zip");
        _ml.Model.Save(grafted, data.Schema, zip);
        float[][] loaded = [.. new MLContext().Model.Load(zip, out _).Transform(data).GetColumn<float[]>("Score")];
        Assert.All(
            grafted.Transform(data).GetColumn<float[]>("Score").Zip(loaded),
            pair => Assert.Equal(pair.First[0], pair.Second[0], 1e-5f)
        );
    }

    [Fact]
    public void AGraftOnGraftsHoldsOnlyWhatIsNew()
    {
        IDataView data = View(Toy.Examples(40));
        Graft first = Find(options => options.Epochs = 1);
        using GraftTransformer second = _ml.SkillLoc()
            .GraftMask(
                New(options =>
                {
                    options.BaseGrafts = [first];
                    options.Sparsity = 0.05;
                    options.Epochs = 1;
                })
            )
            .Fit(data);
        Assert.Equal(first.BaseFingerprint, second.Graft.BaseFingerprint);
        Assert.Equal(56880 - first.Count, second.Graft.ConsideredCount);
        Assert.Empty(Indices(first).Intersect(Indices(second.Graft)));

        // Base, first, second: the model in memory, and the one that its files make.
        using (var model = LanguageModel.Load(Toy.Checkpoint))
        {
            first.MergeInto(model, first.BaseFingerprint);
            second.Graft.MergeInto(model, first.BaseFingerprint);
            Assert.Equal(model.Fingerprint(), second.Classifier.Backbone.Fingerprint());
        }

        // With the first out of the way, the largest movements of the rest are the second's patch.
        Graft both = Find(_ => { }, sparsity: 1);
        Graft rest = Find(options => options.BaseGrafts = [first], sparsity: 1);
        Assert.Equal(Indices(both).Except(Indices(first)).Order(StringComparer.Ordinal), Indices(rest).Order(StringComparer.Ordinal));

        string zip = Path.Join(_folder, "both.zip");
        _ml.Model.Save(second, data.Schema, zip);
        float[][] loaded = [.. new MLContext().Model.Load(zip, out _).Transform(data).GetColumn<float[]>("Score")];
        Assert.All(
            second.Transform(data).GetColumn<float[]>("Score").Zip(loaded),
            pair => Assert.Equal(pair.First[0], pair.Second[0], 1e-5f)
        );
        Assert.Throws<ArgumentException>(() =>
            Find(options =>
            {
                options.BaseGrafts = [first];
                options.Outside = GraftOutside.Zero;
            })
        );
    }

    [Fact]
    public void GraftsOfSharedWeightsLeaveTheFineTunedModelAlone()
    {
        // The earlier graft changes a parameter that is not considered, and that the two models would share.
        string before = _tuned.Classifier.Fingerprint();
        using var model = LanguageModel.Load(Toy.Checkpoint);
        var embeddings = new Graft
        {
            BaseFingerprint = model.Fingerprint(),
            Parts = [new("roberta.embeddings.word_embeddings.weight", [9], [7])],
        };
        Find(options => options.BaseGrafts = [embeddings]);
        Assert.Equal(before, _tuned.Classifier.Fingerprint());
    }

    [Fact]
    public void NoTensorIsLeft()
    {
        Work();
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        Work();
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);

        void Work()
        {
            Directory.CreateDirectory(Path.Join(_folder, "leak"));
            Directory.Delete(Path.Join(_folder, "leak"), recursive: true);
            Find(Options(Path.Join(_folder, "leak"), epochs: 1));
            Find(Options(Path.Join(_folder, "leak"), epochs: 2));
            _ml.SkillLoc().Grafts.SweepSparsity(New(_ => { }), 0.1, 0.01).Run(View(Toy.Examples(8)));
        }
    }

    private static Action<GraftMaskEstimator.Options> Options(string folder, int epochs) =>
        options =>
        {
            options.StateFolder = folder;
            options.Epochs = epochs;

            // So high that masks change from epoch to epoch.
            options.LearningRate = 1e9;
        };

    private static byte[] Bytes(Graft graft)
    {
        using var file = new MemoryStream();
        graft.Save(file);
        return file.ToArray();
    }

    /// <summary>A state's tensors; the bytes beside them hold metadata in no certain order.</summary>
    private static Dictionary<string, byte[]> Tensors(string folder)
    {
        using DisposeScope scope = NewDisposeScope();
        using var file = SafetensorsFile.Open(Assert.Single(Directory.GetFiles(folder)));
        return file.Tensors.ToDictionary(info => info.Name, info => file.Read(info.Name).bytes.ToArray());
    }

    private static List<string> Indices(Graft graft) => [.. graft.Parts.SelectMany(part => part.Indices.Select(i => $"{part.Name} {i}"))];

    private IDataView View(Toy.Row[] rows) => Toy.View(_ml, rows);

    private GraftMaskEstimator.Options New(Action<GraftMaskEstimator.Options> change)
    {
        var options = new GraftMaskEstimator.Options
        {
            FineTuned = _tuned,
            Sparsity = 0.01,
            Seed = 3,
            Epochs = 0,
            ValidationSet = View(Toy.Examples(100, seed: 8)),
        };
        change(options);
        return options;
    }

    private Graft Find(Action<GraftMaskEstimator.Options> change, double sparsity = 0.01, Toy.Row[]? rows = null)
    {
        GraftMaskEstimator.Options options = New(change);
        options.Sparsity = sparsity;
        using GraftTransformer grafted = _ml.SkillLoc().GraftMask(options).Fit(View(rows ?? Toy.Examples(40)));
        return grafted.Graft;
    }

    private void Find(Action<GraftMaskEstimator.Options> change, Type expected) =>
        Assert.IsType(expected, Record.Exception(() => Find(change)));

    private double Accuracy(TextScoringTransformer model) =>
        _ml.MulticlassClassification.Evaluate(model.Transform(View(Toy.Examples(100, seed: 8)))).MicroAccuracy;

    private sealed class Immediate(Action<TrainingProgress> report) : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value) => report(value);
    }
}
