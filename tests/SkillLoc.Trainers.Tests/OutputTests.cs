using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Cartography;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Runs;
using SkillLoc.Transforms;

namespace SkillLoc.Trainers.Tests;

/// <summary>What cannot be written is known before the first update; what fails to be written later does not cost the model.</summary>
public sealed class OutputTests : IDisposable
{
    private readonly MLContext _ml = new(seed: 1);
    private readonly List<string> _warnings = [];
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    public OutputTests() =>
        _ml.Log += (_, log) =>
        {
            if ($"{log.Kind}" == "Warning")
            {
                _warnings.Add(log.RawMessage);
            }
        };

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    public static TheoryData<string, string> Unusable
    {
        get
        {
            var data = new TheoryData<string, string>();
            foreach (string option in Files.Concat(Folders))
            {
                data.Add(option, "below a file");
                data.Add(option, Files.Contains(option) ? "a folder" : "a file");
                data.Add(option, "something else's");
            }

            return data;
        }
    }

    private static string[] Files => ["RecordPath", "StateFile", "CartographyPath"];

    private static string[] Folders => ["OutputFolder", "CheckpointFolder"];

    [Theory]
    [MemberData(nameof(Unusable))]
    public void WhatCannotBeWrittenIsKnownBeforeTheFirstUpdate(string option, string why)
    {
        string path = Path.Join(_folder, "place");
        switch (why)
        {
            case "below a file":
                File.WriteAllText(path, "mine");
                path = Path.Join(path, "below");
                break;
            case "a folder":
                Directory.CreateDirectory(path);
                break;
            case "something else's" when option == "CheckpointFolder":
                Directory.CreateDirectory(Path.Join(path, "last"));
                File.WriteAllText(Path.Join(path, "last", "mine.txt"), "mine");
                break;
            case "something else's" when option == "OutputFolder":
                Directory.CreateDirectory(path);
                File.WriteAllText(Path.Join(path, "mine.txt"), "mine");
                break;
            default:
                File.WriteAllText(path, "mine");
                break;
        }

        string[] before = Tree();
        int updates = 0;
        Exception error = Assert.ThrowsAny<Exception>(() =>
            Fit(options =>
            {
                Set(options, option, path);
                options.Progress = new Trainings.Immediate(_ => updates++);
            })
        );
        Assert.True(error is IOException or InvalidDataException, $"{error}");
        Assert.Contains(path, error.Message, StringComparison.Ordinal);
        if (option != "StateFile" || why != "something else's")
        {
            Assert.Contains($"Options.{option}", error.Message, StringComparison.Ordinal);
        }

        Assert.Equal(0, updates);
        Assert.Equal(before, Tree());
    }

    [Theory]
    [MemberData(nameof(Unusable))]
    public void WhatCannotBeWrittenLaterCostsAWarning(string option, string why)
    {
        if (why != "something else's")
        {
            // What happens while training runs: the place becomes one that cannot be written.
            string place = Path.Join(_folder, "place"),
                path = Files.Contains(option) || why == "below a file" ? Path.Join(place, "output") : place;
            using TextScoringTransformer model = Fit(options =>
            {
                Set(options, option, path);
                options.Progress = new Trainings.Immediate(progress =>
                {
                    if (progress.Step == 1)
                    {
                        Take(place);
                    }
                });
            });
            Assert.Equal(8, model.Transform(Toy.View(_ml, Toy.Examples(8))).GetColumn<float[]>("Score").Count());
            Assert.Null(model.CheckpointFolder);
            Assert.Contains(
                _warnings,
                text => text.Contains(path, StringComparison.Ordinal) && text.Contains("was not written", StringComparison.Ordinal)
            );

            // The model can still be saved.
            model.SaveCheckpoint(Path.Join(_folder, "elsewhere"));
            using var loaded = TextClassifier.Load(Path.Join(_folder, "elsewhere"));
            Assert.Equal(model.Classifier.Fingerprint(), loaded.Fingerprint());
        }
    }

    [Fact]
    public void TheStateOfALostModelStays()
    {
        string place = Path.Join(_folder, "place"),
            output = Path.Join(place, "output"),
            state = Path.Join(_folder, "state");
        using TextScoringTransformer first = Fit(Options(() => Take(place)));
        Assert.Null(first.CheckpointFolder);
        Assert.True(File.Exists(state));
        File.Delete(place);
        int updates = 0;
        using TextScoringTransformer second = Fit(Options(() => updates++));
        Assert.Equal(output, second.CheckpointFolder);
        Assert.False(File.Exists(state));
        Assert.Equal(1, updates);
        Assert.Equal(first.Classifier.Fingerprint(), second.Classifier.Fingerprint());

        Action<PromptFineTuneTrainer.Options> Options(Action act) =>
            options =>
            {
                options.OutputFolder = output;
                options.StateFile = state;
                options.StateInterval = 3;
                options.Progress = new Trainings.Immediate(progress =>
                {
                    if (progress.Step == 4)
                    {
                        act();
                    }
                });
            };
    }

