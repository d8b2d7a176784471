using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Hooks;
using SkillLoc.Models.Neurons;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tests.Checkpoints;
using SkillLoc.Models.Tuning;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Neurons;

public sealed class NeuronProbeTests : IDisposable
{
    private static readonly string[] Texts =
    [
        .. Enumerable.Range(0, 30).Select(i => string.Join(' ', Enumerable.Range(0, (i * 7 % 13) + 1).Select(j => $"word{(i + j) % 7}"))),
    ];

    private readonly TextClassifier _classifier = Classifier("tiny-roberta");

    public void Dispose() => _classifier.Dispose();

    [Theory]
    [InlineData("tiny-roberta")]
    [InlineData("tiny-gpt2")]
    public void RowsOfABatchAreReadAsAloneAndPaddingIsNot(string checkpoint)
    {
        using TextClassifier classifier = Classifier(checkpoint);
        EncodedText[] rows = [.. Texts.Select(text => classifier.Encode(text))];
        NeuronPosition[] neurons = [new(0, 3), new(2, 95, 3), new(1, 17, 1), new(2, 0)];
        foreach (NeuronProbeKind kind in Enum.GetValues<NeuronProbeKind>())
        {
            var probe = new NeuronProbe(classifier, kind);
            NeuronPosition[] read = kind == NeuronProbeKind.Prompt ? neurons : [.. neurons.Select(neuron => neuron with { Slot = 0 })];
            float[][] together = probe.Activations(rows, read);
            for (int i = 0; i < rows.Length; i++)
            {
                float[] alone = ByHand(classifier, rows[i], kind, read);
                Assert.Equal(alone, together[i], (a, b) => Math.Abs(a - b) < 1e-5);
            }

            NeuronValues mean = probe.Baseline(rows);
            for (int i = 0; i < read.Length; i++)
            {
                Assert.Equal(together.Average(row => (double)row[i]), mean.Of(read[i].Layer, read[i].Slot)[read[i].Neuron], 1e-6);
            }
        }
    }

    [Fact]
    public void SubtasksInOnePassAreAsSubtasksAlone()
    {
        EncodedText[] rows = Rows();
        IReadOnlyList<ProbeTask> tasks = ProbeTask.OneVersusRest([.. rows.Select((_, i) => i % 3)], ["a", "b", "c"]);
        var probe = new NeuronProbe(_classifier, NeuronProbeKind.TextMean);
        IReadOnlyList<NeuronValues> baselines = probe.Baselines(rows, tasks),
            accuracies = probe.Accuracies(rows, tasks, baselines);
        for (int t = 0; t < tasks.Count; t++)
        {
            int[] kept = [.. Enumerable.Range(0, rows.Length).Where(i => tasks[t].Labels[i] is not null)];
            EncodedText[] own = [.. kept.Select(i => rows[i])];
            var alone = new ProbeTask("alone", [.. kept.Select(i => tasks[t].Labels[i])]);
            NeuronValues baseline = probe.Baseline(own);
            Assert.Equal(baseline.Values.ToArray(), baselines[t].Values.ToArray(), (a, b) => Math.Abs(a - b) < 1e-6);
            double[] expected = probe.Accuracy(own, alone, baselines[t]).Values.ToArray();
            Assert.True(expected.Zip(accuracies[t].Values.ToArray(), (a, b) => Math.Abs(a - b) > 1e-9 ? 1 : 0).Sum() <= 2);
        }
    }

    [Fact]
    public void OneNeuronOnThePromptAndAllNeuronsAtTheMaskAgree()
    {
        EncodedText[] rows = Rows();
        var probe = new NeuronProbe(_classifier);
        float[][] onPrompt = probe.OnPrompt(rows, 1, 17),
            atMask = probe.AtScoredSlot(rows);
        Assert.Equal(5, onPrompt[0].Length);
        Assert.Equal(3 * 96, atMask[0].Length);
        Assert.All(onPrompt.Zip(atMask), pair => Assert.Equal(pair.First[0], pair.Second[96 + 17]));
    }

