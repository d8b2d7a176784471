using SkillLoc.Models.Generation;

namespace SkillLoc.Models.Tests.Generation;

public sealed class TextToTextTasksTests
{
    [Theory]
    [InlineData(TextMetric.Accuracy, 68)]
    [InlineData(TextMetric.ClassificationF1, 52)]
    [InlineData(TextMetric.ExactMatch, 28)]
    [InlineData(TextMetric.QuestionAnsweringF1, 9)]
    [InlineData(TextMetric.RougeL, 17)]
    [InlineData(TextMetric.PearsonCorrelation, 3)]
    [InlineData(TextMetric.MatthewsCorrelation, 1)]
    public void EachMetricHasAsManyTasksAsAppendixH(TextMetric metric, int count) =>
        Assert.Equal(count, TextToTextTasks.All.Count(task => task.Metric == metric));

    [Theory]
    [InlineData("glue-mnli", TextMetric.Accuracy)]
    [InlineData("ai2_arc", TextMetric.Accuracy)]
    [InlineData("glue-mnli_anli_mix5000_new", TextMetric.Accuracy)]
    [InlineData("wiqa", TextMetric.Accuracy)]
    [InlineData("anli", TextMetric.ClassificationF1)]
    [InlineData("tweet_eval-stance_hillary", TextMetric.ClassificationF1)]
    [InlineData("superglue-multirc", TextMetric.ExactMatch)]
    [InlineData("break-QDMR-high-level", TextMetric.ExactMatch)]
    [InlineData("superglue-record", TextMetric.QuestionAnsweringF1)]
    [InlineData("xsum", TextMetric.RougeL)]
    [InlineData("yelp_review_full", TextMetric.PearsonCorrelation)]
    [InlineData("glue-cola", TextMetric.MatthewsCorrelation)]
    public void TasksHaveTheMetricsOfTheTable(string name, TextMetric metric) =>
        Assert.Equal(new TextToTextTask(name, metric), TextToTextTasks.Find(name));

    [Fact]
    public void AnUnknownTaskIsRefusedWithSimilarOnesAndAWayOut()
    {
        ArgumentException e = Assert.Throws<ArgumentException>(() => TextToTextTasks.Find("MNLI"));
        Assert.Contains("no task 'MNLI'; similar are glue-mnli, ", e.Message, StringComparison.Ordinal);
        Assert.Contains("new TextToTextTask(name, metric)", e.Message, StringComparison.Ordinal);
        Assert.Contains(
            "similar are superglue-record",
            Assert.Throws<ArgumentException>(() => TextToTextTasks.Find("superglue_record")).Message,
            StringComparison.Ordinal
        );
        Assert.DoesNotContain(
            "similar",
            Assert.Throws<ArgumentException>(() => TextToTextTasks.Find("zzzzzz")).Message,
            StringComparison.Ordinal
        );
        Assert.Throws<ArgumentException>(() => TextToTextTasks.Find("GLUE-MNLI"));
    }

    [Fact]
    public void TheEncoderReadsTheNameInBrackets()
    {
        TextToTextTask task = TextToTextTasks.Find("glue-mnli");
        Assert.Equal((512, 64), (task.MaxInputLength, task.MaxOutputLength));
        Assert.Equal(" [glue-mnli] premise: Of course. [SEP]", task.InputOf("premise: Of course. [SEP]"));
        Assert.Equal("Yes", task.AnswerOf("Yes"));

        var other = new TextToTextTask("Mine", TextMetric.ExactMatch) { Lowercase = true, HasLeadingStart = true };
        Assert.Equal("<s>  [mine] äö", other.InputOf("ÄÖ"));
        Assert.Equal("yes", other.AnswerOf("Yes"));
    }

    [Fact]
    public void ATaskNeedsANameAndLengths()
    {
        Assert.Throws<ArgumentException>(() => new TextToTextTask(" ", TextMetric.Accuracy));
        TextToTextTask task = TextToTextTasks.Find("anli");
        Assert.Throws<ArgumentException>(() => task with { Name = "" });
        Assert.Throws<ArgumentOutOfRangeException>(() => task with { MaxInputLength = 0 });
        Assert.Throws<ArgumentOutOfRangeException>(() => task with { MaxOutputLength = 0 });
    }
}
