using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Neurons;
using SkillLoc.Trainers;
using TorchSharp;

namespace SkillLoc.Transforms.Tests;

/// <summary>ML.NET's engines dispose the transformer that they were made from, and pools dispose engines while others work.</summary>
public sealed class EngineSharingTests : IDisposable
{
    private const string Bias = "roberta.encoder.layer.1.output.dense.bias";

    private static readonly string Base = Oracles.PathOf("tiny-roberta");
    private static readonly Row[] Rows =
    [
        .. Enumerable
            .Range(0, 20)
            .Select(i => new Row
            {
                Text = Toy.Texts[i],
                Skill = i % 3 == 0 ? "one" : "two",
                Label = i % 2 == 0 ? "neg" : "pos",
            }),
    ];

    private readonly MLContext _ml = new(seed: 1);
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    public enum Kind
    {
        Scorer,
        Graft,
        Set,
        Chain,
        Embedding,
        Probe,
        Silenced,
        Noisy,
        Zip,
        ZipOfSet,
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(Kind.Scorer, 300)]
    [InlineData(Kind.Set, 300)]
    [InlineData(Kind.Zip, 300)]
    [InlineData(Kind.Chain, 60)]
    [InlineData(Kind.Graft, 60)]
    [InlineData(Kind.Embedding, 60)]
    [InlineData(Kind.Probe, 60)]
    [InlineData(Kind.Silenced, 60)]
    [InlineData(Kind.Noisy, 60)]
    [InlineData(Kind.ZipOfSet, 60)]
    public void APoolDisposesItsSurplusAndTheOthersGoOn(Kind kind, int predictions)
    {
        const int Threads = 8,
            Kept = 4;
        ITransformer model = Model(kind);
        float[][] expected = Expected(model);
        var pool = new ConcurrentBag<PredictionEngine<Row, Output>>();
        int kept = 0,
            disposed = 0;
        using var start = new Barrier(Threads);
        OnThreads(
            Threads,
            worker =>
            {
                var random = new Random(worker);
                for (int done = 0; done < predictions; )
                {
                    if (!pool.TryTake(out PredictionEngine<Row, Output>? engine))
                    {
                        engine = Engine(model);
                    }
                    else
                    {
                        Interlocked.Decrement(ref kept);
                    }

                    // All threads have an engine once, so that half of them are surplus.
                    if (done == 0)
                    {
                        start.SignalAndWait();
                    }

                    for (int burst = random.Next(1, 8); burst > 0 && done < predictions; burst--, done++)
                    {
                        int row = random.Next(Rows.Length);
                        Same(expected[row], engine.Predict(Rows[row]));
                    }

                    if (Interlocked.Increment(ref kept) <= Kept)
                    {
                        pool.Add(engine);
                    }
                    else
                    {
                        Interlocked.Decrement(ref kept);
                        engine.Dispose();
                        Interlocked.Increment(ref disposed);
                    }
                }
            }
        );
        Assert.True(disposed >= Threads - Kept, $"{disposed}");

        // The model is its owner's still, when the pool is gone.
        foreach (PredictionEngine<Row, Output> engine in pool)
        {
            engine.Dispose();
        }

        using PredictionEngine<Row, Output> last = Engine(model);
        Same(expected[3], last.Predict(Rows[3]));
        End(model);
    }

