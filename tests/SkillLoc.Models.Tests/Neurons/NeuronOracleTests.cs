using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Neurons;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tuning;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Neurons;

/// <summary>Baselines, accuracies and logits of tests/oracles/neurons.safetensors.</summary>
public sealed class NeuronOracleTests : IDisposable
{
    private readonly SafetensorsFile _oracle = SafetensorsFile.Open(Oracles.PathOf("neurons.safetensors"));
    private readonly TextClassifier _classifier = Classifier(8);

    public void Dispose()
    {
        _classifier.Dispose();
        _oracle.Dispose();
    }

    [Theory]
    [InlineData(NeuronProbeKind.Prompt, "acc")]
    [InlineData(NeuronProbeKind.TextMean, "acc_mean")]
    [InlineData(NeuronProbeKind.TextMax, "acc_max")]
    public void BaselinesAndAccuraciesAreTheOracles(NeuronProbeKind kind, string name)
    {
        SetPrompt(_classifier);
        using TextClassifier exact = Classifier(8, ScalarType.Float64);
        SetPrompt(exact);
        var probe = new NeuronProbe(_classifier, kind);
        EncodedText[] train = Rows("train"),
            dev = Rows("dev");
        var labels = ProbeTask.Binary(Labels(), "1");
        var expected = NeuronValues.Load(_oracle.Path, name + ".baseline", probe.Shape);

        // Against float64 there is only the oracle's own rounding: neurons of up to 6, each a sum of 48 products in float32, so about
        // sqrt(48) * 2^-24 * 6 / 2 = 1.2e-6 (8.4e-7 was measured). In float32 ours comes to it, as kernels sum in orders of their own.
        Assert.Equal(
            expected.Values.ToArray(),
            new NeuronProbe(exact, kind).Baseline(train).Values.ToArray(),
            (a, b) => Math.Abs(a - b) < 1e-6
        );
        Assert.Equal(expected.Values.ToArray(), probe.Baseline(train).Values.ToArray(), (a, b) => Math.Abs(a - b) < 2e-6);

        // float32 activations differ in their last bits from the oracle's, so that one next to its threshold may fall on its other side.
        NeuronValues wanted = NeuronValues.Load(_oracle.Path, name + ".dev", probe.Shape),
            actual = probe.Accuracy(dev, labels, expected);
        double[] flips =
        [
            .. wanted.Values.ToArray().Zip(actual.Values.ToArray(), (a, b) => Math.Abs(a - b) * dev.Length).Where(rows => rows > 1e-9),
        ];
        Assert.True(flips.Length <= 3, $"{flips.Length} accuracies differ");
        Assert.All(flips, rows => Assert.Equal(1, rows, 1e-9));
    }

    [Fact]
    public void LogitsAreTheOracles()
    {
        SetPrompt(_classifier);
        EncodedText[] rows = Rows("dev")[..10];
        var set = NeuronSet.Load(_oracle.Path, "selected.0.1", [3, 96]);
        var means = NeuronValues.Load(_oracle.Path, "acc.baseline");
        CheckLogits("logits.plain", _classifier, rows);
        using (var zero = NeuronPerturbation.Zero(_classifier.Backbone, set))
        {
            using IDisposable added = zero.AddTo(_classifier.Backbone.Hooks);
            CheckLogits("logits.zero", _classifier, rows);
        }

        using (var mean = NeuronPerturbation.Mean(_classifier.Backbone, set, means))
        {
            using IDisposable added = mean.AddTo(_classifier.Backbone.Hooks);
            CheckLogits("logits.mean", _classifier, rows);
        }

        using TextClassifier pruned = NeuronPruning.Prune(_classifier, set, means, lowLayer: 1, fraction: 0.1);
        Assert.Equal([96, 9, 9], pruned.Backbone.Config.FeedForwardSizes);
        CheckLogits("logits.pruned", pruned, rows);
        CheckLogits("logits.plain", _classifier, rows);
    }

    private static TextClassifier Classifier(int size, ScalarType type = ScalarType.Float32)
    {
        var settings = new ClassifierSettings
        {
            Labels = ["no", "yes"],
            Words = ["bad", "good"],
            Tuning = new SoftPromptOptions { Size = size },
        };
        return TextClassifier.Create(Oracles.PathOf("tiny-roberta"), settings, dtype: type);
    }

    private void CheckLogits(string name, TextClassifier classifier, EncodedText[] rows)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable inference = no_grad();
        using TokenBatch batch = classifier.Batch(rows);
        Tensor hidden = classifier.Backbone.EncodeAt(batch);
        Tensor expected = _oracle.Read(name),
            logits = classifier.Backbone.WordScores(hidden, tensor(new long[] { 515, 632 }));
        Assert.True(allclose(expected, logits, 1e-4, 1e-4), name);
    }

    private void SetPrompt(TextClassifier classifier)
    {
        using Tensor prompt = _oracle.Read("prompt");
        using IDisposable inference = no_grad();
        classifier.Backbone.PeftModule!.Parameters["prompt"].copy_(prompt);
    }

    private EncodedText[] Rows(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        long[] ids = _oracle.Read(name + "_rows").data<long>().ToArray(),
            lengths = _oracle.Read(name + "_lengths").data<long>().ToArray();
        int start = 0;
        return
        [
            .. lengths.Select(length =>
            {
                int[] row = [.. ids.Skip(start).Take((int)length).Select(id => (int)id)];
                start += (int)length;
                return new EncodedText(row, null, 0);
            }),
        ];
    }

    private int[] Labels()
    {
        using Tensor labels = _oracle.Read("dev_labels");
        return [.. labels.data<long>().ToArray().Select(label => (int)label)];
    }
}
