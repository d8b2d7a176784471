using System.Text.Json.Nodes;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Generation;
using SkillLoc.Models.Neurons;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tokenization;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using TemporaryFolder = SkillLoc.Models.Tests.Checkpoints.TemporaryFolder;

namespace SkillLoc.Models.Tests.Classification;

/// <summary>T5 as a classifier: labels scored by their answers, free text, and the losses that both are trained by (methods, C.1,
/// C.2).</summary>
public sealed class AnsweringClassifierTests
{
    private const int End = 1;

    // To the pieces of spiece.model the extra ids are added, the first of them last.
    private const int Sentinel = 799;
    private static readonly CheckpointTokenizer T5 = CheckpointTokenizer.Load(Oracles.PathOf("tiny-t5"));
    private static readonly TextToTextTask Task = new("toy", TextMetric.Accuracy);
    private static readonly string[] Texts =
    [
        "a film that nobody needs",
        "bad",
        "premise: they were early [SEP] hypothesis: nobody was late at all",
        "it was",
        "good",
    ];

    private static readonly ClassifierSettings Closed = new()
    {
        Head = HeadKind.Generation,
        TextToText = Task,
        Labels = ["entailment", "neutral", "contradiction"],
    };

    private static readonly ClassifierSettings Open = Closed with { Labels = [] };

    public static TheoryData<string> Checkpoints => ["tiny-t5", "tiny-t5-v11"];

    [Theory]
    [MemberData(nameof(Checkpoints))]
    public void ScoresAreTheModelsProbabilitiesAmongTheAnswers(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        using var classifier = TextClassifier.Create(Oracles.PathOf(name), Closed);
        using IDisposable inference = no_grad();
        float[][] scores = classifier.Score([.. Texts.Select(text => classifier.Encode(text))]);
        for (int row = 0; row < Texts.Length; row++)
        {
            double[] wanted = [.. Closed.Labels.Select(label => LogLikelihood(classifier, name, Texts[row], label))];
            double sum = wanted.Sum(value => Math.Exp(value - wanted.Max()));
            Assert.All(wanted.Zip(scores[row]), pair => Assert.Equal(Math.Exp(pair.First - wanted.Max()) / sum, pair.Second, 1e-4));
        }

        // Otherwise the answers' lengths alone would decide.
        Assert.True(scores.Select(row => row[0]).Distinct().Count() == Texts.Length);
    }

    [Fact]
    public void AnswersAreToldApartByTheirFirstTokensWhereTheseDiffer()
    {
        // The shorter answer ends where the longer one goes on, and two of the last three begin alike but unlike the third.
        Assert.NotEqual(Scores("good", "good bad").Whole, Scores("good", "good bad").First);
        (float[][] first, float[][] whole) = Scores("good bad", "good good", "bad");
        Assert.Equal(whole, first);

        static (float[][] First, float[][] Whole) Scores(params string[] answers)
        {
            using var classifier = TextClassifier.Create(Oracles.PathOf("tiny-t5"), Closed with { Labels = answers });
            EncodedText[] rows = [.. Texts.Select(text => classifier.Encode(text))];
            float[][] first = classifier.ScoreAnswerTokens(rows);
            Assert.All(first, row => Assert.Equal(1, row.Sum(), 1e-5));
            return (first, classifier.Score(rows));
        }
    }

    [Fact]
    public void RowsAreAsLongAsTheTaskSays()
    {
        string text = string.Concat(Enumerable.Repeat("a film ", 1000));
        using var usual = TextClassifier.Create(Oracles.PathOf("tiny-t5"), Open);
        Assert.Equal(TextToTextTask.DefaultMaxInputLength, usual.Encode(text).Ids.Length);
        using var narrow = TextClassifier.Create(Oracles.PathOf("tiny-t5"), Open with { TextToText = Task with { MaxInputLength = 20 } });
        Assert.Equal(20, narrow.Encode(text).Ids.Length);
        Assert.Equal(20, ClassifierSettings.FromJson(narrow.Settings.ToJson(), "here").MaxLength);
    }

