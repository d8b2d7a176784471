using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tests.Checkpoints;

namespace SkillLoc.Models.Tests.Prompts;

public sealed class PromptTaskFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void TasksOfAUserAreRead()
    {
        IReadOnlyList<PromptTask> tasks = Load(
            """
            [
              // The order of the labels is the file's.
              { "name": "stance", "template": "*cls**sent-_0*?*mask*,*+sentl_1**sep+*",
                "mapping": { "pro": "Yes", "none": "Maybe", "con": "No" },
                "metric": "accuracy_and_f1", "max_length": 64, "first_sentence_limit": 40, "other_sentence_limit": 12 },
              { "name": "stars", "template": "*cls**sent_0*_It_was*mask*.*sep+*", "mapping": { "0": "terrible", "1": "great" }, "score_range": [1, 5] },
            ]
            """
        );
        Assert.Equal(["stance", "stars"], tasks.Select(task => task.Name));
        Assert.Equal("{'pro':'Yes','none':'Maybe','con':'No'}", tasks[0].Verbalizer.ToString());
        Assert.Equal("*cls**sent-_0*?*mask*,*+sentl_1**sep+*", tasks[0].Template.ToString());
        Assert.Equal(
            (PromptMetric.AccuracyAndF1, 64, 40, 12, false),
            (tasks[0].Metric, tasks[0].MaxLength, tasks[0].FirstSentenceLimit, tasks[0].OtherSentenceLimit, tasks[0].IsRegression)
        );
        Assert.Equal(
            (PromptMetric.Correlation, 128, null, null, new ScoreRange(1, 5)),
            (tasks[1].Metric, tasks[1].MaxLength, tasks[1].FirstSentenceLimit, tasks[1].OtherSentenceLimit, tasks[1].ScoreRange)
        );
    }

    [Fact]
    public void ATaskSaysHowCausalModelsAreAsked()
    {
        const string Task = """
            [{ "name": "tone", "template": "*cls**sent_0*_It_was*mask*.*sep+*", "mapping": { "bad": "terrible", "good": "great" },
               "autoregressive": { "template": "{0} Verdict:", "options": { "good": " fine", LABEL: " poor" }, "max_length": 99 } }]
            """;
        AutoregressivePrompt prompt = Load(Task.Replace("LABEL", "\"bad\""))[0].Autoregressive!;
        Assert.Equal([" poor", " fine"], prompt.Options);
        Assert.Equal(("{0} Verdict:", 99), (prompt.Template.ToString(), prompt.MaxLength));
        Assert.Contains(
            "task 'tone', autoregressive: its options are for good, awful, and the mapping has bad, good",
            Assert.Throws<InvalidDataException>(() => Load(Task.Replace("LABEL", "\"awful\""))).Message
        );
    }

    [Theory]
    [InlineData("\"template\": \"*cls**sent_0**mask*\",\n\"mapping\": {\"0\": \"a\", \"1\": \"b\"}", "name")]
    [InlineData("\"name\": \"t\", \"template\": \"*cls**sent_0*\", \"mapping\": {\"0\": \"a\", \"1\": \"b\"}", "task 't', template: ")]
    [InlineData(
        "\"name\": \"t\", \"template\": \"*sent_0**mask*\", \"mapping\": {\"0\": \"a\"}",
        "task 't', mapping: A verbalizer needs at least two labels"
    )]
    [InlineData(
        "\"name\": \"t\", \"template\": \"*sent_0**mask*\", \"mapping\": {\"0\": \"a\",\n \"0\": \"b\"}",
        "line 2, at $[0].mapping"
    )]
    [InlineData(
        "\"name\": \"t\", \"template\": \"*sent_0**mask*\", \"mapping\": {\"0\": \"a\", \"1\": \"a\"}",
        "task 't', mapping: The verbalizer has the word 'a' twice"
    )]
    [InlineData("\"name\": \"t\",\n\"tempalte\": \"*sent_0**mask*\"", "line 2, at $[0].tempalte")]
    [InlineData(
        "\"name\": \"t\", \"template\": \"*sent_0**mask*\", \"mapping\": {\"0\": \"a\", \"1\": \"b\"},\n\n\"metric\": \"acc\"",
        "line 3, at $[0].metric: \"acc\" was found; expected one of accuracy, accuracy_and_f1, matthews_correlation, correlation."
    )]
    [InlineData(
        "\"name\": \"t\", \"template\": \"*sent_0**mask*\", \"mapping\": {\"0\": \"a\", \"1\": \"b\"}, \"max_length\": 0",
        "task 't', max_length: it is 0 and must be at least 1"
    )]
    [InlineData(
        "\"name\": \"t\", \"template\": \"*sent_0**mask*\", \"mapping\": {\"0\": \"a\", \"1\": \"b\", \"2\": \"c\"}, \"score_range\": "
            + "[0, 1]",
        "task 't', mapping: a task with a score range has two words"
    )]
    [InlineData(
        "\"name\": \"t\", \"template\": \"*sent_0**mask*\", \"mapping\": {\"0\": \"a\", \"1\": \"b\"}, \"metric\": \"correlation\"",
        "task 't', metric: correlation needs a score_range"
    )]
    [InlineData("\"name\": \" \", \"template\": \"*sent_0**mask*\", \"mapping\": {\"0\": \"a\", \"1\": \"b\"}", "name is empty")]
    public void AWrongTaskIsAnsweredWithFileAndProperty(string task, string expected)
    {
        InvalidDataException e = Assert.Throws<InvalidDataException>(() => Load($"[{{{task}}}]"));
        Assert.Contains("tasks.json", e.Message);
        Assert.Contains(expected, e.Message);
    }

    [Fact]
    public void AFileHasTasksWithNamesOfTheirOwn()
    {
        const string Task = "{\"name\": \"NAME\", \"template\": \"*sent_0**mask*\", \"mapping\": {\"0\": \"a\", \"1\": \"b\"}}";
        Assert.Contains(
            "'t' is there twice",
            Assert.Throws<InvalidDataException>(() => Load($"[{Task.Replace("NAME", "t")}, {Task.Replace("NAME", "T")}]")).Message
        );
        Assert.Contains("no tasks", Assert.Throws<InvalidDataException>(() => Load("[]")).Message);
        Assert.Contains("line 1", Assert.Throws<InvalidDataException>(() => Load("{}")).Message);
        Assert.Throws<FileNotFoundException>(() => PromptTasks.Load(_folder.PathOf("none.json")));
    }

    private IReadOnlyList<PromptTask> Load(string json)
    {
        string path = _folder.PathOf("tasks.json");
        File.WriteAllText(path, json);
        return PromptTasks.Load(path);
    }
}
