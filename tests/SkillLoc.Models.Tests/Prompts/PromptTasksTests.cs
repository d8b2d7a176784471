using SkillLoc.Models.Prompts;

namespace SkillLoc.Models.Tests.Prompts;

public class PromptTasksTests
{
    [Theory]
    [InlineData("CoLA", "*cls**sent_0*_This_is*mask*.*sep+*", "{'0':'incorrect','1':'correct'}", null, null, 128)]
    [InlineData("SST-2", "*cls**sent_0*_It_was*mask*.*sep+*", "{'0':'terrible','1':'great'}", null, null, 128)]
    [InlineData("imdb", "*cls**sent_0*_It_was*mask*.*sep+*", "{'0':'terrible','1':'great'}", 110, null, 128)]
    [InlineData("MRPC", "*cls**sent_0**mask*,*+sentl_1**sep+*", "{'0':'No','1':'Yes'}", null, null, 128)]
    [InlineData("STS-B", "*cls**sent_0**mask*,*+sentl_1**sep+*", "{'0':'No','1':'Yes'}", null, null, 128)]
    [InlineData(
        "MNLI",
        "*cls**sent-_0*?*mask*,*+sentl_1**sep+*",
        "{'contradiction':'No','entailment':'Yes','neutral':'Maybe'}",
        110,
        null,
        256
    )]
    [InlineData(
        "SNLI",
        "*cls**sent-_0*?*mask*,*+sentl_1**sep+*",
        "{'contradiction':'No','entailment':'Yes','neutral':'Maybe'}",
        null,
        null,
        256
    )]
    [InlineData("QNLI", "*cls**sent-_0*?*mask*,*+sentl_1**sep+*", "{'entailment':'Yes','not_entailment':'No'}", null, null, 128)]
    [InlineData("RTE", "*cls**sent-_0*?*mask*,*+sentl_1**sep+*", "{'entailment':'Yes','not_entailment':'No'}", 240, null, 256)]
    [InlineData("mr", "*cls**sent_0*_It_was*mask*.*sep+*", "{'0':'terrible','1':'great'}", 110, 50, 128)]
    [InlineData("sst-5", "*cls**sent_0*_It_was*mask*.*sep+*", "{'0':'terrible','1':'bad','2':'okay','3':'good','4':'great'}", 110, 20, 128)]
    [InlineData("subj", "*cls**sent_0*_This_is*mask*.*sep+*", "{'0':'subjective','1':'objective'}", 110, 50, 128)]
    [InlineData(
        "trec",
        "*cls**mask*:*+sent_0**sep+*",
        "{'0':'Description','1':'Entity','2':'Expression','3':'Human','4':'Location','5':'Number'}",
        110,
        null,
        128
    )]
    [InlineData("ag_news", "*cls**mask*:*+sent_0**sep+*", "{'0':'World','1':'Sports','2':'Business','3':'Tech'}", 110, null, 128)]
    [InlineData("QQP", "*cls**sent_0**mask*,*+sentl_1**sep+*", "{'0':'No','1':'Yes'}", null, null, 128)]
    [InlineData(
        "anli",
        "*cls**sent-_0*?*mask*,*+sentl_1**sep+*",
        "{'contradiction':'No','entailment':'Yes','neutral':'Maybe'}",
        null,
        null,
        256
    )]
    [InlineData("cr", "*cls**sent_0*_It_was*mask*.*sep+*", "{'0':'terrible','1':'great'}", 110, 50, 128)]
    [InlineData("mpqa", "*cls**sent_0*_It_was*mask*.*sep+*", "{'0':'terrible','1':'great'}", 110, null, 128)]
    public void TasksAreThoseOfThePaper(string name, string template, string mapping, int? first, int? other, int length)
    {
        PromptTask task = PromptTasks.Find(name);
        Assert.Equal(template, task.Template.ToString());
        Assert.Equal(mapping, task.Verbalizer.ToString());
        Assert.Equal((first, other, length), (task.FirstSentenceLimit, task.OtherSentenceLimit, task.MaxLength));
    }

    [Fact]
    public void ThereAreEighteen() => Assert.Equal(18, PromptTasks.All.Select(task => task.Name).Distinct(StringComparer.Ordinal).Count());

    [Fact]
    public void MetricsAreThoseOfGLUE()
    {
        Assert.Equal(PromptMetric.MatthewsCorrelation, PromptTasks.Find("cola").Metric);
        Assert.Equal(PromptMetric.AccuracyAndF1, PromptTasks.Find("qqp").Metric);
        Assert.Equal(PromptMetric.Accuracy, PromptTasks.Find("mnli").Metric);
        PromptTask similarity = PromptTasks.Find("sts-b");
        Assert.True(similarity.IsRegression);
        Assert.True(similarity.IsPair);
        Assert.Equal(new ScoreRange(0, 5), similarity.ScoreRange);
        Assert.False(PromptTasks.Find("trec").IsPair);
    }

    [Fact]
    public void AnUnknownTaskIsAnsweredWithTheKnownOnes()
    {
        ArgumentException e = Assert.Throws<ArgumentException>(() => PromptTasks.Find("sst2"));
        Assert.Contains("sst2", e.Message, StringComparison.Ordinal);
        Assert.Contains("sst-2, imdb", e.Message, StringComparison.Ordinal);
    }
}