    [Fact]
    public void EverythingMayLieInOneFolder()
    {
        string all = Path.Join(_folder, "runs", "1");
        Action<PromptFineTuneTrainer.Options> options = each =>
        {
            each.OutputFolder = all;
            each.CheckpointFolder = Path.Join(all, "checkpoints");
            each.StateFile = Path.Join(all, "states", "state");
            each.StateInterval = 1;
            each.RecordPath = Path.Join(all, "log.jsonl");
            each.CartographyPath = Path.Join(all, "cartography.json");
        };

        // Killed on the way, so that all but the model is there; then to the end, and once more.
        Assert.Throws<TimeoutException>(() =>
            Fit(
                options
                    + (
                        each =>
                            each.Progress = new Trainings.Immediate(progress =>
                            {
                                if (progress.Step == 3)
                                {
                                    throw new TimeoutException();
                                }
                            })
                    )
            )
        );
        for (int run = 1; run <= 2; run++)
        {
            using TextScoringTransformer model = Fit(options);
            using var loaded = TextClassifier.Load(all);
            Assert.Equal(model.Classifier.Fingerprint(), loaded.Fingerprint());
            Assert.Equal(run, RunRecord.Read(Path.Join(all, "log.jsonl")).Count);
            Assert.Equal(8, TrainingDynamics.Load(Path.Join(all, "cartography.json")).Count);
            using var last = TextClassifier.Load(Path.Join(all, "checkpoints", "last"));
        }

        Assert.Empty(_warnings);
        Assert.Equal(
            ["cartography.json", "checkpoints", "config.json"],
            Directory.EnumerateFileSystemEntries(all).Select(Path.GetFileName).Order().Take(3)
        );
    }