    [Fact]
    public void WordsReplaceTheLabelsAsAnswers()
    {
        using DisposeScope scope = NewDisposeScope();
        using var classifier = TextClassifier.Create(Oracles.PathOf("tiny-t5"), Closed with { Words = ["a", "b", "c"] });
        using TokenBatch batch = classifier.Batch([classifier.Encode(Texts[0])]);
        using IDisposable inference = no_grad();
        float[] logits = classifier.Logits(batch).data<float>().ToArray();
        Assert.All(
            new[] { "a", "b", "c" }.Zip(logits),
            pair => Assert.Equal(LogLikelihood(classifier, "tiny-t5", Texts[0], pair.First), pair.Second, 1e-4)
        );
    }

    [Fact]
    public void TextsAndAnswersAreEncodedAsTheReferenceDoes()
    {
        using var classifier = TextClassifier.Create(Oracles.PathOf("tiny-t5"), Closed with { MaxLength = 12 });
        Assert.Equal([.. T5.Encode(" [toy] bad"), End], classifier.Encode("bad").Ids);
        Assert.Equal(classifier.Encode("bad film").Ids, classifier.Encode("bad", "film").Ids);
        Assert.Equal([Sentinel, .. T5.Encode("neutral"), End], classifier.EncodeAnswer("neutral"));

        int[] whole = T5.Encode(" [toy] " + Texts[2]),
            cut = classifier.Encode(Texts[2]).Ids;
        Assert.Equal([.. whole[..11], End], cut);
        var head = new TextToTextEncoder(Task, T5, 12) { Truncation = Truncation.Head };
        Assert.Equal([.. whole[^11..], End], head.Encode(Texts[2], null).Ids);

        var brief = new TextToTextEncoder(Task with { MaxOutputLength = 4, Lowercase = true }, T5, 12);
        Assert.Equal([Sentinel, .. T5.Encode("contradiction")[..2], End], brief.EncodeAnswer("Contradiction"));
        Assert.Equal([.. T5.Encode(" [toy] bad"), End], brief.Encode("BAD", null).Ids);
    }

    [Fact]
    public void SpecialTokensInTextsAndAnswersAreText()
    {
        using var classifier = TextClassifier.Create(Oracles.PathOf("tiny-t5"), Open);
        foreach (int[] ids in new[] { classifier.Encode("</s> <extra_id_0> <pad>").Ids, classifier.EncodeAnswer("</s><extra_id_0>")[1..] })
        {
            Assert.Equal(End, ids[^1]);
            Assert.All(ids[..^1], id => Assert.True(id is not (0 or End or Sentinel), $"{id}"));
        }
    }

    [Theory]
    [MemberData(nameof(Checkpoints))]
    public void LossesOfRowsMakeTheLossOfTransformers(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        using var classifier = TextClassifier.Create(Oracles.PathOf(name), Open);
        using var expected = SafetensorsFile.Open(Oracles.PathOf(name, "expected.safetensors"));
        int[][] Rows(string tensor, int fill) =>
            [
                .. expected
                    .Read(tensor)
                    .data<long>()
                    .ToArray()
                    .Chunk((int)expected.Read(tensor).size(1))
                    .Select(row => row.Select(id => (int)id).Where(id => id != fill).ToArray()),
            ];
        int[][] answers = Rows("labels", T5ForConditionalGeneration.Ignored);
        EncodedText[] texts = [.. Rows("input_ids", 0).Select(ids => new EncodedText(ids, null, 0))];
        Assert.True(answers.Select(answer => answer.Length).Distinct().Count() > 1);

        ScoringBatch[] batches = [.. classifier.Batches(texts)];
        float[] losses = classifier.Losses(batches, answers);
        double mean = losses.Zip(answers, (loss, answer) => (double)loss * answer.Length).Sum() / answers.Sum(answer => answer.Length);
        Assert.Equal(expected.Read("loss").item<float>(), mean, 1e-4);
        using IDisposable inference = no_grad();
        for (int row = 0; row < texts.Length; row++)
        {
            using TokenBatch alone = classifier.Batch([texts[row]]);
            Assert.Equal(losses[row], classifier.AnswerLosses(alone, [answers[row]]).item<float>(), 1e-4);
        }

        Says(
            Assert.Throws<ArgumentException>(() => classifier.Losses(batches, answers[1..])),
            $"{texts.Length} rows",
            $"{answers.Length - 1} answers"
        );
        Says(Assert.Throws<ArgumentException>(() => classifier.Losses(batches, [.. answers, answers[0]])), $"{answers.Length + 1} answers");
        Array.ForEach(batches, batch => batch.Dispose());
    }