    [Fact]
    public void NoiseIsOneDrawForEachRowAndNeuronAtEveryPosition()
    {
        using DisposeScope scope = NewDisposeScope();
        NeuronSet set = SkillNeurons
            .Select(new NeuronValues([.. Enumerable.Range(0, 288).Select(i => i / 288.0)], 3, 96), 0.5)
            .Within(1, 2);
        using TokenBatch batch = _classifier.Batch([.. Enumerable.Range(0, 8).Select(i => Rows()[i % 2])]);
        using var other = NeuronPerturbation.Gaussian(_classifier.Backbone, set, seed: 3, alpha: 0.1);
        Assert.Equal(0, Added(other, 0).abs().sum().item<float>());
        using var first = NeuronPerturbation.Gaussian(_classifier.Backbone, set, seed: 3, alpha: 0.1);
        Tensor added = Added(first, 1);
        Assert.True(allclose(added, added.narrow(1, 0, 1).expand_as(added), 1e-4, 1e-6));
        float[] drawn = added.narrow(1, 0, 1).squeeze(1).narrow(1, 48, 48).reshape(-1).data<float>().ToArray();
        Assert.Equal(0, added.narrow(2, 0, 48).abs().sum().item<float>());
        Assert.Equal(drawn.Length, drawn.Distinct().Count());
        Assert.InRange(Math.Sqrt(drawn.Average(value => value * value)), 0.08, 0.12);
        Assert.False(allclose(added, Added(first, 1), 1e-2, 1e-2));
        using var again = NeuronPerturbation.Gaussian(_classifier.Backbone, set, seed: 3, alpha: 0.1);
        Assert.True(added.Equals(Added(again, 1)));

        Tensor Added(NeuronPerturbation perturbation, int layer)
        {
            var hooks = new ActivationHooks(_classifier.Backbone);
            var seen = new List<Tensor>();
            hooks.Add($"blocks.{layer}.mlp.hook_post", Keep);
            perturbation.AddTo(hooks);
            hooks.Add($"blocks.{layer}.mlp.hook_post", Keep);
            _classifier.Backbone.Encode(batch, hooks: hooks);
            return seen[1] - seen[0];

            Tensor? Keep(Tensor activations, HookContext context)
            {
                seen.Add(activations.clone().MoveToOtherDisposeScope(scope));
                return null;
            }
        }
    }

    [Fact]
    public void APrunedModelIsTheModelWithTheOthersAtTheirMeanAndAnOrdinaryCheckpoint()
    {
        using var folder = new TemporaryFolder();
        EncodedText[] rows = Rows();
        NeuronValues means = new NeuronProbe(_classifier).Baseline(rows);
        NeuronSet keep = SkillNeurons.Select(new NeuronValues([.. Enumerable.Range(0, 288).Select(i => i * 37 % 101 / 101.0)], 3, 96), 0.3);
        var others = new NeuronSet([.. keep.Members.ToArray().Select(member => !member)], 3, 96);
        using TextClassifier pruned = NeuronPruning.Prune(_classifier, keep, means);
        using var mean = NeuronPerturbation.Mean(_classifier.Backbone, others, means);
        float[][] plain = _classifier.Score(rows);
        IDisposable added = mean.AddTo(_classifier.Backbone.Hooks);
        float[][] expected = _classifier.Score(rows),
            actual = pruned.Score(rows);
        added.Dispose();
        AssertClose(expected, actual);
        Assert.Contains(plain.Zip(actual), pair => Math.Abs(pair.First[0] - pair.Second[0]) > 1e-3);

        pruned.Save(Path.Join(folder.Path, "pruned"));
        using var loaded = TextClassifier.Load(Path.Join(folder.Path, "pruned"));
        Assert.Equal([28, 28, 28], loaded.Backbone.Config.FeedForwardSizes);
        AssertClose(actual, loaded.Score(rows));

        using TextClassifier filled = NeuronPruning.Prune(_classifier, keep.Within(0, 1), means, lowLayer: 1, fraction: 0.05);
        Assert.Equal([96, 4, 4], filled.Backbone.Config.FeedForwardSizes);
        Assert.True(
            filled
                .Backbone.Parameters["roberta.encoder.layer.1.intermediate.dense.bias"]
                .Equals(_classifier.Backbone.Parameters["roberta.encoder.layer.1.intermediate.dense.bias"].narrow(0, 0, 4))
        );
    }

    [Fact]
    public void TheReferencesBiasCountsKeptNeuronsToo()
    {
        using DisposeScope scope = NewDisposeScope();
        var keep = new NeuronSet([.. Enumerable.Range(0, 288).Select(i => i % 96 == 5)], 3, 96);
        var means = new NeuronValues([.. Enumerable.Range(0, 288).Select(i => (double)i / 100)], 3, 96);
        using TextClassifier ours = NeuronPruning.Prune(_classifier, keep, means, lowLayer: 2);
        using TextClassifier theirs = NeuronPruning.Prune(_classifier, keep, means, lowLayer: 2, foldKept: true);
        const string Name = "roberta.encoder.layer.2.output.dense.";
        Tensor difference = theirs.Backbone.Parameters[Name + "bias"] - ours.Backbone.Parameters[Name + "bias"];
        Tensor column = _classifier.Backbone.Parameters[Name + "weight"].select(1, 5) * 1.97;
        Assert.True(allclose(column, difference, 1e-4, 1e-5));
    }

