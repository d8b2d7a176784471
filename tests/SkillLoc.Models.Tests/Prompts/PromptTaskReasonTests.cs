using System.Text;
using SkillLoc.Models.Prompts;

namespace SkillLoc.Models.Tests.Prompts;

/// <summary>Tasks whose parts do not go together.</summary>
public sealed class PromptTaskReasonTests
{
    private const string Right = """ "name": "t", "template": "*cls**sent_0**mask**sep+*", "mapping": {"0": "a", "1": "b"}""";

    private static readonly PromptTask Task = new(
        "t",
        PromptTemplate.Parse("*cls**sent_0**mask**sep+*"),
        Verbalizer.ParseMapping("{'0':'a','1':'b'}")
    );

    [Fact]
    public void OtherLabelsDropTheOptions()
    {
        PromptTask task = Task with { Autoregressive = new("{0} so", " a", " b") };
        Assert.Equal([" a", " b"], task.Autoregressive!.Options);
        Assert.NotNull((task with { Verbalizer = Verbalizer.ParseMapping("{'0':'c','1':'d'}") }).Autoregressive);
        Assert.Null((task with { Verbalizer = Verbalizer.ParseMapping("{'1':'a','0':'b'}") }).Autoregressive);
        Assert.Null((task with { Autoregressive = null }).Autoregressive);
    }

    [Fact]
    public void OptionsAndSentencesAreAsManyAsTheTasks()
    {
        Assert.StartsWith(
            "The task 't' has 2 labels, and its autoregressive prompt 3 options.",
            Assert.Throws<ArgumentException>(() => Task with { Autoregressive = new("{0} so", " a", " b", " c") }).Message,
            StringComparison.Ordinal
        );
        Assert.StartsWith(
            "The task 't' has one sentence, and its autoregressive template '{0} {1}' another number.",
            Assert.Throws<ArgumentException>(() => Task with { Autoregressive = new("{0} {1}", " a", " b") }).Message,
            StringComparison.Ordinal
        );
        PromptTask pair = Task with { Template = PromptTemplate.Parse("*cls**sent_0**mask**+sentl_1**sep+*") };
        Assert.StartsWith(
            "The task 't' has two sentences, and its autoregressive template '{0}' another number.",
            Assert.Throws<ArgumentException>(() => pair with { Autoregressive = new("{0}", " a", " b") }).Message,
            StringComparison.Ordinal
        );
    }

    [Theory]
    [InlineData(", \"score_range\": [0, 1], \"metric\": \"accuracy\"", "metric: a task with a score range has the metric correlation")]
    [InlineData(", \"metric\": \"correlation\"", "metric: correlation needs a score_range")]
    [InlineData(", \"first_sentence_limit\": 0", "first_sentence_limit: it is 0 and must be at least 1")]
    [InlineData(", \"other_sentence_limit\": -1", "other_sentence_limit: it is -1 and must be at least 1")]
    [InlineData(
        """, "autoregressive": {"template": "{0}", "options": {"0": " a", "1": null}}""",
        "autoregressive: its option for the label '1' is null"
    )]
    [InlineData(
        """, "autoregressive": {"template": "{0}", "options": {"0": " a", "1": " b"}, "max_length": 0}""",
        "autoregressive: its max_length is 0 and must be at least 1"
    )]
    [InlineData(
        """, "autoregressive": {"template": "{0}", "options": {"0": " a"}}""",
        "autoregressive: its options are for 0, and the mapping has 0, 1"
    )]
    [InlineData(
        """, "autoregressive": {"template": "{0}", "options": {"0": " a", "2": " b"}}""",
        "autoregressive: its options are for 0, 2, and the mapping has 0, 1"
    )]
    public void APartThatIsWrongIsNamed(string more, string reason)
    {
        byte[] json = Encoding.UTF8.GetBytes($"[{{{Right}{more}}}]");
        Assert.Equal($"x, task 't', {reason}", Assert.Throws<InvalidDataException>(() => PromptTaskFile.Read(json, "x")).Message);
    }

    [Fact]
    public void PartsThatAreRightAreRead()
    {
        PromptTask task = PromptTaskFile
            .Read(
                Encoding.UTF8.GetBytes(
                    $$$"""[{ {{{Right}}}, "score_range": [0, 1], "metric": "correlation", "autoregressive": {"template": "{0}", "options": {"1": " b", "0": " a"}} }]"""
                ),
                "x"
            )
            .Single();
        Assert.Equal((PromptMetric.Correlation, true), (task.Metric, task.IsRegression));
        Assert.Equal([" a", " b"], task.Autoregressive!.Options);
        Assert.Same(PromptTasks.Find("MRPC"), PromptTasks.Find("mrpc"));
        Assert.StartsWith(
            "There is no task 'x'. Known are cola",
            Assert.Throws<ArgumentException>(() => PromptTasks.Find("x")).Message,
            StringComparison.Ordinal
        );
    }
}
