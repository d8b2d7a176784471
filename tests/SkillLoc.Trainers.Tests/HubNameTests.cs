using Microsoft.ML;
using SkillLoc.Models.Hub;
using SkillLoc.Models.Tests.Hub;
using SkillLoc.Transforms;

namespace SkillLoc.Trainers.Tests;

/// <summary>Components take names of the hub, and what is saved says the name with its commit, which any machine's cache resolves.</summary>
public sealed class HubNameTests : IDisposable
{
    private const string Commit = "0123456789abcdef0123456789abcdef01234567";
    private const string Pinned = $"tiny/roberta@{Commit}";

    private readonly MLContext _ml = new(seed: 1);
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;
    private readonly HubOptions _before = CheckpointHub.Options;

    public HubNameTests() => Use(Make("here", Commit));

    public void Dispose()
    {
        CheckpointHub.Options = _before;
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public void AGraftIsSavedWithTheNameOfItsBase()
    {
        IDataView rows = Toy.View(_ml, Toy.Examples(16));
        string zip = Path.Join(_folder, "graft.zip");
        using TextScoringTransformer tuned = _ml.SkillLoc()
            .PromptFineTune(Toy.Options(options => (options.Checkpoint, options.Epochs) = ("tiny/roberta", 2)))
            .Fit(rows);
        Assert.Equal(Pinned, tuned.BaseCheckpoint);
        Assert.Equal(Pinned, tuned.Record!.Checkpoint);
        using GraftTransformer graft = _ml.SkillLoc().GraftMask(tuned, sparsity: 1e-2, epochs: 2).Fit(rows);
        Assert.Equal(Pinned, graft.BaseCheckpoint);
        _ml.Model.Save(graft, rows.Schema, zip);
        float[] expected = Score(graft);

        // Another machine, whose cache has it in another place, and one whose main branch has moved on without new weights.
        Use(Make("there", Commit));
        Directory.Delete(Path.Join(_folder, "here"), recursive: true);
        Assert.Equal(expected, Score(_ml.Model.Load(zip, out _)));
        graft.SaveGraft(Path.Join(_folder, "graft.safetensors"));
        using TextScoringTransformer loaded = _ml.SkillLoc()
            .Connectivity.LoadTextScorer("tiny/roberta", Path.Join(_folder, "graft.safetensors"));
        Assert.Equal(expected, Score(loaded));
        Assert.Equal(Pinned, loaded.BaseCheckpoint);
    }

    [Fact]
    public void ANewCommitOfTheSameWeightsServesASavedModel()
    {
        IDataView rows = Toy.View(_ml, Toy.Examples(16));
        string zip = Path.Join(_folder, "graft.zip");
        using TextScoringTransformer tuned = _ml.SkillLoc()
            .PromptFineTune(Toy.Options(options => (options.Checkpoint, options.Epochs) = ("tiny/roberta@main", 1)))
            .Fit(rows);
        using GraftTransformer graft = _ml.SkillLoc().GraftMask(tuned, sparsity: 1e-2, epochs: 1).Fit(rows);
        _ml.Model.Save(graft, rows.Schema, zip);
        float[] expected = Score(graft);
        Use(Make("later", new string('f', 40)));
        Assert.Equal(expected, Score(_ml.Model.Load(zip, out _)));
    }

    [Fact]
    public void ASavedModelWhoseBaseIsNowhereListsThePlaces()
    {
        IDataView rows = Toy.View(_ml, Toy.Examples(16));
        string zip = Path.Join(_folder, "graft.zip");
        using TextScoringTransformer tuned = _ml.SkillLoc()
            .PromptFineTune(Toy.Options(options => (options.Checkpoint, options.Epochs) = ("tiny/roberta", 1)))
            .Fit(rows);
        // A state that no other test restores: models of one state share a classifier.
        using GraftTransformer graft = _ml.SkillLoc().GraftMask(tuned, sparsity: 3e-2, epochs: 1).Fit(rows);
        _ml.Model.Save(graft, rows.Schema, zip);
        string empty = Path.Join(_folder, "empty");
        Use(empty);
        ITransformer model = _ml.Model.Load(zip, out _);
        string message = Assert.Throws<FileNotFoundException>(() => _ml.SkillLoc().CheckModel(model)).Message;
        Assert.Contains("needs the checkpoint folder 'roberta'", message, StringComparison.Ordinal);
        Assert.Contains($"'{Path.Join(empty, "models--tiny--roberta")}' is not there", message, StringComparison.Ordinal);
        Assert.Contains("AllowDownload = true", message, StringComparison.Ordinal);
    }

    [Fact]
    public void ANameThatIsNotThereIsMetAtFit()
    {
        IDataView rows = Toy.View(_ml, Toy.Examples(16));
        PromptFineTuneTrainer trainer = _ml.SkillLoc().PromptFineTune("no/such", task: "sst-2");
        string message = Assert.Throws<DirectoryNotFoundException>(() => trainer.Fit(rows)).Message;
        Assert.Contains($"'{Path.Join(_folder, "here", "models--no--such")}' is not there", message, StringComparison.Ordinal);
        Assert.Throws<DirectoryNotFoundException>(() => _ml.SkillLoc().EmbedText("no/such").Fit(rows));
        using EmbedTextTransformer embedded = _ml.SkillLoc().EmbedText("tiny/roberta").Fit(rows);
    }

    [Fact]
    public void ADownloadIsInTheLogAndEndsWithItsContext()
    {
        using var server = new HubServer();
        server.Add("tiny/new", Toy.Checkpoint);
        string cache = Path.Join(_folder, "new");
        CheckpointHub.Options = new()
        {
            AllowDownload = true,
            CacheFolder = cache,
            Endpoint = server.Endpoint,
            Token = "",
        };
        IDataView rows = Toy.View(_ml, Toy.Examples(16));
        server.Pause = TimeSpan.FromMinutes(1);
        var cancelled = new MLContext();
        _ = Task.Run(() =>
        {
            SpinWait.SpinUntil(() => server.Contents.Any(), TimeSpan.FromSeconds(30));
            cancelled.CancelExecution();
        });
        Assert.ThrowsAny<OperationCanceledException>(() => cancelled.SkillLoc().EmbedText("tiny/new").Fit(rows));
        Assert.False(Directory.Exists(Path.Join(cache, "models--tiny--new", "refs")));

        server.Pause = TimeSpan.Zero;
        var log = new List<string>();
        _ml.Log += (_, e) => log.Add(e.Message);
        using EmbedTextTransformer embedded = _ml.SkillLoc().EmbedText("tiny/new").Fit(rows);
        Assert.Contains(log, line => line.Contains("Downloading model.safetensors of tiny/new: ", StringComparison.Ordinal));
        Assert.Contains(log, line => line.Contains("0.4 of 0.4 MB", StringComparison.Ordinal));
    }

    private static void Use(string cache) => CheckpointHub.Options = new() { CacheFolder = cache };

    private float[] Score(ITransformer model) =>
        _ml.Model.CreatePredictionEngine<Toy.Row, Scored>(model).Predict(new() { Text = "the film was it" }).Score;

    /// <summary>Writes a cache as huggingface_hub does.</summary>
    private string Make(string name, string commit)
    {
        string cache = Path.Join(_folder, name),
            repository = Path.Join(cache, "models--tiny--roberta"),
            snapshot = Path.Join(repository, "snapshots", commit);
        Directory.CreateDirectory(snapshot);
        Directory.CreateDirectory(Path.Join(repository, "blobs"));
        Directory.CreateDirectory(Path.Join(repository, "refs"));
        File.WriteAllText(Path.Join(repository, "refs", "main"), commit);
        foreach (string file in new[] { "config.json", "vocab.json", "merges.txt", "model.safetensors" })
        {
            File.Copy(Path.Join(Toy.Checkpoint, file), Path.Join(repository, "blobs", file + "-hash"));
            File.CreateSymbolicLink(Path.Join(snapshot, file), $"../../blobs/{file}-hash");
        }

        return cache;
    }

    private sealed class Scored
    {
        public float[] Score { get; set; } = [];
    }
}
