using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Explanations;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Neurons;

namespace SkillLoc.Transforms.Tests.Explanations;

/// <summary>Explanations as columns.</summary>
public sealed class TextExplanationTransformerTests
{
    private const string Up = "roberta.encoder.layer.2.intermediate.dense.bias";
    private readonly MLContext _ml = new(seed: 1);

    [Fact]
    public void ColumnsSayWhatTheRecordsSay()
    {
        using TextScoringTransformer scorer = Toy.Scorer();
        using TextExplanationTransformer explainer = _ml.SkillLoc().ExplainText(scorer, steps: 4);
        IDataView rows = Toy.Rows(_ml, 6);
        IDataView explained = explainer.Transform(rows);
        string[] added = [.. explainer.AddedColumns];
        Assert.Equal(
            [
                "ExplainedLabel",
                "ExplainedLogit",
                "ExplainedBaselineLogit",
                "ExplainedDelta",
                "ExplainedTokens",
                "ExplainedScores",
                "ExplainedSentences",
                "ExplainedStarts",
                "ExplainedLengths",
            ],
            added
        );
        Assert.Equal(rows.Schema.Select(column => column.Name).Concat(added), explained.Schema.Select(column => column.Name));
        IReadOnlyList<TextExplanation> records = explainer.Explain(rows);
        Assert.Equal(records.Select(row => row.Label), explained.GetColumn<string>("ExplainedLabel"));
        Assert.Equal(Floats(records.Select(row => row.Logit)), explained.GetColumn<float>("ExplainedLogit"), Close);
        Assert.Equal(Floats(records.Select(row => row.BaselineLogit)), explained.GetColumn<float>("ExplainedBaselineLogit"), Close);
        float[][] scores = [.. explained.GetColumn<float[]>("ExplainedScores")];
        string[][] tokens = [.. explained.GetColumn<string[]>("ExplainedTokens")];
        int[][] starts = [.. explained.GetColumn<int[]>("ExplainedStarts")],
            lengths = [.. explained.GetColumn<int[]>("ExplainedLengths")];
        for (int i = 0; i < 6; i++)
        {
            Assert.Equal(records[i].Tokens.Select(token => (float)token.Score), scores[i], Close);
            Assert.Equal(records[i].Tokens.Select(token => token.Token), tokens[i]);
            // What is beyond the model's length has no token.
            string covered = string.Concat(starts[i].Zip(lengths[i], (start, length) => Toy.Texts[i].Substring(start, length)));
            Assert.StartsWith(covered, Toy.Texts[i].Replace(" ", "", StringComparison.Ordinal), StringComparison.Ordinal);
            Assert.True(covered.Length > 0);
        }

        // What the scorer predicts is what is explained.
        Assert.Equal(
            scorer.Transform(rows).GetColumn<uint>("PredictedLabel").Select(key => scorer.Labels[(int)key - 1]),
            records.Select(row => row.Label)
        );
        Assert.Equal(2, explainer.Explain(rows, most: 2).Count);
    }

    [Fact]
    public void AnEngineExplainsRowsAndNothingIsSaved()
    {
        TextScoringTransformer scorer = Toy.Scorer();
        using TextExplanationTransformer explainer = _ml.SkillLoc()
            .ExplainText(
                new TextExplanationTransformer.Options
                {
                    Model = scorer,
                    Label = "neg",
                    Method = AttributionMethod.Occlusion,
                    ColumnPrefix = "Why",
                }
            );
        scorer.Dispose();
        using (PredictionEngine<Toy.Row, Why> engine = _ml.Model.CreatePredictionEngine<Toy.Row, Why>(explainer))
        {
            Why why = engine.Predict(new() { Text = "a good film" });
            Assert.Equal("neg", why.WhyLabel);
            Assert.Equal(explainer.Explain(One("a good film"))[0].Tokens.Select(token => (float)token.Score), why.WhyScores, Close);
            Assert.True(float.IsNaN(why.WhyDelta));
        }

        Assert.Throws<NotSupportedException>(() => _ml.Model.Save(explainer, Toy.Rows(_ml).Schema, Stream.Null));
        explainer.Dispose();
        Assert.Throws<ObjectDisposedException>(() => explainer.Transform(Toy.Rows(_ml)));
        Assert.Throws<ObjectDisposedException>(() => explainer.Explain(Toy.Rows(_ml)));
    }

