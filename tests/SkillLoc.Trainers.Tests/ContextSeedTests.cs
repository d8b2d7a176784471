using System.Globalization;
using Microsoft.ML;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Connectivity;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Runs;
using SkillLoc.Trainers.Tests.Curves;
using SkillLoc.Transforms;
using TorchSharp;

namespace SkillLoc.Trainers.Tests;

/// <summary>Where options name no seed, the context's decides, and a training that goes on keeps the one that it began with.</summary>
public sealed class ContextSeedTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("fine-tune")]
    [InlineData("graft")]
    [InlineData("sweep")]
    [InlineData("tasks")]
    [InlineData("sequence")]
    [InlineData("curve")]
    [InlineData("mixture")]
    public void TheContextsSeedDecidesUnlessOneIsNamed(string what)
    {
        string first = Train(what, context: 1, seed: null);
        Assert.Equal(first, Train(what, context: 1, seed: null));
        Assert.NotEqual(first, Train(what, context: 2, seed: null));
        Assert.NotEqual(Train(what, context: null, seed: null), Train(what, context: null, seed: null));
        Assert.Equal(Train(what, context: 1, seed: 5), Train(what, context: null, seed: 5));
    }

    [Fact]
    public void EachFitDrawsASeedOfItsOwn()
    {
        var ml = new MLContext(seed: 1);
        PromptFineTuneTrainer trainer = ml.SkillLoc().PromptFineTune(Tuning(null));
        using TextScoringTransformer first = trainer.Fit(View(ml)),
            second = trainer.Fit(View(ml));
        Assert.NotEqual(first.Record!.Options["seed"], second.Record!.Options["seed"]);
        Assert.NotEqual(first.Classifier.Fingerprint(), second.Classifier.Fingerprint());
    }

    [Fact]
    public void RecordsAndTheLogSayWhichSeedItWas()
    {
        var ml = new MLContext();
        var log = new List<string>();
        ml.Log += (_, message) => log.Add(message.RawMessage);
        string path = Path.Join(_folder, "runs.jsonl");
        PromptFineTuneTrainer.Options options = Tuning(null);
        options.RecordPath = path;
        using TextScoringTransformer tuned = ml.SkillLoc().PromptFineTune(options).Fit(View(ml));
        GraftMaskEstimator.Options mask = Mask(tuned, null);
        mask.RecordPath = path;
        using GraftTransformer grafted = ml.SkillLoc().GraftMask(mask).Fit(View(ml));

        int[] seeds = [.. RunRecord.Read(path).Select(record => int.Parse(record.Options["seed"], CultureInfo.InvariantCulture))];
        Assert.Equal(2, seeds.Length);
        Assert.All(seeds, seed => Assert.Contains(log, line => line.Contains($"with seed {seed}", StringComparison.Ordinal)));
        using TextScoringTransformer again = new MLContext(seed: 9).SkillLoc().PromptFineTune(Tuning(seeds[0])).Fit(View(ml));
        Assert.Equal(tuned.Classifier.Fingerprint(), again.Classifier.Fingerprint());
        using GraftTransformer regrafted = new MLContext(seed: 9).SkillLoc().GraftMask(Mask(again, seeds[1])).Fit(View(ml));
        Assert.Equal(grafted.Classifier.Fingerprint(), regrafted.Classifier.Fingerprint());
    }

    [Theory]
    [InlineData("fine-tune")]
    [InlineData("graft")]
    [InlineData("sweep")]
    [InlineData("tasks")]
    [InlineData("sequence")]
    [InlineData("curve")]
    [InlineData("mixture")]
    public void ATrainingThatGoesOnKeepsItsSeed(string what)
    {
        // Contexts without a seed, which draw others in either part. The first ends at its third step and leaves its state.
        Assert.Throws<Ends.KilledException>(() => Train(what, context: null, seed: null, kill: 3));
        string state = Assert.Single(Directory.GetFiles(Path.Join(_folder, "states"), "*", SearchOption.AllDirectories));
        int seed;
        using (var file = Models.Checkpoints.SafetensorsFile.Open(state))
        {
            string text = file.Metadata.TryGetValue("run", out string? run)
                ? System.Text.Json.JsonDocument.Parse(run).RootElement.GetProperty("seed").GetString()!
                : file.Metadata["seed"];
            seed = int.Parse(text, CultureInfo.InvariantCulture);
        }

        // Of a sequence the state is the first task's fine-tuning; what comes after it draws anew.
        string resumed = Train(what, context: null, seed: null, states: true);
        if (what != "sequence")
        {
            Assert.Equal(Train(what, context: null, seed), resumed);
        }
    }

    [Fact]
    public void AStateOfAnotherSeedThanTheNamedOneIsRefused()
    {
        Assert.Throws<Ends.KilledException>(() => Train("curve", context: 1, seed: 5, kill: 3));
        Assert.Contains(
            "seed is 5 there and 6 here",
            Assert.Throws<InvalidOperationException>(() => Train("curve", context: 1, seed: 6, states: true)).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void ASequenceReadsItsGraftsWhicheverSeedTheyWereLearntWith()
    {
        // Learnt anew they would be others: neither context has a seed.
        Assert.Equal(Learn(), Learn());
        Assert.Equal(2, Directory.GetFiles(_folder).Length);

        string[] Learn()
        {
            var ml = new MLContext();
            ContinualGraft.Options options = Sequence(null);
            options.Folder = _folder;
            return [.. ml.SkillLoc().Grafts.GraftContinually(options).Fit(Tasks(ml)).Grafts.Values.Select(Bytes)];
        }
    }

    [Fact]
    public void LaterTasksOfASequenceDoNotDependOnWhatWasStored()
    {
        string[] whole = Learn();
        string first = Directory.GetFiles(_folder).Order(StringComparer.Ordinal).First();
        Array.ForEach([.. Directory.GetFiles(_folder).Where(file => file != first)], File.Delete);
        Assert.Equal(whole, Learn());

        string[] Learn()
        {
            var ml = new MLContext(seed: 4);
            ContinualGraft.Options options = Sequence(null);
            options.Folder = _folder;
            return [.. ml.SkillLoc().Grafts.GraftContinually(options).Fit(Tasks(ml)).Grafts.Values.Select(Bytes)];
        }
    }

    private static PromptFineTuneTrainer.Options Tuning(int? seed) =>
        Toy.Options(options =>
        {
            options.Head = HeadKind.SequenceClassification;
            options.Dropout = 0.1;
            options.MaxSteps = 4;
            options.Seed = seed;
        });

    private static GraftMaskEstimator.Options Mask(TextScoringTransformer tuned, int? seed) =>
        new()
        {
            FineTuned = tuned,
            BasePatch = BasePatchKind.Random,
            Sparsity = 0.01,
            Epochs = 4,
            StateInterval = 1,
            Seed = seed,
        };

    private static ContinualGraft.Options Sequence(int? seed) =>
        new()
        {
            FineTune = Toy.Options(options =>
            {
                options.Task = null;
                options.Dropout = 0.1;
                options.MaxSteps = 4;
                options.Seed = seed;
            }),
            GraftMask = new()
            {
                Sparsity = 0.02,
                Epochs = 2,
                Seed = seed,
            },
        };

    private static IDataView View(MLContext ml) => Toy.View(ml, Toy.Examples(24));

    private static IEnumerable<ContinualTask> Tasks(MLContext ml) =>
        ToyTasks.All.Take(2).Select(task => new ContinualTask(task, ToyTasks.View(ml, task, 16), ToyTasks.View(ml, task, 8)));

    private static string Bytes(Graft graft)
    {
        using var file = new MemoryStream();
        graft.Save(file);
        return Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(file.ToArray()));
    }

    /// <summary>Trains something in a fresh context, and tells its weights by a hash.</summary>
    private string Train(string what, int? context, int? seed, int? kill = null, bool states = false)
    {
        var ml = new MLContext(context);
        string? folder = kill is not null || states ? Path.Join(_folder, "states") : null,
            file = folder is null ? null : Path.Join(folder, "state");
        switch (what)
        {
            case "fine-tune":
                PromptFineTuneTrainer.Options tuning = Tuning(seed);
                Keep(tuning);
                using (TextScoringTransformer tuned = ml.SkillLoc().PromptFineTune(tuning).Fit(View(ml)))
                {
                    return tuned.Classifier.Fingerprint();
                }

            case "graft"
            or "sweep":
                using (TextScoringTransformer tuned = ml.SkillLoc().PromptFineTune(Tuning(7)).Fit(View(ml)))
                {
                    GraftMaskEstimator.Options mask = Mask(tuned, seed);
                    (mask.StateFolder, mask.Progress) = (
                        folder,
                        kill is null ? null : new Trainings.Immediate(report => Kill(report.Step))
                    );
                    if (what == "sweep")
                    {
                        return string.Join(
                            ' ',
                            ml.SkillLoc().Grafts.SweepSparsity(mask, 0.01, 0.02).Fit(View(ml)).Points.Select(point => Bytes(point.Graft))
                        );
                    }

                    using GraftTransformer grafted = ml.SkillLoc().GraftMask(mask).Fit(View(ml));
                    return Bytes(grafted.Graft);
                }

            case "tasks":
                PromptFineTuneTrainer.Options several = Tuning(seed);
                several.Task = null;
                Keep(several);
                using (
                    MultiTaskModel model = ml.SkillLoc()
                        .Grafts.MultiTaskFineTune(several, ToyTasks.Film, ToyTasks.Plot)
                        .Fit(ToyTasks.Views(ml, [ToyTasks.Film, ToyTasks.Plot], 12))
                )
                {
                    return string.Join(' ', model.Tasks.Values.Select(task => task.Classifier.Fingerprint()));
                }

            case "sequence":
                ContinualGraft.Options sequence = Sequence(seed);
                Keep(sequence.FineTune);
                return string.Join(' ', ml.SkillLoc().Grafts.GraftContinually(sequence).Fit(Tasks(ml)).Grafts.Values.Select(Bytes));
        }

        using TextScoringTransformer first = Ends.Model("adapter", 1),
            second = Ends.Model("adapter", 2);
        if (what == "curve")
        {
            using ParameterPath path = ml.SkillLoc().Connectivity.FindCurve(Set(new CurveTrainer.Options())).Fit(View(ml));
            using TextClassifier interpolated = path.CreateWalker();
            path.MoveTo(interpolated, 0.5);
            return interpolated.Fingerprint();
        }

        using TextClassifier mixed = ml.SkillLoc().Connectivity.FindMixture(Set(new MixtureTrainer.Options())).Fit(View(ml)).CreateModel();
        return mixed.Fingerprint();

        T Set<T>(T options)
            where T : ConnectivityTrainerOptions
        {
            (options.First, options.Second, options.MaxSteps, options.Dropout, options.Seed) = (first, second, 4, 0.1, seed);
            (options.StateFile, options.StateInterval) = (file, 1);
            switch (options)
            {
                case CurveTrainer.Options curve when kill is not null:
                    curve.Progress = new Ends.Sink<CurveProgress>(progress => Kill(progress.Step));
                    break;
                case MixtureTrainer.Options mixture when kill is not null:
                    mixture.Progress = new Ends.Sink<TrainingProgress>(progress => Kill(progress.Step));
                    break;
            }

            return options;
        }

        void Keep(PromptFineTuneTrainer.Options options)
        {
            (options.StateFile, options.StateInterval) = (file, 1);
            options.Progress = kill is null ? null : new Trainings.Immediate(report => Kill(report.Step));
        }

        void Kill(int step)
        {
            if (step == kill)
            {
                throw new Ends.KilledException();
            }
        }
    }
}
