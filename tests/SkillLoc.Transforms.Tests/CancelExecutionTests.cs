using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Neurons;
using TorchSharp;

namespace SkillLoc.Transforms.Tests;

/// <summary>When a context's execution is cancelled, as AutoML does, reading rows that its transformers score ends.</summary>
public sealed class CancelExecutionTests : IDisposable
{
    private readonly MLContext _ml = new(seed: 1);
    private readonly MLContext _data = new();
    private readonly string _folder = Path.Join(Directory.CreateTempSubdirectory("skillloc-").FullName, "toy");

    public CancelExecutionTests()
    {
        using TextScoringTransformer scorer = Toy.Scorer();
        scorer.SaveCheckpoint(_folder);
    }

    public void Dispose() => Directory.Delete(Path.GetDirectoryName(_folder)!, recursive: true);

    [Theory]
    [InlineData("scorer", "Score")]
    [InlineData("perturbed", "Score")]
    [InlineData("pruned", "Score")]
    [InlineData("set", "Score")]
    [InlineData("embedding", "Features")]
    public void ReadingEndsWithTheNextRowsThatAreScored(string what, string column)
    {
        long live = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        using (var owned = new Owned())
        {
            IDataView scored = Make(what, owned).Transform(Rows());
            Assert.Equal(100, scored.GetColumn<float[]>(column).Count());
            int read = 0;
            Assert.Throws<OperationCanceledException>(() =>
            {
                foreach (float[] _ in scored.GetColumn<float[]>(column))
                {
                    if (++read == 5)
                    {
                        _ml.CancelExecution();
                    }
                }
            });

            // The first 32 rows are scored together.
            Assert.Equal(32, read);
            Assert.Throws<OperationCanceledException>(() => scored.GetColumn<float[]>(column).Count());

            // What needs no scores is passed on.
            Assert.Equal(100, scored.GetColumn<int>("Id").Count());
        }

        Assert.Equal(live, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    [Fact]
    public void SingleRowsAndOtherContextsGoOn()
    {
        using TextScoringTransformer scorer = _ml.SkillLoc().Connectivity.LoadTextScorer(_folder),
            plain = Toy.Scorer();
        using PredictionEngine<Toy.Row, Toy.Scored> engine = _data.Model.CreatePredictionEngine<Toy.Row, Toy.Scored>(
            scorer,
            new PredictionEngineOptions { OwnsTransformer = false }
        );
        new MLContext().CancelExecution();
        Assert.Equal(100, scorer.Transform(Rows()).GetColumn<float[]>("Score").Count());
        _ml.CancelExecution();
        Assert.Equal(2, engine.Predict(new Toy.Row { Text = "word1" }).Score.Length);
        Assert.Equal(100, plain.Transform(Rows()).GetColumn<float[]>("Score").Count());
    }

    [Fact]
    public void AWatchFollowsItsTokenAndItsContext()
    {
        using var own = new CancellationTokenSource();
        var host = new ComponentHost(_ml, "test");
        using CancellationWatch first = host.Watch(own.Token),
            second = host.Watch();
        CancellationToken firstToken = first.Token,
            secondToken = second.Token;
        Assert.False(first.IsRequested || second.IsRequested || firstToken.IsCancellationRequested || secondToken.IsCancellationRequested);
        own.Cancel();
        Assert.True(first.IsRequested && firstToken.IsCancellationRequested);
        Assert.False(second.IsRequested || secondToken.IsCancellationRequested);
        Assert.Equal(own.Token, Assert.Throws<OperationCanceledException>(first.ThrowIfRequested).CancellationToken);
        second.ThrowIfRequested();
        _ml.CancelExecution();
        Assert.True(second.IsRequested);
        Assert.True(secondToken.WaitHandle.WaitOne(TimeSpan.FromSeconds(30)));
        Assert.Throws<OperationCanceledException>(second.ThrowIfRequested);

        // One that is registered afterwards is born cancelled.
        Assert.True(new ComponentHost(_ml, "later").IsCancelled);
        Assert.False(new ComponentHost(new MLContext(), "other").IsCancelled);
    }

    [Fact]
    public void AForgottenWatchGoes()
    {
        WeakReference forgotten = Forget(new ComponentHost(_ml, "test"));
        for (int i = 0; i < 200 && forgotten.IsAlive; i++)
        {
            Thread.Sleep(10);
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }

        Assert.False(forgotten.IsAlive);

        [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.NoInlining)]
        static WeakReference Forget(ComponentHost host)
        {
            CancellationWatch watch = host.Watch();
            Assert.False(watch.Token.IsCancellationRequested);
            return new(watch);
        }
    }

    private IDataView Rows() => Toy.Rows(_data);

    private ITransformer Make(string what, Owned owned)
    {
        SkillLocCatalog catalog = _ml.SkillLoc();
        if (what == "embedding")
        {
            return owned.Add(catalog.EmbedText(Oracles.PathOf("tiny-roberta")).Fit(Rows()));
        }

        TextScoringTransformer scorer = owned.Add(catalog.Connectivity.LoadTextScorer(_folder));
        int layers = scorer.Classifier.Backbone.Config.Layers,
            width = scorer.Classifier.Backbone.Config.FeedForwardSize;
        var all = new NeuronSet([.. Enumerable.Repeat(true, layers * width)], layers, width);
        switch (what)
        {
            case "perturbed":
                return owned.Add(catalog.Neurons.PerturbNeurons(scorer, all, PerturbationKind.Zero));
            case "pruned":
                return owned.Add(catalog.Neurons.PruneNeurons(scorer, all, new NeuronValues(new double[layers * width], [layers, width])));
            case "set":
                var graft = new Graft
                {
                    BaseFingerprint = scorer.Classifier.Backbone.Fingerprint(),
                    Settings = Toy.Settings.ToJson(),
                    Parts = [new("roberta.encoder.layer.1.output.dense.bias", [0], [3])],
                };
                return _data
                    .Transforms.CustomMapping<Toy.Row, Skill>((_, row) => row.Name = "tone", null)
                    .Fit(Rows())
                    .Append(owned.Add(catalog.Grafts.CreateModelSet(_folder, new Dictionary<string, Graft> { ["tone"] = graft })));
            default:
                return scorer;
        }
    }

    private sealed class Skill
    {
        [ColumnName("Skill")]
        public string Name { get; set; } = "";
    }

    private sealed class Owned : List<IDisposable>, IDisposable
    {
        public T Add<T>(T item)
            where T : IDisposable
        {
            base.Add(item);
            return item;
        }

        public void Dispose() => ForEach(item => item.Dispose());
    }
}