    [Fact]
    public void WhatIsGeneratedIsTheDecodedTextOfTheModel()
    {
        using DisposeScope scope = NewDisposeScope();
        using TemporaryFolder folder = Lively();
        using var classifier = TextClassifier.Create(folder.Path, Open with { TextToText = Task with { MaxOutputLength = 9 } });
        EncodedText[] rows = [.. Texts.Select(text => classifier.Encode(text))];
        string[] written = classifier.Generate(rows);
        var model = (T5ForConditionalGeneration)classifier.Backbone;
        for (int row = 0; row < rows.Length; row++)
        {
            using TokenBatch alone = classifier.Batch([rows[row]]);
            Assert.Equal(T5.Decode(model.Generate(alone, 9)[0]), written[row]);
        }

        Assert.True(written.Distinct().Count() == Texts.Length);
        ScoringBatch[] batches = [.. classifier.Batches(rows)];
        Assert.Equal(written, classifier.Generate(batches));
        Array.ForEach(batches, batch => batch.Dispose());
    }

    [Fact]
    public void ALeadingStartIsNoPartOfTheAnswer()
    {
        var encoder = new TextToTextEncoder(Task with { HasLeadingStart = true }, T5, 32);
        int[] target = encoder.EncodeAnswer("neutral");
        Assert.Equal([.. T5.Encode("<s> "), Sentinel, .. T5.Encode("neutral"), End], target);
        Assert.Equal("neutral", encoder.DecodeAnswer(target[..^1]));
        Assert.Equal("neutral", new TextToTextEncoder(Task, T5, 32).DecodeAnswer([Sentinel, .. T5.Encode("neutral")]));
    }

