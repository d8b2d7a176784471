using Microsoft.ML;
using Microsoft.ML.Data;

namespace Standins.MicrosoftML.Tests;

public sealed class SplitTests
{
    private readonly MLContext _ml = new(seed: 1);
    private readonly IDataView _rows;

    public SplitTests() =>
        _rows = _ml.Data.LoadFromEnumerable(Enumerable.Range(0, 1000).Select(i => new Review { Text = $"author {i % 40}", Stars = i }));

    [Fact]
    public void A_split_shares_the_rows_out()
    {
        var split = _ml.Data.TrainTestSplit(_rows, testFraction: 0.25, seed: 3);
        var train = Stars(split.TrainSet);
        var test = Stars(split.TestSet);
        Assert.Empty(train.Intersect(test));
        Assert.Equal(Stars(_rows), train.Concat(test).Order());
        Assert.InRange(test.Length, 190, 310);
        Assert.Equal(_rows.Schema.Select(c => c.Name), split.TrainSet.Schema.Where(c => !c.IsHidden).Select(c => c.Name));
    }

    [Fact]
    public void The_seed_decides()
    {
        Assert.Equal(Stars(_ml.Data.TrainTestSplit(_rows, seed: 3).TestSet),
            Stars(new MLContext().Data.TrainTestSplit(_rows, seed: 3).TestSet));
        Assert.NotEqual(Stars(_ml.Data.TrainTestSplit(_rows, seed: 3).TestSet), Stars(_ml.Data.TrainTestSplit(_rows, seed: 4).TestSet));
        var test = _ml.Data.TrainTestSplit(_rows).TestSet;
        Assert.Equal(Stars(test), Stars(test));
    }

    [Fact]
    public void Rows_of_one_sampling_key_stay_together()
    {
        var split = _ml.Data.TrainTestSplit(_rows, 0.3, samplingKeyColumnName: "Text");
        Assert.Empty(split.TrainSet.GetColumn<string>("Text").Intersect(split.TestSet.GetColumn<string>("Text")));
        Assert.NotEmpty(Stars(split.TestSet));
        Assert.NotEmpty(Stars(split.TrainSet));
    }

    [Fact]
    public void Every_row_is_in_the_test_set_of_one_fold()
    {
        var folds = _ml.Data.CrossValidationSplit(_rows, numberOfFolds: 4);
        Assert.Equal(4, folds.Count);
        Assert.Equal(Stars(_rows), folds.SelectMany(f => Stars(f.TestSet)).Order());
        Assert.All(folds, f => Assert.Equal(1000, Stars(f.TrainSet).Length + Stars(f.TestSet).Length));
    }

    [Fact]
    public void Fractions_and_folds_that_make_no_sense_are_refused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => _ml.Data.TrainTestSplit(_rows, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => _ml.Data.TrainTestSplit(_rows, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => _ml.Data.CrossValidationSplit(_rows, 1));
    }

    private static float[] Stars(IDataView view) => [.. view.GetColumn<float>("Stars")];
}