    [Fact]
    public void PruningGpt2HoldsToo()
    {
        using TextClassifier classifier = Classifier("tiny-gpt2");
        EncodedText[] rows = [.. Texts.Select(text => classifier.Encode(text))];
        NeuronValues means = new NeuronProbe(classifier).Baseline(rows);
        var keep = new NeuronSet([.. Enumerable.Range(0, means.Layers * means.Width).Select(i => i % 5 < 2)], means.Layers, means.Width);
        var others = new NeuronSet([.. keep.Members.ToArray().Select(member => !member)], means.Layers, means.Width);
        using TextClassifier pruned = NeuronPruning.Prune(classifier, keep, means);
        using var mean = NeuronPerturbation.Mean(classifier.Backbone, others, means);
        mean.AddTo(classifier.Backbone.Hooks);
        AssertClose(classifier.Score(rows), pruned.Score(rows));
    }

    [Fact]
    public void RobertaBasePrunedToTwoPercentKeeps666ThousandthsOfItsParameters()
    {
        var full = ModelConfig.Roberta();
        Assert.Equal(124_697_433, LanguageModel.ParameterCount(full));
        ModelConfig pruned = full.WithFeedForwardSizes([3072, 3072, 3072, .. Enumerable.Repeat(61, 9)]);
        Assert.Equal(0.66598, NeuronPruning.ParameterRatio(pruned, full), 5e-6);
    }

    [Fact]
    public void TimedEvaluationsAreSaved()
    {
        using var folder = new TemporaryFolder();
        EncodedText[] rows = Rows();
        IReadOnlyList<TimedEvaluation> times = TimedEvaluation.Measure(_classifier, rows, [.. rows.Select((_, i) => i % 2)]);
        Assert.Equal(3, times.Count);
        Assert.All(times, time => Assert.True(time.Seconds > 0 && time.Metric == times[0].Metric));
        TimedEvaluation.Save(Path.Join(folder.Path, "speed.safetensors"), times);
        using var file = SafetensorsFile.Open(Path.Join(folder.Path, "speed.safetensors"));
        using Tensor seconds = file.Read("inference_time");
        Assert.Equal(times.Select(time => time.Seconds), seconds.data<double>().ToArray());
    }

