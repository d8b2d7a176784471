using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;

namespace SkillLoc.Models.Tests.Classification;

public class ScoreRangeTests
{
    private static readonly ClassifierSettings Settings = new()
    {
        Template = "*cls**sent_0*_It_was*mask*.*sep+*",
        Labels = ["0", "1"],
        Words = ["bad", "good"],
        Metric = PromptMetric.Correlation,
        ScoreRange = new(1, 5),
    };

    [Theory]
    [InlineData(1, 0)]
    [InlineData(2, 0.25)]
    [InlineData(5, 1)]
    public void AScoreIsAShareOfTheRangeAndTheSecondWordsProbability(float score, float share)
    {
        ScoreRange range = new(1, 5);
        Assert.Equal(share, range.ShareOf(score));
        Assert.Equal(score, range.Predict([1 - share, share]));
        Assert.True(range.Contains(score));
    }

    [Fact]
    public void ScoresOutsideTheRangeAreNotInIt() =>
        Assert.All([0.99f, 5.01f, float.NaN, float.PositiveInfinity], score => Assert.False(new ScoreRange(1, 5).Contains(score)));

    [Theory]
    [InlineData(5, 1)]
    [InlineData(1, 1)]
    [InlineData(0, float.NaN)]
    [InlineData(float.NegativeInfinity, 0)]
    public void RangesAreFiniteAndHaveALowerAndAHigherEnd(float lowest, float highest) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => new ScoreRange(lowest, highest));

    [Fact]
    public void SettingsKeepTheRangeInTheirJSON()
    {
        string json = Settings.ToJson();
        Assert.Equal(new ScoreRange(1, 5), ClassifierSettings.FromJson(json, "here").ScoreRange);
        Assert.DoesNotContain("score_range", (Settings with { ScoreRange = null }).ToJson(), StringComparison.Ordinal);
        string reversed = json.Replace("\"highest\": 5", "\"highest\": 0", StringComparison.Ordinal);
        Assert.Contains(
            "here",
            Assert.Throws<InvalidDataException>(() => ClassifierSettings.FromJson(reversed, "here")).Message,
            StringComparison.Ordinal
        );
    }

    [Theory]
    [InlineData(HeadKind.FirstTokenLinear, new[] { "0", "1" }, new[] { "bad", "good" })]
    [InlineData(HeadKind.LabelWords, new[] { "0", "1", "2" }, new[] { "bad", "good", "very" })]
    public void ARegressionNeedsTwoLabelWords(HeadKind head, string[] labels, string[] words) =>
        Assert.Contains(
            "two label words",
            Assert
                .Throws<ArgumentException>(() =>
                    TextClassifier.Create(Oracles.PathOf("tiny-roberta"), Settings with { Head = head, Labels = labels, Words = words })
                )
                .Message,
            StringComparison.Ordinal
        );
}
