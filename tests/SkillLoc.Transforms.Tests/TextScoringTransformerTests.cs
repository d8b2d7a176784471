using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Classification;
using TorchSharp;

namespace SkillLoc.Transforms.Tests;

public sealed class TextScoringTransformerTests
{
    private readonly MLContext _ml = new(seed: 1);

    [Fact]
    public void RowsComeBackInOrderWithTheirColumnsAndTheScoresOfTheirOwnText()
    {
        using TextScoringTransformer scorer = Toy.Scorer();
        Toy.Scored[] rows = [.. _ml.Data.CreateEnumerable<Toy.Scored>(scorer.Transform(Toy.Rows(_ml)), reuseRowObject: false)];

        Assert.Equal(Enumerable.Range(0, 100), rows.Select(row => row.Id));
        for (int i = 0; i < rows.Length; i++)
        {
            float[] alone = scorer.Classifier.Score([scorer.Classifier.Encode(Toy.Texts[i])])[0];
            Assert.Equal([i, i * 2], rows[i].Numbers);
            Assert.Equal(alone[0], rows[i].Score[0], 1e-5f);
            Assert.Equal(1, rows[i].Score.Sum(), 1e-5f);
            Assert.Equal(alone[0] >= alone[1] ? 1u : 2u, rows[i].PredictedLabel);
        }
    }

    [Fact]
    public void ColumnsCarryTheirNames()
    {
        using TextScoringTransformer scorer = Toy.Scorer();
        DataViewSchema schema = scorer.GetOutputSchema(Toy.Rows(_ml).Schema);
        VBuffer<ReadOnlyMemory<char>> names = default;
        schema["Score"].GetSlotNames(ref names);
        Assert.Equal(["neg", "pos"], names.DenseValues().Select(name => name.ToString()));
        schema["PredictedLabel"].GetKeyValues(ref names);
        Assert.Equal(["neg", "pos"], names.DenseValues().Select(name => name.ToString()));
        Assert.Equal(2, ((VectorDataViewType)schema["Score"].Type).Size);
    }

    [Fact]
    public void ARegressionsScoreIsTheSecondWordsShareOfTheRange()
    {
        using var scorer = new TextScoringTransformer(
            TextClassifier.Create(Oracles.PathOf("tiny-roberta"), Toy.Settings with { ScoreRange = new(-2, 3) }),
            new ScoringColumns()
        );
        IDataView scored = scorer.Transform(Toy.Rows(_ml));
        Assert.Equal(["Id", "Text", "Numbers", "Score"], scored.Schema.Select(column => column.Name));
        float[] scores = [.. scored.GetColumn<float>("Score")];
        for (int i = 0; i < scores.Length; i++)
        {
            float[] probabilities = scorer.Classifier.Score([scorer.Classifier.Encode(Toy.Texts[i])])[0];
            Assert.Equal((probabilities[1] * 5) - 2, scores[i], 1e-4f);
        }
    }

    [Fact]
    public void NothingRunsUntilScoresAreAskedFor()
    {
        using TextScoringTransformer scorer = Toy.Scorer();
        int read = 0;
        IDataView source = _ml.Data.LoadFromEnumerable(
            Toy.Texts.Select(
                (text, i) =>
                {
                    read++;
                    return new Toy.Row { Id = i, Text = text };
                }
            )
        );
        IDataView view = scorer.Transform(source);
        Assert.Equal(0, read);

        // Without a score column the model is not touched, disposed or not.
        scorer.Dispose();
        Assert.Equal(100, view.GetColumn<int>("Id").Count());
        Assert.Throws<ObjectDisposedException>(() => view.GetColumn<float[]>("Score").Count());
    }

    [Fact]
    public void AFewRowsAreReadWithoutScoringAll()
    {
        using TextScoringTransformer scorer = Toy.Scorer();
        int read = 0;
        IDataView source = _ml.Data.LoadFromEnumerable(
            Enumerable
                .Range(0, 10_000)
                .Select(i =>
                {
                    read++;
                    return new Toy.Row { Id = i, Text = "a film" };
                })
        );
        Assert.Equal(3, scorer.Transform(_ml.Data.TakeRows(source, 3)).GetColumn<float[]>("Score").Count());
        using DataViewRowCursor cursor = scorer.Transform(source).GetRowCursor(scorer.Transform(source).Schema);
        Assert.True(cursor.MoveNext());
        Assert.InRange(read, 1, 1000);
    }