    [Fact]
    public void WhatDoesNotFitIsNamed()
    {
        EncodedText[] rows = Rows();
        using var plain = TextClassifier.Create(
            Oracles.PathOf("tiny-roberta"),
            new ClassifierSettings
            {
                Template = "*cls**sent_0*_It_was*mask*.*sep+*",
                Labels = ["no", "yes"],
                Words = ["bad", "good"],
            }
        );
        Contains("soft prompt", Assert.Throws<ArgumentException>(() => new NeuronProbe(plain)));
        Assert.Equal([3, 96], new NeuronProbe(plain, NeuronProbeKind.TextMean).Shape);

        var probe = new NeuronProbe(_classifier);
        var task = ProbeTask.Binary([.. rows.Select((_, i) => i % 2)]);
        Contains("[3, 96]", Assert.Throws<ArgumentException>(() => probe.Accuracy(rows, task, new NeuronValues(new double[288], 3, 96))));
        Contains("30 labels for 29 rows", Assert.Throws<ArgumentException>(() => probe.Baselines(rows[1..], [task])));
        Assert.Throws<ArgumentException>(() => probe.Baseline([]));
        Assert.Throws<ArgumentException>(() => probe.Activations(rows, [new NeuronPosition(3, 0)]));
        Assert.Throws<ArgumentException>(() => probe.Activations(rows, [new NeuronPosition(0, 0, 5)]));
        Assert.Throws<InvalidOperationException>(() => new NeuronProbe(_classifier, NeuronProbeKind.TextMax).OnPrompt(rows, 0, 0));

        var other = new NeuronSet(new bool[2 * 96], 2, 96);
        var means = new NeuronValues(new double[288], 3, 96);
        Contains("[2, 96]", Assert.Throws<ArgumentException>(() => NeuronPerturbation.Zero(_classifier.Backbone, other)));
        Contains(
            "[3, 95]",
            Assert.Throws<ArgumentException>(() =>
                NeuronPerturbation.Mean(_classifier.Backbone, new NeuronSet(new bool[288], 3, 96), new NeuronValues(new double[285], 3, 95))
            )
        );
        var all = new NeuronSet([.. Enumerable.Repeat(true, 288)], 3, 96);
        Contains("model of 3 layers", Assert.Throws<ArgumentOutOfRangeException>(() => NeuronPruning.Prune(_classifier, all, means, 0, 4)));
        Contains("allows 9", Assert.Throws<ArgumentException>(() => NeuronPruning.Prune(_classifier, all, means, fraction: 0.1)));
        Contains(
            "No neuron of layer 0",
            Assert.Throws<ArgumentException>(() => NeuronPruning.Prune(_classifier, new NeuronSet(new bool[288], 3, 96), means))
        );
        using TextClassifier pruned = NeuronPruning.Prune(_classifier, all, means, 1, fraction: 1);
        using TextClassifier narrow = NeuronPruning.Prune(_classifier, SkillNeurons.Select(means, 0.1), means, 1);
        Contains("96, 9", Assert.Throws<NotSupportedException>(() => new NeuronProbe(narrow)));

        static void Contains(string part, Exception error) => Assert.Contains(part, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void NoTensorIsLeft()
    {
        EncodedText[] rows = Rows();
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        IReadOnlyList<ProbeTask> tasks = ProbeTask.OneVersusRest([.. rows.Select((_, i) => i % 3)], ["a", "b", "c"]);
        foreach (NeuronProbeKind kind in Enum.GetValues<NeuronProbeKind>())
        {
            var probe = new NeuronProbe(_classifier, kind);
            probe.Accuracies(rows, tasks, probe.Baselines(rows, tasks));
            probe.Activations(rows, [new NeuronPosition(1, 2)]);
        }

        NeuronValues means = new NeuronProbe(_classifier).Baseline(rows);
        NeuronSet set = SkillNeurons.Select(means.MeanOverSlots(), 0.1);
        foreach (
            NeuronPerturbation perturbation in new[]
            {
                NeuronPerturbation.Zero(_classifier.Backbone, set),
                NeuronPerturbation.Mean(_classifier.Backbone, set, means),
                NeuronPerturbation.Gaussian(_classifier.Backbone, set, 1),
            }
        )
        {
            IDisposable added = perturbation.AddTo(_classifier.Backbone.Hooks);
            _classifier.Score(rows);
            added.Dispose();
            perturbation.Dispose();
        }

        NeuronPruning.Prune(_classifier, set, means).Dispose();
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    private static TextClassifier Classifier(string checkpoint) =>
        TextClassifier.Create(
            Oracles.PathOf(checkpoint),
            new ClassifierSettings
            {
                Labels = ["no", "yes"],
                Words = checkpoint == "tiny-gpt2" ? [" bad", " good"] : ["bad", "good"],
                AutoregressiveTemplate = checkpoint == "tiny-gpt2" ? "{0}" : null,
                Tuning = new SoftPromptOptions { Size = 5 },
                MaxLength = 40,
            }
        );

    private EncodedText[] Rows() => [.. Texts.Select(text => _classifier.Encode(text))];

    /// <summary>The definition, on one row without padding.</summary>
    private static float[] ByHand(TextClassifier classifier, EncodedText row, NeuronProbeKind kind, NeuronPosition[] neurons)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable inference = no_grad();
        using TokenBatch batch = classifier.Batch([row]);
        var recording = new Recording(classifier.Backbone, scope);
        classifier.Backbone.Encode(batch, hooks: recording.Hooks);
        bool causal = classifier.Backbone.Config.IsCausal;
        int length = row.Ids.Length;
        return
        [
            .. neurons.Select(neuron =>
            {
                float[] layer = recording.FeedForward[neuron.Layer][0].select(1, neuron.Neuron).contiguous().data<float>().ToArray();
                float[] text = layer[(causal ? 0 : 5)..][..length];
                return kind switch
                {
                    NeuronProbeKind.Prompt => layer[neuron.Slot + (causal ? length : 0)],
                    NeuronProbeKind.TextMax => text.Max(),
                    _ => text.Average(),
                };
            }),
        ];
    }

    private static void AssertClose(float[][] expected, float[][] actual) =>
        Assert.All(expected.Zip(actual), pair => Assert.Equal(pair.First[0], pair.Second[0], 1e-5f));
}