    [Theory]
    [MemberData(nameof(Checkpoints))]
    public void SavedClassifiersAreT5FoldersAndScoreTheSame(string name)
    {
        using var parent = new TemporaryFolder();
        string folder = Path.Combine(parent.Path, "saved");
        using var classifier = TextClassifier.Create(
            Oracles.PathOf(name),
            Closed with
            {
                Words = ["a", "b", "c"],
                TextToText = Task with { Metric = TextMetric.ClassificationF1, Lowercase = true, MaxOutputLength = 12 },
            }
        );
        EncodedText[] rows = [.. Texts.Select(text => classifier.Encode(text))];
        classifier.Save(folder);
        JsonNode config = JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "config.json")))!;
        Assert.Equal("T5ForConditionalGeneration", (string?)config["architectures"]![0]);
        Assert.Null(config["id2label"]);

        using var loaded = TextClassifier.Load(folder);
        Assert.Equal(classifier.Settings.ToJson(), loaded.Settings.ToJson());
        Assert.Equal(classifier.Settings.TextToText, loaded.Settings.TextToText);
        Assert.Equal(classifier.Fingerprint(), loaded.Fingerprint());
        Assert.Equal(classifier.Score(rows), loaded.Score(rows));
        using LanguageModel plain = LanguageModel.Load(folder),
            start = LanguageModel.Load(Oracles.PathOf(name));
        Assert.Equal(start.Fingerprint(), plain.Fingerprint());
    }

    [Fact]
    public void CopiesAndOtherTasksShareTheModel()
    {
        using var classifier = TextClassifier.Create(Oracles.PathOf("tiny-t5"), Closed);
        EncodedText[] rows = [.. Texts.Select(text => classifier.Encode(text))];
        using TextClassifier copy = classifier.Clone(),
            free = classifier.ForTask(Open with { TextToText = Task with { Name = "other" } });
        Assert.Equal(classifier.Score(rows), copy.Score(rows));
        Assert.Equal([.. T5.Encode(" [other] bad"), End], free.Encode("bad").Ids);
        Assert.Equal(Texts.Length, free.Generate(rows).Length);
        using (no_grad())
        {
            classifier.Backbone.Parameters["shared.weight"].mul_(2);
        }

        Assert.Equal(classifier.Backbone.Fingerprint(), free.Backbone.Fingerprint());
        Assert.NotEqual(classifier.Score(rows), copy.Score(rows));
    }

    [Fact]
    public void NoTensorIsLeftBehind()
    {
        using var classifier = TextClassifier.Create(Oracles.PathOf("tiny-t5"), Closed);
        EncodedText[] rows = [.. Texts.Select(text => classifier.Encode(text))];
        int[][] answers = [.. rows.Select(_ => classifier.EncodeAnswer("neutral"))];
        ScoringBatch[] batches = [.. classifier.Batches(rows)];
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        classifier.Score(rows);
        classifier.Generate(rows);
        classifier.Losses(batches, answers);
        classifier.Clone().Dispose();
        classifier.ForTask(Open).Dispose();
        Assert.Throws<ArgumentException>(() => classifier.ForTask(Closed with { Words = ["a", "a", "b"] }));
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
        Array.ForEach(batches, batch => batch.Dispose());
    }

    [Fact]
    public void NeuronsAreTheEncoders()
    {
        // Without its neurons a feed-forward layer gives what it gives without its output weights.
        using TextClassifier classifier = TextClassifier.Create(Oracles.PathOf("tiny-t5"), Closed),
            without = classifier.Clone();
        EncodedText[] rows = [.. Texts.Select(text => classifier.Encode(text))];
        float[][] whole = classifier.Score(rows);
        ModelConfig config = classifier.Backbone.Config;
        var all = new NeuronSet(
            [.. Enumerable.Repeat(true, config.Layers * config.FeedForwardSize)],
            config.Layers,
            config.FeedForwardSize
        );
        using (no_grad())
        {
            foreach ((string name, Parameter? value) in without.Backbone.Parameters)
            {
                if (name.StartsWith("encoder.", StringComparison.Ordinal) && name.EndsWith(".wo.weight", StringComparison.Ordinal))
                {
                    value.zero_();
                }
            }
        }

        using var zero = NeuronPerturbation.Zero(classifier.Backbone, all);
        zero.AddTo(classifier.Backbone.Hooks);
        float[][] silenced = classifier.Score(rows);
        Assert.All(
            silenced.Zip(without.Score(rows)),
            pair => Assert.All(pair.First.Zip(pair.Second), both => Assert.Equal(both.First, both.Second, 1e-5f))
        );
        Assert.NotEqual(whole, silenced);
        var means = new NeuronValues(new double[config.Layers * config.FeedForwardSize], config.Layers, config.FeedForwardSize);
        Says(Assert.Throws<NotSupportedException>(() => NeuronPruning.Prune(classifier, all, means)), "T5");
    }

    [Fact]
    public void FreeTextHasNoScores()
    {
        using var classifier = TextClassifier.Create(Oracles.PathOf("tiny-t5"), Open);
        Says(Assert.Throws<InvalidOperationException>(() => classifier.Score([classifier.Encode("bad")])), "free text", "Generate");
        using var roberta = TextClassifier.Create(
            Oracles.PathOf("tiny-roberta"),
            new() { Head = HeadKind.FirstTokenLinear, Labels = ["x", "y"] }
        );
        Says(Assert.Throws<InvalidOperationException>(() => roberta.Generate([roberta.Encode("bad")])), "no answers", "FirstTokenLinear");
        Says(Assert.Throws<InvalidOperationException>(() => roberta.EncodeAnswer("bad")), "no answers");
    }

    [Fact]
    public void WhatDoesNotFitIsRefused()
    {
        foreach (HeadKind head in Enum.GetValues<HeadKind>().Except([HeadKind.Generation]))
        {
            Says(
                Refused(
                    "tiny-t5",
                    new()
                    {
                        Head = head,
                        Labels = ["x", "y"],
                        Words = ["a", "b"],
                    }
                ),
                $"{head}",
                "T5",
                "Generation"
            );
        }

        Says(Refused("tiny-roberta", Closed), "Generation", "roberta", "T5");
        Says(Refused("tiny-gpt2", Closed), "Generation", "gpt2", "T5");
        Says(Refused("tiny-t5", Closed with { TextToText = null }), "TextToText", "Generation");
        Says(
            Refused(
                "tiny-roberta",
                new()
                {
                    Labels = ["x", "y"],
                    Words = ["a", "b"],
                    TextToText = Task,
                }
            ),
            "TextToText",
            "LabelWords"
        );
        Says(Refused("tiny-t5", Closed with { Words = ["a", "b"] }), "3 labels", "2 answers");
        Says(Refused("tiny-t5", Closed with { Words = ["a", "b", "a"] }), "'entailment' and 'contradiction'", "'a' and 'a'");
        Says(Refused("tiny-t5", Closed with { TextToText = Task with { MaxOutputLength = 2 } }), "MaxOutputLength", "2");

        static ArgumentException Refused(string checkpoint, ClassifierSettings settings) =>
            Assert.Throws<ArgumentException>(() => TextClassifier.Create(Oracles.PathOf(checkpoint), settings).Dispose());
    }

    [Fact]
    public void AVocabularyWithoutSentinelsIsRefused()
    {
        var roberta = CheckpointTokenizer.Load(Oracles.PathOf("tiny-roberta"));
        Says(Assert.Throws<ArgumentException>(() => new TextToTextEncoder(Task, roberta, 32)), "<extra_id_0>");
    }

    /// <summary>The log-likelihood of an answer by the model's plain logits, of one row alone.</summary>
    private static double LogLikelihood(TextClassifier classifier, string name, string text, string answer)
    {
        using DisposeScope scope = NewDisposeScope();
        var tokenizer = CheckpointTokenizer.Load(Oracles.PathOf(name));
        var model = (T5ForConditionalGeneration)classifier.Backbone;
        int[] target = [tokenizer.TokenId("<extra_id_0>")!.Value, .. tokenizer.Encode(answer), End];
        using var batch = TokenBatch.Create([new([.. tokenizer.Encode($" [toy] {text}"), End], null, 0)], 0);
        long[] read = [0, .. target[..^1].Select(id => (long)id)];
        Tensor logs = nn.functional.log_softmax(model.Logits(batch, tensor(read, 1, read.Length)), -1);
        return target.Select((id, step) => logs[0, step, id].ToDouble()).Sum();
    }

    /// <summary>A checkpoint of a random model whose next token depends on its text and on what it has written.</summary>
    private static TemporaryFolder Lively()
    {
        var folder = new TemporaryFolder();
        ModelConfig config = ModelConfig
            .Load(Oracles.PathOf("tiny-t5", "config.json"))
            .With("tie_word_embeddings", false)
            .With("scale_decoder_outputs", null);
        using var model = LanguageModel.Create(config, 1);
        CheckpointFolder.Save(folder.Path, config, model.Parameters.Select(pair => (pair.Key, (Tensor)pair.Value)), T5.Files);
        return folder;
    }

    private static void Says(Exception error, params string[] parts) =>
        Assert.All(parts, part => Assert.Contains(part, error.Message, StringComparison.Ordinal));
}
