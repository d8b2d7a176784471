using SkillLoc.Models.Datasets;

namespace SkillLoc.Models.Tests.Datasets;

public sealed class BinaryTasksTests
{
    private static readonly string[] Three = ["0", "1", "2"];

    /// <summary>Rows whose text is their place, so that it shows which were kept.</summary>
    private static LabeledText[] Rows(params string[] labels) =>
        [.. labels.Select((label, i) => new LabeledText($"{i}", null, label, i + 1))];

    private static string Shown(IEnumerable<LabeledText> rows) => string.Join(' ', rows.Select(row => $"{row.Text}={row.Label}"));

    [Fact]
    public void ThePositiveNegativeSetKeepsTheFirstRowsOfEach() =>
        Assert.Equal(
            "0=1 1=1 3=0 5=0",
            Shown(BinaryTasks.Ask(Rows("2", "2", "1", "0", "2", "0", "1", "2"), Three, BinaryQuestion.PositiveNegative))
        );

    [Fact]
    public void TheNeutralSetHasAllOthersAgainstIt() =>
        Assert.Equal(
            "0=0 1=0 2=1 6=1",
            Shown(BinaryTasks.Ask(Rows("2", "2", "1", "0", "2", "0", "1", "2"), Three, BinaryQuestion.Neutral))
        );

    [Fact]
    public void OfFourLabelsTheFirstIsNeitherPositiveNorNegative()
    {
        LabeledText[] rows = Rows("conflict", "neg", "neu", "pos", "pos", "neg", "neu");
        string[] labels = ["conflict", "neg", "neu", "pos"];
        Assert.Equal("1=0 3=1 4=1 5=0", Shown(BinaryTasks.Ask(rows, labels, BinaryQuestion.PositiveNegative)));
        Assert.Equal("0=0 1=0 2=1 6=1", Shown(BinaryTasks.Ask(rows, labels, BinaryQuestion.Neutral)));
    }

    [Fact]
    public void ASubsetIsRenamedInTheOrderGiven() =>
        Assert.Equal("0=1 2=0 3=1", Shown(BinaryTasks.Subset(Rows("0", "2", "4", "0"), ["4", "0"])));

    [Fact]
    public void WhatCannotBeAskedIsRefused()
    {
        Assert.Contains(
            "Line 2: the label '-1'",
            Assert.Throws<InvalidDataException>(() => BinaryTasks.Ask(Rows("0", "-1"), Three, BinaryQuestion.Neutral)).Message
        );
        Assert.Contains(
            "0 answer",
            Assert.Throws<InvalidDataException>(() => BinaryTasks.Ask(Rows("0", "1"), Three, BinaryQuestion.PositiveNegative)).Message
        );
        Assert.Throws<ArgumentException>(() => BinaryTasks.Ask(Rows("0", "1"), ["0", "1"], BinaryQuestion.Neutral));
        Assert.Contains("'7'", Assert.Throws<InvalidDataException>(() => BinaryTasks.Subset(Rows("0", "1"), ["0", "7"])).Message);
        Assert.Throws<ArgumentException>(() => BinaryTasks.Subset(Rows("0"), ["0", "0"]));
    }

    [Theory]
    [InlineData(new[] { 7, 3, 2 }, 7, 3, 2)]
    [InlineData(new[] { 14, 3 }, 11, 3, 3)]
    [InlineData(new[] { 29 }, 23, 2, 4)]
    public void SplitsAreRoundedDownAndTheLastGetsTheRest(int[] sources, int train, int dev, int test)
    {
        LabeledText[][] rows =
        [
            .. sources.Select(
                (count, source) => Enumerable.Range(0, count).Select(i => new LabeledText($"{source}.{i}", null, "0")).ToArray()
            ),
        ];
        LabeledSplits splits = DataSplits.Split(rows);
        Assert.Equal((train, dev, test), (splits.Train.Count, splits.Dev.Count, splits.Test.Count));
        Assert.Equal(
            rows.SelectMany(source => source).Select(row => row.Text).Order(),
            splits.Train.Concat(splits.Dev).Concat(splits.Test).Select(row => row.Text).Order()
        );
        LabeledSplits again = DataSplits.Split(rows);
        Assert.Equal(splits.Train, again.Train);
        Assert.Equal(splits.Dev, again.Dev);
        if (sources.Length > 1)
        {
            Assert.Equal(rows[^1], splits.Test);
        }
        else
        {
            Assert.NotEqual(splits.Train, DataSplits.Split(rows, seed: 1).Train);
        }
    }

    [Fact]
    public void ThreeSourcesStayAsTheyAreAndAnEmptySplitIsRefused()
    {
        LabeledText[] a = Rows("0", "1"),
            b = Rows("1"),
            c = Rows("0");
        LabeledSplits splits = DataSplits.Split([a, b, c]);
        Assert.Equal((a, b, c), (splits.Train, splits.Dev, splits.Test));
        Assert.Throws<InvalidDataException>(() => DataSplits.Split([Rows("0", "1", "0", "1")]));
        Assert.Throws<ArgumentException>(() => DataSplits.Split([]));
    }
}
