using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Embeddings;
using SkillLoc.Models.Generation;
using SkillLoc.Models.Hooks;
using SkillLoc.Models.Neurons;
using SkillLoc.Models.Prompts;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Backbones;

/// <summary>Models are disposed while somebody uses them, or not at all.</summary>
public sealed class DisposalTests
{
    private static readonly string Folder = Oracles.PathOf("tiny-roberta");

    private static readonly ClassifierSettings Settings = new()
    {
        Template = "*cls**sent_0*_It_was*mask*.*sep+*",
        Labels = ["neg", "pos"],
        Words = ["bad", "good"],
    };

    public static TheoryData<string> Uses => ["score", "answer", "fingerprint", "clone", "embed", "neurons"];

    [Theory]
    [MemberData(nameof(Uses))]
    public void AModelIsDisposedWhileThreadsUseIt(string use)
    {
        for (int round = 0; round < 5; round++)
        {
            (IDisposable model, Func<float[]> work) = Work(use);
            float[] expected = work();
            var errors = new ConcurrentQueue<Exception>();
            using var running = new CountdownEvent(4);
            Thread[] threads =
            [
                .. Enumerable
                    .Range(0, 4)
                    .Select(_ => new Thread(() =>
                    {
                        int done = 0;
                        try
                        {
                            while (done < int.MaxValue)
                            {
                                Assert.Equal(expected, work(), (a, b) => Math.Abs(a - b) < 1e-5f);
                                if (++done == 3)
                                {
                                    running.Signal();
                                }
                            }
                        }
                        catch (Exception error)
                        {
                            errors.Enqueue(error);
                            if (done < 3)
                            {
                                running.Signal();
                            }
                        }
                    })),
            ];
            Array.ForEach(threads, thread => thread.Start());
            running.Wait();
            model.Dispose();
            Array.ForEach(threads, thread => thread.Join());
            Assert.Equal(4, errors.Count);
            Assert.All(errors, error => Assert.IsType<ObjectDisposedException>(error));
        }
    }

    [Fact]
    public void APassThatDisposesItsModelFinishes()
    {
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        var companion = new Companion();
        using (DisposeScope scope = NewDisposeScope())
        using (var batch = TokenBatch.Create([new([0, 7, 9, 2], null, 2)], 1))
        {
            var model = LanguageModel.Load(Folder);
            model.DisposeWith(companion);
            Tensor expected = model.EncodeAt(batch);
            var hooks = new ActivationHooks(model);
            hooks.Add(
                _ => true,
                (_, _) =>
                {
                    model.Dispose();
                    Assert.False(companion.IsDisposed);
                    return null;
                }
            );
            Tensor actual = model.EncodeAt(batch, hooks: hooks);
            Assert.True(expected.Equals(actual));
            Assert.True(companion.IsDisposed);
            Assert.Contains(
                "Load it again",
                Assert.Throws<ObjectDisposedException>(() => model.EncodeAt(batch)).Message,
                StringComparison.Ordinal
            );
            Assert.Throws<ObjectDisposedException>(() => model.Encode(batch));
            Assert.Throws<ObjectDisposedException>(() => model.WordScores(expected));
            Assert.Throws<ObjectDisposedException>(() => model.Device);
            Assert.Throws<ObjectDisposedException>(() => model.Clone());
        }

        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    [Fact]
    public void TheCollectorKnowsOfModelsThatNobodyDisposed()
    {
        // 30 MB of weights each, and next to nothing that the collector sees by itself.
        var config = ModelConfig.Roberta(
            hiddenSize: 64,
            layers: 1,
            heads: 2,
            feedForwardSize: 64,
            vocabularySize: 120_000,
            maxPositions: 10
        );
        WeakReference[] models = [.. Enumerable.Range(0, 20).Select(i => Forgotten(i))];
        Assert.InRange(models.Count(model => model.IsAlive), 0, 10);

        [MethodImpl(MethodImplOptions.NoInlining)]
        WeakReference Forgotten(int seed) => new(LanguageModel.Create(config, seed));
    }

    private static (IDisposable Model, Func<float[]> Work) Work(string use)
    {
        if (use == "embed")
        {
            var embedder = new TextEmbedder(Folder);
            return (embedder, () => embedder.Embed([embedder.Encode("a film"), embedder.Encode("the man and the plot")])[1]);
        }

        TextClassifier classifier =
            use == "answer"
                ? TextClassifier.Create(
                    Oracles.PathOf("tiny-t5"),
                    new()
                    {
                        TextToText = new("toy", TextMetric.Accuracy) { MaxOutputLength = 6 },
                        Head = HeadKind.Generation,
                        Labels = [],
                    }
                )
                : TextClassifier.Create(Folder, Settings);
        return (
            classifier,
            use switch
            {
                "answer" => () => [.. classifier.Generate([classifier.Encode("good")])[0].Select(letter => (float)letter)],
                "fingerprint" => () => [.. classifier.Fingerprint().Select(digit => (float)digit)],
                "clone" => () =>
                {
                    using TextClassifier own = classifier.Clone(name => name.Contains("layer.0", StringComparison.Ordinal));
                    return own.Score([own.Encode("a film")])[0];
                },
                "neurons" => () =>
                    new NeuronProbe(classifier, NeuronProbeKind.TextMean).Activations(
                        [classifier.Encode("a film")],
                        [new(1, 3, 0), new(2, 90, 0)]
                    )[0],
                _ => () => classifier.Score([classifier.Encode("a film"), classifier.Encode("the man and the plot")])[1],
            }
        );
    }

    private sealed class Companion : IDisposable
    {
        public bool IsDisposed { get; private set; }

        public void Dispose() => IsDisposed = true;
    }
}