    [Fact]
    public void AGraftsCoordinatesAndNeuronsAreColumnsToo()
    {
        string folder = Oracles.PathOf("tiny-roberta");
        string fingerprint;
        using (var plain = TextClassifier.Create(folder, Toy.Settings))
        {
            fingerprint = plain.Backbone.Fingerprint();
        }

        var graft = new Graft
        {
            BaseFingerprint = fingerprint,
            Settings = Toy.Settings.ToJson(),
            ConsideredCount = 100,
            Parts = [new(Up, [3, 17, 40], [2, -2, 1.5f])],
        };
        using var grafted = GraftTransformer.Create(graft, folder);
        bool[] members = new bool[3 * 96];
        members[17] = members[100] = true;
        using TextExplanationTransformer explainer = _ml.SkillLoc()
            .ExplainText(
                new TextExplanationTransformer.Options
                {
                    Model = grafted,
                    Label = "pos",
                    Coordinates = 2,
                    Neurons = new NeuronSet(members, 3, 96),
                }
            );
        IDataView explained = explainer.Transform(One("a good film"));
        Assert.Equal(2, explained.GetColumn<string[]>("ExplainedCoordinates").Single().Length);
        Assert.StartsWith(Up + "[", explained.GetColumn<string[]>("ExplainedCoordinates").Single()[0], StringComparison.Ordinal);
        Assert.Equal(2, explained.GetColumn<float[]>("ExplainedCoordinateScores").Single().Length);
        Assert.Equal(["0.17", "1.4"], explained.GetColumn<string[]>("ExplainedNeurons").Single().Order());
        Assert.InRange(explained.GetColumn<float>("ExplainedCoordinateDelta").Single(), -1e-3f, 1e-3f);

        // The whole difference from the base model, with the head that the graft has.
        using var bare = GraftTransformer.Create(graft.Restrict(_ => false), folder);
        float[] with = Probabilities(grafted),
            without = Probabilities(bare);
        Assert.Equal(
            Math.Log(with[1] / with[0]) - Math.Log(without[1] / without[0]),
            explained.GetColumn<float>("ExplainedCoordinateSum").Single(),
            2e-3
        );

        float[] Probabilities(TextScoringTransformer model) => model.Transform(One("a good film")).GetColumn<float[]>("Score").Single();
    }

    [Fact]
    public void WhatDoesNotFitIsRefused()
    {
        using TextScoringTransformer scorer = Toy.Scorer();
        SkillLocCatalog catalog = _ml.SkillLoc();
        Assert.Throws<ArgumentException>(() => catalog.ExplainText(new TextExplanationTransformer.Options()));
        Assert.Contains("graft", Assert.Throws<ArgumentException>(() => catalog.ExplainText(scorer, coordinates: 3)).Message);
        Assert.Contains("'perhaps'", Assert.Throws<ArgumentException>(() => catalog.ExplainText(scorer, label: "perhaps")).Message);
        using NeuronPerturbationTransformer perturbed = catalog.Neurons.PerturbNeurons(
            scorer,
            new NeuronSet(Enumerable.Repeat(true, 288).ToArray(), 3, 96),
            PerturbationKind.Zero
        );
        Assert.Contains("perturbed", Assert.Throws<ArgumentException>(() => catalog.ExplainText(perturbed)).Message);
        using TextExplanationTransformer explainer = catalog.ExplainText(scorer, steps: 1);
        IDataView numbers = _ml.Data.LoadFromEnumerable([new Number()]);
        Assert.Throws<ArgumentOutOfRangeException>(() => explainer.Transform(numbers));
        Assert.Throws<ArgumentOutOfRangeException>(() => explainer.Explain(numbers));
        Assert.Empty(explainer.Explain(_ml.Data.LoadFromEnumerable(Array.Empty<Toy.Row>())));
    }

    private IDataView One(string text) => _ml.Data.LoadFromEnumerable([new Toy.Row { Text = text }]);

    private static IEnumerable<float> Floats(IEnumerable<double> values) => values.Select(value => (float)value);

    private static bool Close(float a, float b) => Math.Abs(a - b) < 1e-4;

    private sealed class Why
    {
        public string WhyLabel { get; set; } = "";

        public float WhyDelta { get; set; }

        public float[] WhyScores { get; set; } = [];
    }

    private sealed class Number
    {
        public float Text { get; set; }
    }
}