    [Fact]
    public void ViewsCanBeReadAgainAndByTwoCursorsAtOnce()
    {
        using TextScoringTransformer scorer = Toy.Scorer();
        IDataView view = scorer.Transform(Toy.Rows(_ml));
        float[][] first = [.. view.GetColumn<float[]>("Score")];
        using DataViewRowCursor one = view.GetRowCursor([view.Schema["Score"]]);
        using DataViewRowCursor two = view.GetRowCursor([view.Schema["Score"], view.Schema["Id"]]);
        ValueGetter<VBuffer<float>> getOne = one.GetGetter<VBuffer<float>>(view.Schema["Score"]);
        ValueGetter<VBuffer<float>> getTwo = two.GetGetter<VBuffer<float>>(view.Schema["Score"]);
        VBuffer<float> a = default,
            b = default;
        for (int i = 0; one.MoveNext() && two.MoveNext(); i++)
        {
            getOne(ref a);
            getTwo(ref b);
            Assert.Equal(first[i], a.DenseValues());
            Assert.Equal(first[i], b.DenseValues());
        }

        Assert.False(one.IsColumnActive(view.Schema["Id"]));
        Assert.ThrowsAny<Exception>(() => one.GetGetter<int>(view.Schema["Id"]));
    }

    [Fact]
    public void PredictionEngineGivesTheSameScores()
    {
        using TextScoringTransformer scorer = Toy.Scorer();
        float[][] scores = [.. scorer.Transform(Toy.Rows(_ml)).GetColumn<float[]>("Score")];
        using PredictionEngine<Toy.Row, Toy.Scored> engine = _ml.Model.CreatePredictionEngine<Toy.Row, Toy.Scored>(scorer);
        for (int i = 0; i < 20; i++)
        {
            Toy.Scored scored = engine.Predict(new Toy.Row { Id = i, Text = Toy.Texts[i] });
            Assert.Equal(scores[i][0], scored.Score[0], 1e-5f);
            Assert.Equal(i, scored.Id);
        }
    }

    [Fact]
    public void MissingAndMistypedColumnsAreNamed()
    {
        using TextScoringTransformer scorer = Toy.Scorer();
        IDataView other = _ml.Data.LoadFromEnumerable([new Other { Body = "x", Text = 3 }]);
        ArgumentOutOfRangeException error = Assert.Throws<ArgumentOutOfRangeException>(() => scorer.Transform(other));
        Assert.Contains("'Text'", error.Message, StringComparison.Ordinal);
        Assert.Contains("text column", error.Message, StringComparison.Ordinal);
        IDataView none = _ml.Data.LoadFromEnumerable([new Nothing()]);
        error = Assert.Throws<ArgumentOutOfRangeException>(() => scorer.Transform(none));
        Assert.Contains("Could not find input column 'Text'", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ATextOfAHundredThousandCharactersIsScored()
    {
        using TextScoringTransformer scorer = Toy.Scorer();
        string[] texts = [new string('x', 100_000), string.Concat(Enumerable.Repeat("good film ", 10_000)), ""];
        IDataView view = _ml.Data.LoadFromEnumerable(texts.Select(text => new Toy.Row { Text = text }));
        float[][] scores = [.. scorer.Transform(view).GetColumn<float[]>("Score")];
        Assert.Equal(3, scores.Length);
        Assert.All(scores, score => Assert.Equal(1, score.Sum(), 1e-5f));
    }

    [Fact]
    public void NoTensorIsLeft()
    {
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        using (TextScoringTransformer scorer = Toy.Scorer())
        {
            long loaded = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
            _ = scorer.Transform(Toy.Rows(_ml)).GetColumn<float[]>("Score").Count();
            Assert.Equal(loaded, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
        }

        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    [Fact]
    public void TwoThreadsScoreWithOneModel()
    {
        using TextScoringTransformer scorer = Toy.Scorer();
        IDataView view = scorer.Transform(Toy.Rows(_ml));
        float[][] expected = [.. view.GetColumn<float[]>("Score")];
        Parallel.For(
            0,
            4,
            _ =>
            {
                float[][] actual = [.. view.GetColumn<float[]>("Score")];
                Assert.Equal(expected, actual);
            }
        );
    }

    private sealed class Other
    {
        public string Body { get; set; } = "";

        public float Text { get; set; }
    }

    private sealed class Nothing
    {
        public float Value { get; set; }
    }
}