    [Theory]
    [InlineData(Kind.Scorer)]
    [InlineData(Kind.Set)]
    [InlineData(Kind.Chain)]
    [InlineData(Kind.Graft)]
    [InlineData(Kind.Embedding)]
    [InlineData(Kind.Probe)]
    [InlineData(Kind.Silenced)]
    [InlineData(Kind.Noisy)]
    [InlineData(Kind.Zip)]
    [InlineData(Kind.ZipOfSet)]
    public void AModelIsDisposedWhileThreadsPredict(Kind kind)
    {
        bool isZip = kind is Kind.Zip or Kind.ZipOfSet;
        for (int round = 0; round < (isZip ? 1 : 5); round++)
        {
            ITransformer model = Model(kind);
            float[][] expected = Expected(model);
            int refused = 0;
            using var running = new CountdownEvent(4);
            OnThreads(
                5,
                worker =>
                {
                    if (worker == 4)
                    {
                        running.Wait();
                        End(model);
                        return;
                    }

                    using PredictionEngine<Row, Output> engine = Engine(model);
                    int done = 0;
                    try
                    {
                        while (done < (isZip ? 20 : 100_000))
                        {
                            int row = (worker + done) % Rows.Length;
                            Same(expected[row], engine.Predict(Rows[row]));
                            if (++done == 4)
                            {
                                running.Signal();
                            }
                        }
                    }
                    catch (ObjectDisposedException)
                    {
                        Interlocked.Increment(ref refused);
                    }
                    finally
                    {
                        if (done < 4)
                        {
                            running.Signal();
                        }
                    }
                }
            );

            // What was loaded from a zip is ML.NET's own, whose Dispose leaves the model to the garbage collector.
            Assert.Equal(isZip ? 0 : 4, refused);
        }
    }

    [Fact]
    public void AModelIsDisposedWhileViewsAreRead()
    {
        IDataView rows = _ml.Data.LoadFromEnumerable(Enumerable.Repeat(Rows, 50).SelectMany(each => each));
        for (int round = 0; round < 5; round++)
        {
            TextScoringTransformer model = Toy.Scorer();
            float[][] expected = Expected(model);
            using var running = new CountdownEvent(4);
            OnThreads(
                5,
                worker =>
                {
                    if (worker == 4)
                    {
                        running.Wait();
                        model.Dispose();
                        return;
                    }

                    int row = 0;
                    try
                    {
                        Assert.Throws<ObjectDisposedException>(() =>
                        {
                            while (row < int.MaxValue)
                            {
                                foreach (float[] scores in model.Transform(rows).GetColumn<float[]>("Score"))
                                {
                                    Same(expected[row % Rows.Length], new Output { Score = scores });
                                    if (++row == 40)
                                    {
                                        running.Signal();
                                    }
                                }
                            }
                        });
                    }
                    finally
                    {
                        if (row < 40)
                        {
                            running.Signal();
                        }
                    }
                }
            );
        }
    }

    [Theory]
    [InlineData(Kind.Scorer)]
    [InlineData(Kind.Set)]
    [InlineData(Kind.Zip)]
    public void EightEnginesPredictOverOneModel(Kind kind)
    {
        ITransformer model = Model(kind);
        float[][] expected = Expected(model);
        OnThreads(
            8,
            worker =>
            {
                using PredictionEngine<Row, Output> engine = Engine(model);
                for (int i = 0; i < 40; i++)
                {
                    int row = (worker + i) % Rows.Length;
                    Same(expected[row], engine.Predict(Rows[row]));
                }
            }
        );
        End(model);
    }

