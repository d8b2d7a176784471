using Microsoft.ML;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Neurons;
using SkillLoc.Transforms;

namespace SkillLoc.Trainers.Tests;

/// <summary>Nothing writes over the base that a model comes from or that grafts lie over.</summary>
public sealed class TargetFolderTests : IDisposable
{
    private readonly MLContext _ml = new(seed: 1);
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;
    private readonly string _base;

    public TargetFolderTests()
    {
        _base = Path.Join(_folder, "base");
        CopyBase(_base);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    public static TheoryData<string> Names => ["base", "base/", "./base", "link", "around/base", "around/link/", "relative"];

    [Theory]
    [MemberData(nameof(Names))]
    public void TheCheckpointIsNoOutput(string name)
    {
        Directory.CreateSymbolicLink(Path.Join(_folder, "link"), _base);
        Directory.CreateSymbolicLink(Path.Join(_folder, "around"), _folder);
        string same = name == "relative" ? Path.GetRelativePath(Directory.GetCurrentDirectory(), _base) : Path.Join(_folder, name);
        Refused("OutputFolder", options => options.OutputFolder = same);
        Refused("OutputFolder", options => (options.OutputFolder, options.Checkpoint) = (_base, same));

        using TextScoringTransformer tuned = Fit();
        using GraftTransformer graft = Graft(tuned);
        Assert.Throws<ArgumentException>(() => tuned.SaveCheckpoint(same));
        Assert.Throws<ArgumentException>(() => graft.SaveCheckpoint(same));
        AssertBaseIsUntouched();
    }

    [Theory]
    [InlineData("best")]
    [InlineData("last")]
    [InlineData("ckpt_200")]
    public void ACheckpointOfTrainingIsNotOverwrittenByTheNext(string name)
    {
        string runs = Path.Join(_folder, "runs");
        CopyBase(Path.Join(runs, name));
        CheckpointPolicy policy = name switch
        {
            "best" => CheckpointPolicy.Best,
            "last" => CheckpointPolicy.Last,
            _ => CheckpointPolicy.Every,
        };
        Refused(
            "CheckpointFolder",
            options => (options.Checkpoint, options.CheckpointFolder, options.Checkpoints) = (Path.Join(runs, name), runs + "/", policy)
        );

        // The same by a link inside the folder.
        string other = Path.Join(_folder, "other");
        Directory.CreateDirectory(other);
        Directory.CreateSymbolicLink(Path.Join(other, name), _base);
        Refused("CheckpointFolder", options => (options.CheckpointFolder, options.Checkpoints) = (other, policy));

        // One inside the base is none of its files.
        using TextScoringTransformer tuned = Fit(options => options.CheckpointFolder = _base);
        Assert.True(Directory.Exists(Path.Join(_base, "last")));
        AssertBaseIsUntouched();
    }

    [Fact]
    public void SeveralTasksAndLoadedGraftsGuardTheirBaseToo()
    {
        PromptFineTuneTrainer.Options options = Toy.Options(each => (each.Checkpoint, each.Task, each.MaxSteps) = (_base, null, 1));
        using MultiTaskModel model = _ml.SkillLoc()
            .Grafts.MultiTaskFineTune(options, ToyTasks.Film, ToyTasks.Plot)
            .Train(ToyTasks.Views(_ml, [ToyTasks.Film, ToyTasks.Plot], 8));
        Assert.Throws<ArgumentException>(() => model.Tasks["toy"].SaveCheckpoint(_base));

        string file = Path.Join(_folder, "graft.safetensors");
        using (TextScoringTransformer tuned = Fit())
        {
            using GraftTransformer graft = Graft(tuned);
            graft.SaveGraft(file);
        }

        // A model that came from elsewhere, and a graft that is in use over the folder.
        using TextScoringTransformer stranger = Fit(each => each.Checkpoint = Toy.Checkpoint);
        TextScoringTransformer loaded = _ml.SkillLoc().Connectivity.LoadTextScorer(_base, file);
        Assert.Throws<ArgumentException>(() => loaded.SaveCheckpoint(_base));
        Assert.Contains("in use", Assert.Throws<ArgumentException>(() => stranger.SaveCheckpoint(_base)).Message, StringComparison.Ordinal);
        loaded.Dispose();
        using (_ml.SkillLoc().Grafts.CreateModelSet(_base, new Dictionary<string, Graft> { ["toy"] = Models.Grafts.Graft.Load(file) }))
        {
            Assert.Throws<ArgumentException>(() => stranger.SaveCheckpoint(_base));
        }

        AssertBaseIsUntouched();
        stranger.SaveCheckpoint(_base);
        using var replaced = TextClassifier.Load(_base);
        Assert.Equal(stranger.Classifier.Fingerprint(), replaced.Fingerprint());
    }

    [Fact]
    public void AModelIsNoBaseOfItself()
    {
        string output = Path.Join(_folder, "tuned");
        using TextScoringTransformer tuned = Fit(options => options.OutputFolder = output);
        ArgumentException error = Assert.ThrowsAny<ArgumentException>(() => Graft(tuned, output + "/"));
        Assert.Contains("BaseCheckpoint", error.Message, StringComparison.Ordinal);

        // Over a base that was overwritten on another way a graft would be as good as the model, whatever it holds.
        tuned.Classifier.Save(_base);
        Assert.Contains("overwritten", Assert.Throws<InvalidOperationException>(() => Graft(tuned)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void APerturbationIsNotSavedAsIfItWereNone()
    {
        using TextScoringTransformer tuned = Fit();
        using NeuronPerturbationTransformer perturbed = _ml.SkillLoc()
            .Neurons.PerturbNeurons(tuned, new NeuronSet(new bool[3 * 96], 3, 96), PerturbationKind.Zero);
        Assert.Throws<NotSupportedException>(() => perturbed.SaveCheckpoint(Path.Join(_folder, "perturbed")));
        Assert.False(Directory.Exists(Path.Join(_folder, "perturbed")));
    }

    private static void CopyBase(string to)
    {
        Directory.CreateDirectory(to);
        foreach (string file in Directory.EnumerateFiles(Toy.Checkpoint))
        {
            File.Copy(file, Path.Join(to, Path.GetFileName(file)));
        }
    }

    private TextScoringTransformer Fit(Action<PromptFineTuneTrainer.Options>? change = null) =>
        _ml.SkillLoc().PromptFineTune(Options(change)).Fit(Toy.View(_ml, Toy.Examples(8)));

    private PromptFineTuneTrainer.Options Options(Action<PromptFineTuneTrainer.Options>? change) =>
        Toy.Options(options =>
        {
            options.Checkpoint = _base;
            options.MaxSteps = 1;
            options.Checkpoints = CheckpointPolicy.Last | CheckpointPolicy.Every;
            change?.Invoke(options);
        });

    private GraftTransformer Graft(TextScoringTransformer tuned, string? baseCheckpoint = null)
    {
        var options = new GraftMaskEstimator.Options
        {
            FineTuned = tuned,
            BaseCheckpoint = baseCheckpoint,
            Sparsity = 0.1,
            Epochs = 0,
        };
        return _ml.SkillLoc().GraftMask(options).Fit(Toy.View(_ml, Toy.Examples(8)));
    }

    private void Refused(string option, Action<PromptFineTuneTrainer.Options> change)
    {
        ArgumentException error = Assert.Throws<ArgumentException>(() => _ml.SkillLoc().PromptFineTune(Options(change)));
        Assert.Contains($"Options.{option}", error.Message, StringComparison.Ordinal);
    }

    private void AssertBaseIsUntouched()
    {
        using CheckpointFolder was = CheckpointFolder.Open(Toy.Checkpoint),
            now = CheckpointFolder.Open(_base);
        Assert.Equal(File.ReadAllBytes(was.Weights.Path), File.ReadAllBytes(now.Weights.Path));
        Assert.Equal(was.Config.ToJson(), now.Config.ToJson());
    }
}
