using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Generation;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tokenization;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Transforms.Tests;

/// <summary>Transformers of a model that writes its answers: their columns, what is computed for them, and saved models.</summary>
public sealed class WrittenTextTests : IDisposable
{
    private static readonly ClassifierSettings Closed = new()
    {
        Head = HeadKind.Generation,
        TextToText = new("toy", TextMetric.Accuracy) { MaxOutputLength = 8 },
        Labels = ["neg", "pos", "PredictedText"],
        Words = ["bad", "good", "neutral"],
    };

    private static readonly ClassifierSettings Open = Closed with { Labels = [], Words = null };

    private readonly MLContext _ml = new(seed: 1);
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;
    private readonly string _checkpoint;

    public WrittenTextTests()
    {
        // A random model whose next token depends on its text and on what it has written; the oracle's writes one token over and over.
        _checkpoint = Path.Join(_folder, "lively");
        ModelConfig config = ModelConfig
            .Load(Oracles.PathOf("tiny-t5", "config.json"))
            .With("tie_word_embeddings", false)
            .With("scale_decoder_outputs", null);
        using var model = LanguageModel.Create(config, 1);
        CheckpointFolder.Save(
            _checkpoint,
            config,
            model.Parameters.Select(pair => (pair.Key, (Tensor)pair.Value)),
            CheckpointTokenizer.Load(Oracles.PathOf("tiny-t5")).Files
        );
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void LabelsAreScoredAndTextIsWritten()
    {
        using TextScoringTransformer scorer = Scorer(Closed);
        IDataView scored = scorer.Transform(Toy.Rows(_ml));
        EncodedTexts(scorer, out float[][] scores, out string[] texts);
        Assert.Equal(texts, scored.GetColumn<string>("PredictedText"));
        Assert.All(
            scores.Zip(scored.GetColumn<float[]>("Score")),
            pair => Assert.All(pair.First.Zip(pair.Second), both => Assert.Equal(both.First, both.Second, 1e-4f))
        );
        Assert.Equal(scores.Select(row => (uint)Array.IndexOf(row, row.Max()) + 1), scored.GetColumn<uint>("PredictedLabel"));
        Assert.True(texts.Distinct().Count() > 3, "The texts should differ.");
        Assert.Equal(TextDataViewType.Instance, scored.Schema["PredictedText"].Type);
    }

    [Fact]
    public void FreeTextIsTheOnlyColumn()
    {
        using TextScoringTransformer scorer = Scorer(Open, new() { PredictedText = "Answer" });
        IDataView scored = scorer.Transform(Toy.Rows(_ml));
        EncodedTexts(scorer, out _, out string[] texts);
        Assert.Equal(texts, scored.GetColumn<string>("Answer"));
        Assert.Null(scored.Schema.GetColumnOrNull("Score"));
        Assert.Null(scored.Schema.GetColumnOrNull("PredictedLabel"));
        Assert.Empty(scorer.Labels);
    }

    [Fact]
    public void WhatNobodyReadsIsNotComputed()
    {
        // Rows of one length, which make one batch.
        var row = new Toy.Row { Text = Toy.Texts[3], Numbers = [0, 0] };
        using TextScoringTransformer scorer = Scorer(Closed);
        IDataView scored = scorer.Transform(_ml.Data.LoadFromEnumerable(Enumerable.Repeat(row, 4)));
        var passes = new DecoderPasses(scorer.Classifier.Backbone);
        Assert.Equal(4, scored.GetColumn<int>("Id").Count());
        Assert.Equal((0, 0), passes.Take());
        Assert.Equal(4, scored.GetColumn<float[]>("Score").Count());
        Assert.Equal((1, 0), passes.Take());
        Assert.Equal(4, scored.GetColumn<string>("PredictedText").Count());
        (int whole, int steps) = passes.Take();
        Assert.Equal(0, whole);
        Assert.InRange(steps, 2, 8);

        using PredictionEngine<Toy.Row, Toy.Scored> engine = _ml.Model.CreatePredictionEngine<Toy.Row, Toy.Scored>(scorer);
        engine.Predict(row);
        Assert.Equal((1, 0), passes.Take());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void ASavedModelScoresAndWritesTheSame(bool labels)
    {
        string zip = Path.Join(_folder, "model.zip");
        IDataView rows = Toy.Rows(_ml, 20);
        using TextScoringTransformer scorer = Scorer(labels ? Closed : Open);
        scorer.SaveCheckpoint(Path.Join(_folder, "checkpoint"));
        _ml.Model.Save(scorer, rows.Schema, zip);
        IDataView before = scorer.Transform(rows),
            after = new MLContext().Model.Load(zip, out _).Transform(rows);

        Assert.Equal(before.GetColumn<string>("PredictedText"), after.GetColumn<string>("PredictedText"));
        Assert.Equal(
            before.Schema.Select(column => column.Name).Order(),
            after.Schema.Where(column => !column.IsHidden).Select(column => column.Name).Order()
        );
        if (labels)
        {
            Assert.All(
                before.GetColumn<float[]>("Score").Zip(after.GetColumn<float[]>("Score")),
                pair => Assert.All(pair.First.Zip(pair.Second), both => Assert.Equal(both.First, both.Second, 1e-4f))
            );
            Assert.Equal(before.GetColumn<uint>("PredictedLabel"), after.GetColumn<uint>("PredictedLabel"));
            Assert.Equal(3, ((VectorDataViewType)after.Schema["Score"].Type).Size);
        }
    }

    [Fact]
    public void PairsTravelAsOneText()
    {
        string zip = Path.Join(_folder, "pairs.zip");
        IDataView rows = _ml.Transforms.CopyColumns("TextPair", "Text").Fit(Toy.Rows(_ml, 5)).Transform(Toy.Rows(_ml, 5));
        using TextScoringTransformer scorer = Scorer(Open with { HasTextPair = true }, new() { TextPair = "TextPair" });
        scorer.SaveCheckpoint(Path.Join(_folder, "checkpoint"));
        _ml.Model.Save(scorer, rows.Schema, zip);
        string[] wanted = scorer.Classifier.Generate([.. Toy.Texts.Take(5).Select(text => scorer.Classifier.Encode($"{text} {text}"))]);
        Assert.Equal(wanted, scorer.Transform(rows).GetColumn<string>("PredictedText"));
        Assert.Equal(wanted, new MLContext().Model.Load(zip, out _).Transform(rows).GetColumn<string>("PredictedText"));
    }

    private TextScoringTransformer Scorer(ClassifierSettings settings, ScoringColumns? columns = null) =>
        new(TextClassifier.Create(_checkpoint, settings), columns ?? new ScoringColumns());

    private static void EncodedTexts(TextScoringTransformer scorer, out float[][] scores, out string[] texts)
    {
        EncodedText[] rows = Toy.Texts.Select(text => scorer.Classifier.Encode(text)).ToArray();
        scores = scorer.Labels.Count > 0 ? [.. rows.Select(row => scorer.Classifier.Score([row])[0])] : [];
        texts = [.. rows.Select(row => scorer.Classifier.Generate([row])[0])];
    }

    /// <summary>Counts the passes through the decoder's first layer: of whole answers, and of single steps.</summary>
    private sealed class DecoderPasses
    {
        private int _whole;
        private int _steps;

        public DecoderPasses(LanguageModel model) =>
            model.Hooks.Add(
                "decoder.0.mlp.hook_post",
                (activations, context) =>
                {
                    _whole += context.Positions is null ? 1 : 0;
                    _steps += context.Positions is null ? 0 : 1;
                    return null;
                }
            );

        public (int Whole, int Steps) Take()
        {
            (int, int) counted = (_whole, _steps);
            (_whole, _steps) = (0, 0);
            return counted;
        }
    }
}