    [Theory]
    [InlineData(Kind.Scorer)]
    [InlineData(Kind.Graft)]
    [InlineData(Kind.Set)]
    [InlineData(Kind.Embedding)]
    [InlineData(Kind.Silenced)]
    public void TheLastShareReleasesTheModel(Kind kind)
    {
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        ITransformer model = Model(kind);
        long loaded = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        Assert.True(loaded > before);
        PredictionEngine<Row, Output> first = Engine(model),
            second = Engine(model);
        first.Predict(Rows[0]);
        using (model as IDisposable)
        {
            first.Dispose();
            first.Dispose();
            second.Predict(Rows[0]);
        }

        // The owner has gone, and an engine is left.
        Assert.Equal(loaded, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
        second.Predict(Rows[1]);
        second.Dispose();
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
        Assert.Throws<ObjectDisposedException>(() => second.Predict(Rows[1]));
        (model as IDisposable)!.Dispose();
        End(model);
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    [Theory]
    [InlineData(Kind.Scorer)]
    [InlineData(Kind.Graft)]
    [InlineData(Kind.Set)]
    [InlineData(Kind.Embedding)]
    [InlineData(Kind.Probe)]
    [InlineData(Kind.Silenced)]
    public void DisposedByNameItEndsForAll(Kind kind)
    {
        ITransformer model = Model(kind);
        using PredictionEngine<Row, Output> engine = Engine(model);
        engine.Predict(Rows[0]);
        IDataView data = _ml.Data.LoadFromEnumerable(Rows),
            view = model.Transform(data);
        long loaded = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        End(model);
        End(model);
        Assert.True(DisposeScopeManager.Statistics.ThreadTotalLiveCount < loaded);
        Action[] uses = [() => engine.Predict(Rows[1]), () => Engine(model), () => model.Transform(data), () => view.Preview(1)];
        Assert.All(
            uses,
            use =>
            {
                string message = Assert.Throws<ObjectDisposedException>(use).Message;
                Assert.Contains("fit or load it again, or dispose it after the last engine", message, StringComparison.Ordinal);
                Assert.Contains(model.GetType().Name, message, StringComparison.Ordinal);
            }
        );
        if (kind is Kind.Scorer or Kind.Graft or Kind.Set)
        {
            string zip = Path.Join(_folder, "disposed.zip");
            Assert.Throws<ObjectDisposedException>(() => _ml.Model.Save(model, data.Schema, zip));
        }
    }

    [Theory]
    [InlineData(Kind.Scorer)]
    [InlineData(Kind.Set)]
    [InlineData(Kind.Chain)]
    [InlineData(Kind.Zip)]
    [InlineData(Kind.ZipOfSet)]
    public void SixtyContextsAndEnginesLeaveNothing(Kind kind)
    {
        // Only the engines are disposed, as ML.NET has it; the garbage collector finds the rest.
        Model(kind);
        OneRound(kind);
        long before = LiveAfterCollection();
        for (int i = 0; i < 60; i++)
        {
            OneRound(kind);
        }

        Assert.Equal(before, LiveAfterCollection());
    }

    /// <summary>Not inlined, so that nothing of it is reachable afterwards.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private void OneRound(Kind kind)
    {
        ITransformer model = kind switch
        {
            Kind.Zip => new MLContext().Model.Load(Path.Join(_folder, "scorer.zip"), out _),
            Kind.ZipOfSet => new MLContext().Model.Load(Path.Join(_folder, "set.zip"), out _),
            _ => Model(kind),
        };
        using PredictionEngine<Row, Output> engine = new MLContext().Model.CreatePredictionEngine<Row, Output>(model);
        Assert.NotEmpty(Values(engine.Predict(Rows[0])));
    }

    /// <summary>Live tensors, of this thread and of the one that finalises, where TorchSharp counts what that disposed.</summary>
    private static long LiveAfterCollection()
    {
        for (int i = 0; i < 2; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }

        Probe();
        GC.Collect();
        GC.WaitForPendingFinalizers();
        return DisposeScopeManager.Statistics.ThreadTotalLiveCount + Finalised.Count;

        [MethodImpl(MethodImplOptions.NoInlining)]
        static void Probe() => _ = new Finalised();
    }

    private static PredictionEngine<Row, Output> Engine(ITransformer model) =>
        new MLContext().Model.CreatePredictionEngine<Row, Output>(model);

    private static float[][] Expected(ITransformer model)
    {
        using PredictionEngine<Row, Output> engine = Engine(model);
        return Array.ConvertAll(Rows, row => Values(engine.Predict(row)));
    }

    private static float[] Values(Output output) => [.. output.Score, .. output.Features, .. output.Neurons];

    private static void Same(float[] expected, Output actual) => Assert.Equal(expected, Values(actual), (a, b) => Math.Abs(a - b) < 1e-4f);

    /// <summary>Work on threads of its own; the first failure is thrown here.</summary>
    private static void OnThreads(int count, Action<int> work)
    {
        var errors = new ConcurrentQueue<Exception>();
        Thread[] threads =
        [
            .. Enumerable
                .Range(0, count)
                .Select(i => new Thread(() =>
                {
                    try
                    {
                        work(i);
                    }
                    catch (Exception error)
                    {
                        errors.Enqueue(error);
                    }
                })),
        ];
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());
        Assert.Empty(errors);
    }

    /// <summary>Disposes it by name, as its owner would who knows what it is.</summary>
    private static void End(ITransformer model)
    {
        switch (model)
        {
            case TextScoringTransformer scorer:
                scorer.Dispose();
                break;
            case GraftedModelSet set:
                set.Dispose();
                break;
            case ActivationTransformer embedding:
                embedding.Dispose();
                break;
            case SkillNeuronProbeTransformer probe:
                probe.Dispose();
                break;
            case TransformerChain<TextScoringTransformer> chain:
                chain.LastTransformer.Dispose();
                break;
            default:
                ((IDisposable)model).Dispose();
                break;
        }
    }

    private ITransformer Model(Kind kind)
    {
        switch (kind)
        {
            case Kind.Graft:
                return GraftTransformer.Create(Grafts()["one"], Base);
            case Kind.Set:
                return GraftedModelSet.Create(Base, Grafts());
            case Kind.Chain:
                IDataView rows = _ml.Data.LoadFromEnumerable(Rows);
                return new TransformerChain<ITransformer>(_ml.Transforms.CopyColumns("Copy", "Label").Fit(rows)).Append(Toy.Scorer());
            case Kind.Embedding:
                return _ml.SkillLoc().EmbedText(Base).Fit(_ml.Data.LoadFromEnumerable(Rows));
            case Kind.Probe:
                IDataView texts = _ml.Data.LoadFromEnumerable(Rows);
                using (TextScoringTransformer probed = Toy.Scorer())
                {
                    return _ml.SkillLoc()
                        .ProbeSkillNeurons(probed, NeuronProbeKind.TextMean, fraction: 0.05)
                        .Fit(_ml.Transforms.Conversion.MapValueToKey("Label").Fit(texts).Transform(texts));
                }

            case Kind.Silenced
            or Kind.Noisy:
                using (TextScoringTransformer whole = Toy.Scorer())
                {
                    var every = new NeuronSet([.. Enumerable.Range(0, 3 * 96).Select(i => i % 5 == 0)], 3, 96);
                    return _ml.SkillLoc()
                        .Neurons.PerturbNeurons(whole, every, kind == Kind.Noisy ? PerturbationKind.Gaussian : PerturbationKind.Zero);
                }

            case Kind.Zip:
                return Loaded("scorer.zip", Toy.Scorer());
            case Kind.ZipOfSet:
                return Loaded("set.zip", GraftedModelSet.Create(Base, Grafts()));
            default:
                return Toy.Scorer();
        }
    }

    private ITransformer Loaded(string name, ITransformer model)
    {
        string zip = Path.Join(_folder, name);
        (model as TextScoringTransformer)?.SaveCheckpoint(Path.Join(_folder, "checkpoint"));
        _ml.Model.Save(model, _ml.Data.LoadFromEnumerable(Rows).Schema, zip);
        End(model);
        return _ml.Model.Load(zip, out _);
    }

    private static Dictionary<string, Graft> Grafts()
    {
        using var whole = LanguageModel.Load(Base);
        string fingerprint = whole.Fingerprint();
        return new(StringComparer.Ordinal)
        {
            ["one"] = Make(Toy.Settings, new GraftPart(Bias, [0, 5, 47], [3, -4, 5])),
            ["two"] = Make(Toy.Settings with { Template = "*cls**sent_0*_This_is*mask*.*sep+*" }, new GraftPart(Bias, [5, 6], [4, 4])),
        };

        Graft Make(ClassifierSettings settings, GraftPart part) =>
            new()
            {
                BaseFingerprint = fingerprint,
                Settings = settings.ToJson(),
                Parts = [part],
            };
    }

    private sealed class Finalised
    {
        private static long _count;

        ~Finalised()
        {
            Volatile.Write(ref _count, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
        }

        public static long Count => Volatile.Read(ref _count);
    }

    private sealed class Row
    {
        public string Text { get; set; } = "";

        public string Skill { get; set; } = "";

        public string Label { get; set; } = "";
    }

    private sealed class Output
    {
        public float[] Score { get; set; } = [];

        public float[] Features { get; set; } = [];

        public float[] Neurons { get; set; } = [];
    }
}
