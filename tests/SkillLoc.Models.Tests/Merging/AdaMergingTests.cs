using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Merging;
using SkillLoc.Models.Prompts;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Merging;

/// <summary>Weights that lessen the entropy of predictions.</summary>
public sealed class AdaMergingTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    private static string Base => Oracles.PathOf("tiny-roberta");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void TheEntropyFallsAndTheRecipeHasTheWeights()
    {
        // Two models that differ from the base in some direction each, and the base's tokenizer.
        string one = Moved("one", 1),
            other = Moved("other", 2);
        using TextClassifier first = Classifier(one),
            second = Classifier(other);
        float[] before = Values(first);
        AdaMergingTask[] tasks = [Task(one, first), Task(other, second)];
        AdaMergingResult found = AdaMerging.Run(Base, tasks, new() { Steps = 30, LearningRate = 0.05 });
        Assert.Equal(30, found.Entropies.Count);
        Assert.True(found.Entropies[^1] < found.Entropies[0] - 0.01, $"{found.Entropies[0]} to {found.Entropies[^1]}");
        Assert.Equal(before, Values(first));

        // The merged folder has the entropy that the next step would have begun with.
        string merged = Path.Join(_folder, "merged");
        ModelMerge.Run(found.Recipe, merged);
        AdaMergingResult one_more = AdaMerging.Run(Base, tasks, new() { Steps = 31, LearningRate = 0.05 });
        using TextClassifier result = Classifier(merged);
        Assert.Equal(one_more.Entropies[^1], Entropy(result), 1e-4);

        // The first step goes against the sign of the slope.
        double weight = Weight(AdaMerging.Run(Base, tasks, new() { Steps = 1, LearningRate = 0.01 }));
        double slope = EntropyAt(0.31) - EntropyAt(0.29);
        Assert.Equal(-0.01 * Math.Sign(slope), weight - 0.3, 1e-6);

        double EntropyAt(double value)
        {
            MergeRecipe recipe = AdaMerging.Run(Base, tasks, new() { Steps = 0 }).Recipe;
            recipe = recipe with
            {
                Models =
                [
                    recipe.Models[0] with
                    {
                        Parameters = new Dictionary<string, MergeSetting>
                        {
                            ["weight"] = MergeSetting.ByName(new("encoder.layer.0.", value), new(null, 0.3)),
                        },
                    },
                    recipe.Models[1],
                ],
            };
            string place = Path.Join(_folder, "tried");
            ModelMerge.Run(recipe, place);
            using TextClassifier classifier = Classifier(place);
            return Entropy(classifier);
        }

        double Entropy(TextClassifier classifier)
        {
            using DisposeScope scope = NewDisposeScope();
            using TokenBatch batch = classifier.Batch([.. Rows(classifier)]);
            Tensor logs = nn.functional.log_softmax(classifier.Logits(batch), -1);
            return -(logs.exp() * logs).sum(-1).mean().item<float>();
        }
    }

    [Fact]
    public void TasksAreChecked()
    {
        Assert.Throws<ArgumentException>(() => AdaMerging.Run(Base, []));
        using TextClassifier classifier = Classifier(Moved("one", 1));
        Assert.Contains(
            "rows",
            Assert.Throws<ArgumentException>(() => AdaMerging.Run(Base, [new("one", classifier, [])])).Message,
            StringComparison.Ordinal
        );
        Assert.Throws<ArgumentException>(() => AdaMerging.Run(Oracles.PathOf("tiny-bert"), [Task("one", classifier)]));
    }

    private static double Weight(AdaMergingResult found) =>
        found.Recipe.Models[0].Parameters["weight"].For("roberta.encoder.layer.0.output.dense.weight", 0)!.Value.Number;

    private static AdaMergingTask Task(string folder, TextClassifier classifier) => new(folder, classifier, [.. Rows(classifier)]);

    private static IEnumerable<EncodedText> Rows(TextClassifier classifier) =>
        new[] { "a good day", "this was very bad", "the film was long", "it was" }.Select(text => classifier.Encode(text));

    private static float[] Values(TextClassifier classifier) =>
        classifier.Backbone.Parameters["roberta.encoder.layer.1.output.dense.weight"].detach().view(-1).data<float>().ToArray();

    private static TextClassifier Classifier(string folder) =>
        TextClassifier.Create(
            folder,
            new()
            {
                Labels = ["neg", "pos"],
                Words = ["bad", "good"],
                Template = "*cls**sent_0**mask**sep+*",
            }
        );

    private string Moved(string name, ulong seed)
    {
        using DisposeScope scope = NewDisposeScope();
        using var generator = new Generator(seed);
        using var checkpoint = CheckpointFolder.Open(Base);
        string folder = Path.Join(_folder, name);
        CheckpointFolder.Save(
            folder,
            checkpoint.Config,
            [
                .. checkpoint
                    .Weights.ReadAll()
                    .Select(pair =>
                        (
                            pair.Item1,
                            pair.Item1.Contains("encoder.layer", StringComparison.Ordinal)
                                ? pair.Item2 + (0.3 * randn(pair.Item2.shape, generator: generator))
                                : pair.Item2
                        )
                    ),
            ],
            checkpoint.TokenizerFiles
        );
        return folder;
    }
}