    [Fact]
    public void TwoOptionsDoNotNameOnePlace()
    {
        string one = Path.Join(_folder, "one");
        foreach (
            (string first, string second) in new[]
            {
                ("OutputFolder", "CheckpointFolder"),
                ("StateFile", "RecordPath"),
                ("RecordPath", "CartographyPath"),
            }
        )
        {
            ArgumentException error = Assert.Throws<ArgumentException>(() =>
                Fit(options =>
                {
                    Set(options, first, one);
                    Set(options, second, Path.Join(_folder, ".", "one"));
                })
            );
            Assert.Contains(first, error.Message, StringComparison.Ordinal);
            Assert.Contains(second, error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void ADiskWithoutRoomIsKnown()
    {
        var outputs = new RunOutputs();
        outputs.AddCheckpoint("OutputFolder", Path.Join(_folder, "one", "model"), 600 << 20);
        outputs.AddFile("StateFile", Path.Join(_folder, "two", "state"), 500 << 20);
        outputs.AddLog("RecordPath", Path.Join(_folder, "log"));
        outputs.Check(_ => ("disk", 1200 << 20));
        IOException error = Assert.Throws<IOException>(() => outputs.Check(_ => ("disk", 1000 << 20)));
        Assert.Contains("OutputFolder", error.Message, StringComparison.Ordinal);
        Assert.Contains("1100 MiB", error.Message, StringComparison.Ordinal);

        // On disks of their own each has room.
        outputs.Check(folder => (folder, 700 << 20));
        outputs.Check();
    }

    [Theory]
    [InlineData("RecordPath", true)]
    [InlineData("RecordPath", false)]
    [InlineData("StateFolder", true)]
    [InlineData("StateFolder", false)]
    public void AGraftIsNotLostEither(string option, bool later)
    {
        using TextScoringTransformer tuned = Fit(_ => { });
        string place = Path.Join(_folder, "place"),
            path = Path.Join(place, "output");
        int epochs = 0;
        var options = new GraftMaskEstimator.Options
        {
            FineTuned = tuned,
            Sparsity = 0.1,
            Epochs = 2,
            StateInterval = 1,
            RecordPath = option == "RecordPath" ? path : null,
            StateFolder = option == "StateFolder" ? path : null,
            Progress = new Trainings.Immediate(_ =>
            {
                epochs++;
                Take(place);
            }),
        };
        if (later)
        {
            using GraftTransformer graft = _ml.SkillLoc().GraftMask(options).Fit(Toy.View(_ml, Toy.Examples(8)));
            Assert.Equal(2, epochs);
            Assert.Contains(_warnings, text => text.Contains(path, StringComparison.Ordinal));
            return;
        }

        Take(place);
        IOException error = Assert.Throws<IOException>(() => _ml.SkillLoc().GraftMask(options).Fit(Toy.View(_ml, Toy.Examples(8))));
        Assert.Contains($"Options.{option}", error.Message, StringComparison.Ordinal);
        Assert.Equal(0, epochs);
    }

    [Theory]
    [InlineData("Folder")]
    [InlineData("FineTune.StateFile")]
    [InlineData("FineTune.RecordPath")]
    [InlineData("GraftMask.StateFolder")]
    [InlineData("GraftMask.RecordPath")]
    public void ASequenceChecksWhatItsLastTaskWrites(string option)
    {
        Take(Path.Join(_folder, "place"));
        string path = Path.Join(_folder, "place", "output");
        int updates = 0;
        var options = new ContinualGraft.Options
        {
            FineTune = Toy.Options(each => (each.Task, each.MaxSteps, each.Progress) = (null, 1, new Trainings.Immediate(_ => updates++))),
            GraftMask = new() { Sparsity = 0.1, Epochs = 0 },
        };
        (
            options.Folder,
            options.FineTune.StateFile,
            options.FineTune.RecordPath,
            options.GraftMask.StateFolder,
            options.GraftMask.RecordPath
        ) = (Of("Folder"), Of("FineTune.StateFile"), Of("FineTune.RecordPath"), Of("GraftMask.StateFolder"), Of("GraftMask.RecordPath"));
        IDataView rows = ToyTasks.View(_ml, ToyTasks.Film, 8);
        IOException error = Assert.Throws<IOException>(() =>
            _ml.SkillLoc().Grafts.GraftContinually(options).Train(new ContinualTask(ToyTasks.Film, rows, rows))
        );
        Assert.Contains($"Options.{option}", error.Message, StringComparison.Ordinal);
        Assert.Equal(0, updates);

        string? Of(string each) => each == option ? path : null;
    }

    [Theory]
    [InlineData("StateFile")]
    [InlineData("RecordPath")]
    public void SeveralTasksCheckWhatTheyWrite(string option)
    {
        Take(Path.Join(_folder, "place"));
        int updates = 0;
        PromptFineTuneTrainer.Options options = Toy.Options(each =>
        {
            each.Task = null;
            each.Progress = new Trainings.Immediate(_ => updates++);
            Set(each, option, Path.Join(_folder, "place", "output"));
        });
        IOException error = Assert.Throws<IOException>(() =>
            _ml.SkillLoc().Grafts.MultiTaskFineTune(options, ToyTasks.All).Train(ToyTasks.Views(_ml, ToyTasks.All, 8))
        );
        Assert.Contains($"Options.{option}", error.Message, StringComparison.Ordinal);
        Assert.Equal(0, updates);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void ACurveIsNotLostEither(bool later)
    {
        using TextScoringTransformer first = Fit(_ => { }),
            second = Fit(options => options.MaxSteps = 2);
        string place = Path.Join(_folder, "place"),
            path = Path.Join(place, "state");
        int updates = 0;
        var options = new CurveTrainer.Options
        {
            First = first,
            Second = second,
            MaxSteps = 3,
            StateFile = path,
            StateInterval = 1,
            Progress = new Immediate(_ =>
            {
                updates++;
                Take(place);
            }),
        };
        if (later)
        {
            _ml.SkillLoc().Connectivity.FindCurve(options).Train(Toy.View(_ml, Toy.Examples(8))).Dispose();
            Assert.Equal(3, updates);
            Assert.Contains(_warnings, text => text.Contains(path, StringComparison.Ordinal));
            return;
        }

        Take(place);
        Assert.Contains(
            "Options.StateFile",
            Assert.Throws<IOException>(() => _ml.SkillLoc().Connectivity.FindCurve(options).Train(Toy.View(_ml, Toy.Examples(8)))).Message,
            StringComparison.Ordinal
        );
        Assert.Equal(0, updates);
    }

    private static void Set(PromptFineTuneTrainer.Options options, string option, string path) =>
        typeof(PromptFineTuneTrainer.Options).GetField(option)!.SetValue(options, path);

    /// <summary>Puts a file where a folder is or would be.</summary>
    private static void Take(string place)
    {
        if (Directory.Exists(place))
        {
            Directory.Delete(place, recursive: true);
        }

        if (!File.Exists(place))
        {
            File.WriteAllText(place, "in the way");
        }
    }

    private string[] Tree() => [.. Directory.EnumerateFileSystemEntries(_folder, "*", SearchOption.AllDirectories).Order()];

    private TextScoringTransformer Fit(Action<PromptFineTuneTrainer.Options> change) =>
        _ml.SkillLoc()
            .PromptFineTune(
                Toy.Options(options =>
                {
                    options.MaxSteps = 5;
                    options.Checkpoints = CheckpointPolicy.Last;
                    change(options);
                })
            )
            .Fit(Toy.View(_ml, Toy.Examples(8)));

    private sealed class Immediate(Action<CurveProgress> report) : IProgress<CurveProgress>
    {
        public void Report(CurveProgress value) => report(value);
    }
}
