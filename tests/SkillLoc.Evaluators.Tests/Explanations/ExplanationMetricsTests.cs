using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Explanations;
using SkillLoc.Models.Prompts;
using SkillLoc.Transforms;

namespace SkillLoc.Evaluators.Tests.Explanations;

/// <summary>Comprehensiveness and sufficiency, measured again by hand.</summary>
public sealed class ExplanationMetricsTests
{
    private static readonly string[] Texts = ["a good film that nobody needs", "bad", "the movie was not interesting, it was long"];

    public static TheoryData<string> Checkpoints => ["tiny-roberta", "tiny-bert", "tiny-gpt2"];

    [Theory]
    [MemberData(nameof(Checkpoints))]
    public void MeasuresAreTheFallsOfTheProbability(string checkpoint)
    {
        using TextScoringTransformer model = Model(checkpoint);
        using TextExplanationTransformer explainer = Fake.Ml.SkillLoc().ExplainText(model, steps: 4);
        ExplanationMetrics metrics = Fake.Ml.SkillLoc().Evaluation.EvaluateExplanations(explainer, Rows(Texts), [1, 0.5, 0.01], seed: 3);
        Assert.Equal((3, 3, 5), (metrics.Count, metrics.Seed, metrics.Controls));
        Assert.Equal([0.01, 0.5, 1], metrics.Points.Select(point => point.Share));

        // With all tokens nothing falls, and in which order they go makes no difference.
        ExplanationPoint all = metrics.Points[2];
        Assert.Equal(0, all.Sufficiency, 1e-6);
        Assert.Equal(all.Comprehensiveness, all.RandomComprehensiveness, 1e-6);
        Assert.Equal(0, all.RandomSufficiency, 1e-6);

        IReadOnlyList<TextExplanation> rows = explainer.Explain(Rows(Texts));
        foreach (ExplanationPoint point in metrics.Points)
        {
            double[] without = new double[Texts.Length],
                alone = new double[Texts.Length];
            foreach ((int i, TextExplanation row) in rows.Index())
            {
                int count = (int)Math.Ceiling(point.Share * row.Tokens.Count);
                HashSet<TokenAttribution> first = [.. row.Tokens.OrderByDescending(token => token.Score).Take(count)];
                without[i] = Fall(row, token => !first.Contains(token));
                alone[i] = Fall(row, first.Contains);
            }

            Assert.Equal(without.Average(), point.Comprehensiveness, 1e-5);
            Assert.Equal(alone.Average(), point.Sufficiency, 1e-5);
        }

        Assert.Equal(metrics.Points.Average(point => point.Comprehensiveness), metrics.Comprehensiveness, 1e-12);
        Assert.Equal(7, metrics.ToDataView(Fake.Ml).Schema.Count);

        // The row's ids, of which those of the prompt stay; the mask moves up, and a causal model reads the last token.
        double Fall(TextExplanation row, Func<TokenAttribution, bool> stays)
        {
            TextClassifier classifier = model.Classifier;
            EncodedText whole = classifier.Trace(row.Text);
            var tokens = new Queue<TokenAttribution>(row.Tokens);
            int[] left = [.. Enumerable.Range(0, whole.Ids.Length).Where(place => whole.Spans![place] is null || stays(tokens.Dequeue()))];
            int[] ids = Array.ConvertAll(left, place => whole.Ids[place]);
            int position = checkpoint == "tiny-gpt2" ? ids.Length - 1 : Array.IndexOf(ids, classifier.Tokenizer.MaskId);
            var erased = new EncodedText(ids, whole.TokenTypes is null ? null : new int[ids.Length], position);
            return row.Probability - classifier.Score([erased])[0][classifier.Settings.Labels.ToList().IndexOf(row.Label)];
        }
    }

    [Fact]
    public void TheSameSeedGivesTheSameNumbers()
    {
        using TextScoringTransformer model = Model("tiny-roberta");
        using TextExplanationTransformer explainer = Fake.Ml.SkillLoc().ExplainText(model, method: AttributionMethod.Occlusion);
        EvaluationCatalog evaluation = Fake.Ml.SkillLoc().Evaluation;
        ExplanationMetrics first = evaluation.EvaluateExplanations(explainer, Rows(Texts), seed: 1),
            again = evaluation.EvaluateExplanations(explainer, Rows(Texts), seed: 1),
            other = evaluation.EvaluateExplanations(explainer, Rows(Texts), seed: 2);
        Assert.Equal(first.Points, again.Points);
        Assert.NotEqual(first.RandomComprehensiveness, other.RandomComprehensiveness);
        Assert.Equal(first.Comprehensiveness, other.Comprehensiveness);
        Assert.Equal([0.01, 0.05, 0.1, 0.2, 0.5], first.Points.Select(point => point.Share));
        Assert.True(double.IsNaN(first.ConvergenceDelta));
    }

    [Fact]
    public void WhatCannotBeMeasuredIsRefused()
    {
        using TextScoringTransformer model = Model("tiny-roberta");
        using TextExplanationTransformer explainer = Fake.Ml.SkillLoc().ExplainText(model, steps: 1);
        EvaluationCatalog evaluation = Fake.Ml.SkillLoc().Evaluation;
        Assert.Throws<InvalidOperationException>(() => evaluation.EvaluateExplanations(explainer, Rows("", "")));
        Assert.Throws<InvalidOperationException>(() => evaluation.EvaluateExplanations(explainer, Rows()));
        Assert.Throws<ArgumentException>(() => evaluation.EvaluateExplanations(explainer, Rows(Texts), []));
        foreach (double share in (double[])[0, -1, 1.5, double.NaN])
        {
            Assert.Throws<ArgumentOutOfRangeException>(() => evaluation.EvaluateExplanations(explainer, Rows(Texts), [share]));
        }

        Assert.Throws<ArgumentOutOfRangeException>(() => evaluation.EvaluateExplanations(explainer, Rows(Texts), controls: 1));
        Assert.Equal(1, evaluation.EvaluateExplanations(explainer, Rows("", "bad"), seed: 1).Count);
        using var stopped = new CancellationTokenSource();
        stopped.Cancel();
        Assert.Throws<OperationCanceledException>(() =>
            evaluation.EvaluateExplanations(explainer, Rows(Texts), cancellation: stopped.Token)
        );
    }

    private static TextScoringTransformer Model(string checkpoint) =>
        new(
            TextClassifier.Create(
                Oracles.PathOf(checkpoint),
                checkpoint == "tiny-gpt2"
                    ? new ClassifierSettings
                    {
                        AutoregressiveTemplate = "\"{0}\" was",
                        Labels = ["neg", "pos"],
                        Words = [" bad", " good"],
                    }
                    : new ClassifierSettings
                    {
                        Template = "*cls**sent_0*_It_was*mask*.*sep+*",
                        Labels = ["neg", "pos"],
                        Words = ["bad", "good"],
                    }
            ),
            new ScoringColumns()
        );

    private static IDataView Rows(params string[] texts) => Fake.Ml.Data.LoadFromEnumerable(texts.Select(text => new Row { Text = text }));

    private sealed class Row
    {
        public string Text { get; set; } = "";
    }
}
