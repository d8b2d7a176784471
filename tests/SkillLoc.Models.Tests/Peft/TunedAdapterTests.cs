using SkillLoc.Models.Backbones;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Peft;
using SkillLoc.Models.Tuning;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Peft;

/// <summary>What tuning methods learnt, as adapters and back.</summary>
public sealed class TunedAdapterTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("tiny-roberta", TargetModules.Query | TargetModules.Value)]
    [InlineData("tiny-bert", TargetModules.Key | TargetModules.Up | TargetModules.Down)]
    [InlineData("tiny-gpt2", TargetModules.Query | TargetModules.Value | TargetModules.Down)]
    [InlineData("tiny-gpt2", TargetModules.Key)]
    public void LoraIsReadBack(string folder, TargetModules targets)
    {
        using DisposeScope scope = NewDisposeScope();
        ClassifierSettings settings = new()
        {
            Labels = ["one", "two"],
            Head = HeadKind.SequenceClassification,
            Tuning = new LoraOptions
            {
                Rank = 3,
                Alpha = 5,
                Targets = targets,
            },
        };
        using var classifier = TextClassifier.Create(Oracles.PathOf(folder), settings, seed: 1);
        using (no_grad())
        {
            using var generator = new Generator(3);
            foreach (TorchSharp.Modules.Parameter parameter in classifier.TunedParameters.Values)
            {
                parameter.add_(randn(parameter.shape, generator: generator), 0.1);
            }
        }

        PeftAdapter.Of(classifier, folder).Save(_folder);
        using TextClassifier read = PeftAdapter.Load(_folder).LoadClassifier(Oracles.PathOf(folder), settings with { Tuning = null });
        using TokenBatch batch = classifier.Batch([classifier.Encode("a good day"), classifier.Encode("no")]);
        Tensor error = (classifier.Logits(batch) - read.Logits(batch)).abs().max();
        Assert.True(error.item<float>() < 1e-5, $"{error.item<float>()}");

        // In the weights it is the same.
        string merged = Path.Join(_folder, "merged");
        PeftAdapter.Load(_folder).MergeInto(Oracles.PathOf(folder), merged, settings.Labels);
        using var folded = TextClassifier.Create(merged, settings with { Tuning = null });
        error = (classifier.Logits(batch) - folded.Logits(batch)).abs().max();
        Assert.True(error.item<float>() < 1e-4, $"{error.item<float>()}");
    }

    [Fact]
    public void MethodsWithoutATunerAreRefused()
    {
        using var classifier = TextClassifier.Create(
            Oracles.PathOf("tiny-roberta"),
            new()
            {
                Labels = ["neg", "pos"],
                Words = ["bad", "good"],
                Tuning = new AdapterOptions(),
            }
        );
        Assert.Contains(
            "AdapterOptions",
            Assert.Throws<NotSupportedException>(() => PeftAdapter.Of(classifier, "base")).Message,
            StringComparison.Ordinal
        );
    }
}
