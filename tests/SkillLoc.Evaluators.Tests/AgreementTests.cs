using Microsoft.ML;
using Microsoft.ML.Data;

namespace SkillLoc.Evaluators.Tests;

public sealed class AgreementTests
{
    private static readonly MLContext Ml = new(seed: 1);

    private sealed class Prediction
    {
        public string PredictedLabel { get; set; } = "";
    }

    private sealed class Number
    {
        public float PredictedLabel { get; set; }
    }

    private sealed class BareKey
    {
        [KeyType(3)]
        public uint PredictedLabel { get; set; }
    }

    private sealed class Vector
    {
        [VectorType(2)]
        public float[] PredictedLabel { get; set; } = [];
    }

    private static IDataView Texts(params string[] labels) =>
        Ml.Data.LoadFromEnumerable(labels.Select(label => new Prediction { PredictedLabel = label }));

    private static IDataView Keys(params string[] labels)
    {
        IDataView texts = Texts(labels);
        return Ml.Transforms.Conversion.MapValueToKey("PredictedLabel").Fit(texts).Transform(texts);
    }

    /// <summary>Keys, 0 for a missing one; in user classes they count from 0.</summary>
    private static IDataView BareKeys(params uint[] keys) =>
        Ml.Data.LoadFromEnumerable(keys.Select(key => new BareKey { PredictedLabel = unchecked(key - 1) }));

    private static AgreementMetrics Evaluate(IDataView first, IDataView second) =>
        Ml.SkillLoc().Evaluation.EvaluateAgreement(first, second);

    [Fact]
    public void KappaMatchesWhatWasComputedByHand()
    {
        // Cohen's usual example: 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no. Agreement 0.7, chance 0.5 * 0.6 + 0.5 * 0.4 = 0.5.
        string[] first = [.. Enumerable.Repeat("yes", 25), .. Enumerable.Repeat("no", 25)];
        string[] second =
        [
            .. Enumerable.Repeat("yes", 20),
            .. Enumerable.Repeat("no", 5),
            .. Enumerable.Repeat("yes", 10),
            .. Enumerable.Repeat("no", 15),
        ];
        AgreementMetrics metrics = Evaluate(Keys(first), Keys(second));

        Assert.Equal(50, metrics.Count);
        Assert.Equal(0.7, metrics.Agreement, 9);
        Assert.Equal(0.4, metrics.Kappa, 9);
        Assert.Equal(["no", "yes"], metrics.Labels);
        Assert.Equal([new("no", "no", 15), new("no", "yes", 10), new("yes", "no", 5), new("yes", "yes", 20)], metrics.Counts);

        IDataView counts = metrics.ToDataView(Ml);
        Assert.Equal(["First", "Second", "Count"], counts.Schema.Select(column => column.Name));
        Assert.Equal([15L, 10, 5, 20], counts.GetColumn<long>("Count"));
        Assert.Equal(["no", "no", "yes", "yes"], counts.GetColumn<string>("First"));
    }

    [Fact]
    public void KeysAreComparedByValue()
    {
        // The same labels, in another order of keys.
        AgreementMetrics metrics = Evaluate(Keys("ham", "spam", "spam"), Keys("spam", "ham", "spam"));
        Assert.Equal(1.0 / 3, metrics.Agreement, 9);
        Assert.Equal(1, Evaluate(Keys("ham", "spam"), Texts("ham", "spam")).Agreement);
    }

    [Fact]
    public void KeysWithoutValuesAreComparedAsTheyAre()
    {
        AgreementMetrics metrics = Evaluate(BareKeys(1, 2, 3, 0), BareKeys(1, 3, 3, 0));
        Assert.Equal(0.75, metrics.Agreement, 9);
        Assert.Equal(["0", "1", "2", "3"], metrics.Labels);
    }

    [Fact]
    public void NumbersAreCompared()
    {
        IDataView first = Ml.Data.LoadFromEnumerable(
            new[]
            {
                new Number { PredictedLabel = 1 },
                new Number { PredictedLabel = 2.5f },
            }
        );
        Assert.Equal(1, Evaluate(first, first).Agreement);
        Assert.Equal(0.5, Evaluate(first, Texts("1", "2")).Agreement);
    }

    [Fact]
    public void OneLabelThroughoutLeavesKappaUndefined()
    {
        AgreementMetrics metrics = Evaluate(Keys("a", "a"), Keys("a", "a"));
        Assert.Equal(1, metrics.Agreement);
        Assert.True(double.IsNaN(metrics.Kappa));
    }

    [Theory]
    [InlineData(2)]
    [InlineData(5)]
    public void AgreementWithOneselfIsCompleteAndTheOrderDoesNotMatter(int labels)
    {
        var random = new Random(labels);
        string[] first = Draw(),
            second = Draw();
        Assert.Equal(1, Evaluate(Keys(first), Keys(first)).Kappa, 9);
        AgreementMetrics forth = Evaluate(Keys(first), Keys(second)),
            back = Evaluate(Keys(second), Keys(first));
        Assert.Equal(forth.Kappa, back.Kappa, 9);
        Assert.Equal(first.Zip(second).Count(pair => pair.First == pair.Second) / 100.0, forth.Agreement, 9);
        Assert.Equal(100, forth.Counts.Sum(count => count.Count));

        string[] Draw() => [.. Enumerable.Range(0, 100).Select(_ => $"label{random.Next(labels)}")];
    }

    [Fact]
    public void BadInputIsRefused()
    {
        Assert.Contains(
            "3 rows and the second 2",
            Assert.Throws<InvalidOperationException>(() => Evaluate(Keys("a", "b", "a"), Keys("a", "b"))).Message
        );
        Assert.Throws<InvalidOperationException>(() => Evaluate(Texts(), Texts()));
        Assert.Throws<ArgumentOutOfRangeException>(() => Evaluate(BareKeys(1), Keys("a")));
        Assert.Throws<ArgumentOutOfRangeException>(() => Evaluate(Ml.Data.LoadFromEnumerable(new[] { new Vector() }), Keys("a")));
        Assert.Contains(
            "'Other'",
            Assert
                .Throws<ArgumentOutOfRangeException>(() =>
                    Ml.SkillLoc().Evaluation.EvaluateAgreement(Keys("a"), Keys("a"), secondPredictedLabelColumnName: "Other")
                )
                .Message
        );
    }
}
