using System.Text.Json.Nodes;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tests.Tokenization;
using SkillLoc.Models.Tokenization;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using TemporaryFolder = SkillLoc.Models.Tests.Checkpoints.TemporaryFolder;

namespace SkillLoc.Models.Tests.Classification;

/// <summary>GPT-2 as a classifier: options scored by their first token or as a whole, and the head on the last token.</summary>
public sealed class CausalClassifierTests
{
    private static readonly string Folder = OracleFolders.Of("tiny-gpt2");
    private static readonly CheckpointTokenizer Gpt2 = CheckpointTokenizer.Load(Folder);
    private static readonly string[] Texts = ["a good film", "bad", "this movie was not very interesting to watch"];

    private static readonly ClassifierSettings FirstTokens = new()
    {
        AutoregressiveTemplate = "\"{0}\" was",
        Labels = ["neg", "pos"],
        Words = [" bad", " good"],
    };

    private static readonly ClassifierSettings Colliding = FirstTokens with
    {
        Labels = ["a", "b", "c"],
        Words = [" a description.", " a film", " an entity"],
    };

    [Fact]
    public void FirstTokensAreScoredAfterTheText()
    {
        using DisposeScope scope = NewDisposeScope();
        using var classifier = TextClassifier.Create(Folder, FirstTokens);
        using TokenBatch batch = classifier.Batch([.. Texts.Select(text => classifier.Encode(text))]);
        using IDisposable inference = no_grad();
        Tensor logits = classifier.Logits(batch);
        Assert.Equal([3, 2], logits.shape);
        for (int row = 0; row < 3; row++)
        {
            double[] wanted = NextLogits(classifier, Gpt2.Encode($"\"{Texts[row]}\" was"))[^1];
            Assert.Equal(wanted[Gpt2.TokenId("Ġbad")!.Value], logits[row, 0].ToDouble(), 1e-4);
            Assert.Equal(wanted[Gpt2.TokenId("Ġgood")!.Value], logits[row, 1].ToDouble(), 1e-4);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void CollidingOptionsAreScoredByTheirMeanLogLikelihood(bool asked)
    {
        using DisposeScope scope = NewDisposeScope();
        ClassifierSettings settings = asked ? FirstTokens with { OptionScoring = OptionScoring.WholeOption } : Colliding;
        using var classifier = TextClassifier.Create(Folder, settings);
        EncodedText[] rows = [.. Texts.Select(text => classifier.Encode(text))];
        using TokenBatch batch = classifier.Batch(rows);
        using IDisposable inference = no_grad();
        Tensor scores = classifier.Logits(batch);
        float[][] probabilities = classifier.Score(rows);
        Assert.Equal([3, settings.Labels.Count], scores.shape);
        for (int row = 0; row < rows.Length; row++)
        {
            double[] wanted = [.. settings.Words!.Select(option => MeanLogLikelihood(classifier, Texts[row], option))];
            double sum = wanted.Sum(Math.Exp);
            for (int label = 0; label < wanted.Length; label++)
            {
                Assert.Equal(wanted[label], scores[row, label].ToDouble(), 1e-4);
                Assert.Equal(Math.Exp(wanted[label]) / sum, probabilities[row][label], 1e-5);
            }
        }

        Assert.All(rows, row => Assert.True(classifier.TokensOf(row) >= settings.Labels.Count * row.Ids.Length));
    }

    [Fact]
    public void WholeOptionsTrain()
    {
        // Every gradient equals that of the same loss, written with one plain pass per row and option.
        using DisposeScope scope = NewDisposeScope();
        using TextClassifier classifier = TextClassifier.Create(Folder, Colliding),
            plain = TextClassifier.Create(Folder, Colliding);
        Tensor labels = tensor(new long[] { 2, 0, 1 });
        foreach (Parameter? parameter in classifier.Backbone.Parameters.Values.Concat(plain.Backbone.Parameters.Values))
        {
            parameter.requires_grad_(true);
        }

        using TokenBatch batch = classifier.Batch([.. Texts.Select(text => classifier.Encode(text))]);
        nn.functional.cross_entropy(classifier.Logits(batch, training: false), labels).backward();

        Tensor scores = stack([
            .. Texts.Select(text =>
                stack([
                    .. Colliding.Words!.Select(option =>
                    {
                        int[] input = Gpt2.Encode($"\"{text}\" was"),
                            tokens = Gpt2.Encode(option);
                        using var one = TokenBatch.Create([new([.. input, .. tokens], null, 0)], 0);
                        Tensor all = nn.functional.log_softmax(plain.Backbone.WordScores(plain.Backbone.Encode(one)), -1)[0];
                        return stack([.. tokens.Select((token, i) => all[input.Length - 1 + i, token])]).mean();
                    }),
                ])
            ),
        ]);
        nn.functional.cross_entropy(scores, labels).backward();
        foreach ((string name, Parameter? value) in plain.Backbone.Parameters)
        {
            Tensor wanted = value.grad!,
                actual = classifier.Backbone.Parameters[name].grad!;
            Assert.True((wanted - actual).norm().ToDouble() <= 1e-4 * wanted.norm().ToDouble(), name);
        }
    }

    [Fact]
    public void FirstTokensThatCollideAreRefused()
    {
        ArgumentException error = Assert.Throws<ArgumentException>(() =>
            TextClassifier.Create(Folder, Colliding with { OptionScoring = OptionScoring.FirstToken })
        );
        Assert.Contains("' a description.', ' a film'", error.Message, StringComparison.Ordinal);
        Assert.Contains("'Ġa'", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("entity", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void TheLongestOptionHasRoomAfterTheText()
    {
        string text = string.Concat(Enumerable.Repeat("film ", 300));
        int longest = Gpt2.Encode(" a description.").Length;
        using var classifier = TextClassifier.Create(Folder, Colliding with { MaxLength = 40 });
        EncodedText row = classifier.Encode(text);
        Assert.Equal(40 - longest, row.Ids.Length);
        using TokenBatch batch = classifier.Batch([row]);
        Assert.Equal([3, 40], batch.Ids.shape);

        // The model has 128 positions.
        using var full = TextClassifier.Create(Folder, Colliding with { MaxLength = 1000 });
        Assert.Equal(128 - longest, full.Encode(text).Ids.Length);
        Assert.Equal(1, full.Score([full.Encode(text)])[0].Sum(), 1e-5);
        Assert.Throws<ArgumentException>(() => TextClassifier.Create(Folder, Colliding with { MaxLength = longest }));
    }

    [Fact]
    public void TheSequenceClassificationHeadReadsTheLastToken()
    {
        using DisposeScope scope = NewDisposeScope();
        using var saved = new TemporaryFolder();
        ClassifierSettings settings = new()
        {
            Head = HeadKind.SequenceClassification,
            Labels = ["x", "y", "z"],
            HasTextPair = true,
        };
        using var classifier = TextClassifier.Create(Folder, settings, seed: 4);
        Assert.Equal(["score.weight"], classifier.Head.Parameters.Keys);
        EncodedText[] rows = [classifier.Encode("one", "two films"), classifier.Encode("bad", "")];
        using TokenBatch batch = classifier.Batch(rows);
        using IDisposable inference = no_grad();
        Tensor logits = classifier.Logits(batch);
        for (int row = 0; row < 2; row++)
        {
            using var alone = TokenBatch.Create([rows[row]], 0);
            Tensor last = classifier.Backbone.Encode(alone)[0, rows[row].Ids.Length - 1];
            Assert.True(allclose(classifier.Head.Parameters["score.weight"].matmul(last), logits[row], 1e-4, 1e-5));
        }

        classifier.Save(saved.PathOf("c"));
        using (var files = CheckpointFolder.Open(saved.PathOf("c")))
        {
            Assert.Equal(["GPT2ForSequenceClassification"], files.Config.Architectures);
            Assert.Equal(["x", "y", "z"], files.Config.Labels);
            Assert.Equal(Gpt2.PadId, files.Config.PadTokenId);
            Assert.Contains(files.Weights.Tensors, info => info.Name == "score.weight" && info.Shape.SequenceEqual([3L, 48L]));
        }

        using var loaded = TextClassifier.Load(saved.PathOf("c"));
        Assert.Equal(classifier.Fingerprint(), loaded.Fingerprint());
        Assert.Equal(classifier.Score(rows), loaded.Score([loaded.Encode("one", "two films"), loaded.Encode("bad", "")]));
    }

    [Theory]
    [InlineData(HeadKind.FirstTokenLinear)]
    [InlineData(HeadKind.MaskTokenLinear)]
    public void OtherHeadsAreRefused(HeadKind head)
    {
        ArgumentException error = Assert.Throws<ArgumentException>(() => TextClassifier.Create(Folder, FirstTokens with { Head = head }));
        Assert.Contains(head.ToString(), error.Message, StringComparison.Ordinal);
        Assert.Contains("causal", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void PromptsOfTheOtherKindAreRefused()
    {
        ArgumentException error = Assert.Throws<ArgumentException>(() =>
            TextClassifier.Create(
                Folder,
                new()
                {
                    Template = "*cls**sent_0**mask**sep+*",
                    Labels = ["a", "b"],
                    Words = ["bad", "good"],
                }
            )
        );
        Assert.Contains(nameof(ClassifierSettings.AutoregressiveTemplate), error.Message, StringComparison.Ordinal);
        error = Assert.Throws<ArgumentException>(() => TextClassifier.Create(Oracles.PathOf("tiny-roberta"), FirstTokens));
        Assert.Contains("roberta", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void ASavedClassifierScoresTheSame(bool whole)
    {
        using var saved = new TemporaryFolder();
        ClassifierSettings settings = whole ? Colliding : FirstTokens with { OptionScoring = OptionScoring.FirstToken };
        using var classifier = TextClassifier.Create(Folder, settings);
        using TextClassifier clone = classifier.Clone();
        classifier.Save(saved.PathOf("c"));
        JsonNode json = JsonNode.Parse(File.ReadAllText(saved.PathOf(Path.Combine("c", "skillloc.json"))))!;
        Assert.Equal("\"{0}\" was", (string?)json["autoregressive_template"]);
        Assert.Equal(whole ? "auto" : "first_token", (string?)json["option_scoring"]);
        using var loaded = TextClassifier.Load(saved.PathOf("c"));
        using var files = CheckpointFolder.Open(saved.PathOf("c"));
        Assert.Equal(["GPT2LMHeadModel"], files.Config.Architectures);
        Assert.True(File.Exists(saved.PathOf(Path.Combine("c", "merges.txt"))));
        EncodedText[] rows = [.. Texts.Select(text => loaded.Encode(text))];
        Assert.Equal(classifier.Score(rows), loaded.Score(rows));
        Assert.Equal(classifier.Score(rows), clone.Score(rows));
    }

    [Fact]
    public void NothingStaysAlive()
    {
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        foreach (ClassifierSettings settings in new[] { FirstTokens, Colliding })
        {
            using TextClassifier classifier = TextClassifier.Create(Folder, settings),
                clone = classifier.Clone();
            long loaded = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
            _ = classifier.Score([.. Texts.Select(text => classifier.Encode(text))]);
            _ = clone.Score([clone.Encode("film")]);
            Assert.Equal(loaded, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
        }

        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    private static double MeanLogLikelihood(TextClassifier classifier, string text, string option)
    {
        int[] input = Gpt2.Encode($"\"{text}\" was"),
            tokens = Gpt2.Encode(option);
        double[][] logits = NextLogits(classifier, [.. input, .. tokens]);
        return tokens
            .Select(
                (token, i) =>
                {
                    double[] row = logits[input.Length - 1 + i];
                    double largest = row.Max();
                    return row[token] - largest - Math.Log(row.Sum(logit => Math.Exp(logit - largest)));
                }
            )
            .Average();
    }

    /// <summary>Logits of the whole vocabulary at every position, of one sequence alone.</summary>
    private static double[][] NextLogits(TextClassifier classifier, int[] ids)
    {
        using DisposeScope scope = NewDisposeScope();
        using var one = TokenBatch.Create([new(ids, null, 0)], 0);
        Tensor logits = classifier.Backbone.WordScores(classifier.Backbone.Encode(one)[0]);
        return [.. logits.data<float>().ToArray().Chunk((int)logits.size(1)).Select(row => Array.ConvertAll(row, value => (double)value))];
    }
}
