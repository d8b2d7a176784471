using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Neurons;
using SkillLoc.Models.Runtime;

namespace SkillLoc.Transforms.Tests;

public sealed class PrecisionTests : IDisposable
{
    private readonly MLContext _ml = new(seed: 1);
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void BFloat16ScoresAreNearAndTravelInSavedModels()
    {
        IDataView rows = Toy.Rows(_ml);
        using TextScoringTransformer scorer = Toy.Scorer();
        scorer.SaveCheckpoint(Path.Join(_folder, "checkpoint"));
        float[][] full = Scores(scorer, rows);
        string fingerprint = scorer.Classifier.Fingerprint();

        scorer.Precision = Precision.BFloat16;
        float[][] half = Scores(scorer, rows);
        Assert.NotEqual(full.Select(row => row[0]), half.Select(row => row[0]));
        Assert.All(full.Zip(half), pair => Assert.Equal(pair.First[0], pair.Second[0], 0.03f));
        Assert.Equal(fingerprint, scorer.Classifier.Fingerprint());

        string zip = Path.Join(_folder, "model.zip");
        _ml.Model.Save(scorer, rows.Schema, zip);
        float[][] loaded = Scores(new MLContext().Model.Load(zip, out _), rows);
        AssertNear(half, loaded);

        scorer.Precision = Precision.Float32;
        Assert.Equal(full, Scores(scorer, rows));
    }

    [Fact]
    public void AGraftKeepsItsPrecision()
    {
        IDataView rows = Toy.Rows(_ml, 12);
        using TextScoringTransformer scorer = Toy.Scorer();
        Graft graft = new()
        {
            BaseFingerprint = scorer.Classifier.Backbone.Fingerprint(),
            Settings = Toy.Settings.ToJson(),
            Parts = [new("roberta.encoder.layer.1.output.dense.bias", [0, 5, 47], [3, -4, 5])],
        };
        using var grafted = GraftTransformer.Create(graft, Oracles.PathOf("tiny-roberta"));
        grafted.Precision = Precision.BFloat16;
        string zip = Path.Join(_folder, "graft.zip");
        _ml.Model.Save(grafted, rows.Schema, zip);
        AssertNear(Scores(grafted, rows), Scores(new MLContext().Model.Load(zip, out _), rows));
    }

    [Fact]
    public void EnginesShareAndDisposalEndsBFloat16Scoring()
    {
        TextScoringTransformer scorer = Toy.Scorer();
        scorer.Precision = Precision.BFloat16;
        IDataView rows = Toy.Rows(_ml, 4);
        float[][] scores = Scores(scorer, rows);
        using (PredictionEngine<Toy.Row, Toy.Scored> engine = _ml.Model.CreatePredictionEngine<Toy.Row, Toy.Scored>(scorer))
        {
            Assert.Equal(scores[2][1], engine.Predict(new Toy.Row { Text = Toy.Texts[2] }).Score[1], 0.02f);
        }

        scorer.Dispose();
        Assert.Throws<ObjectDisposedException>(() => Scores(scorer, rows));
    }

    [Fact]
    public void WhatCannotBeIsRefused()
    {
        using TextScoringTransformer scorer = Toy.Scorer();
        Assert.Throws<ArgumentOutOfRangeException>(() => scorer.Precision = (Precision)7);
        using NeuronPerturbationTransformer perturbed = _ml.SkillLoc()
            .Neurons.PerturbNeurons(scorer, new NeuronSet(new bool[3 * 96], 3, 96), PerturbationKind.Zero);
        Assert.Throws<NotSupportedException>(() => perturbed.Precision = Precision.BFloat16);
        Assert.Equal(Precision.Float32, perturbed.Precision);
    }

    private static float[][] Scores(ITransformer model, IDataView rows) => [.. model.Transform(rows).GetColumn<float[]>("Score")];

    /// <summary>Row by row and in batches, which round alike in float32 only.</summary>
    private static void AssertNear(float[][] expected, float[][] actual) =>
        Assert.All(expected.Zip(actual), pair => Assert.Equal(pair.First[0], pair.Second[0], 0.02f));
}
