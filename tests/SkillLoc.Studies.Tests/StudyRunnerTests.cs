using System.Text.Json;
using SkillLoc.FakeStudy;

namespace SkillLoc.Studies.Tests;

/// <summary>What a worker does with a study's folder.</summary>
public sealed class StudyRunnerTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("study-runner-tests");
    private readonly StringWriter _lines = new();
    private readonly StringWriter _messages = new();

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void ARunIsDoneOnceAndSkippedAfterwards()
    {
        Assert.Equal(StudyExit.Done, Run(new()));
        DateTime written = File.GetLastWriteTimeUtc(Results("out")[0]);
        Assert.Equal(["done", "done", "done"], Lines().Select(line => line.GetProperty("status").GetString()));
        Assert.Equal("count 0,0\ncount 1,1\ncount 2,4\n", File.ReadAllText(PathOf("out/results.csv")));
        Assert.Empty(Directory.GetFileSystemEntries(PathOf("out/leases")));
        Assert.Empty(Directory.GetFileSystemEntries(PathOf("out/state")));

        Assert.Equal(StudyExit.Done, Run(new()));
        Assert.Equal(3, Lines().Length);
        Assert.Equal(written, File.GetLastWriteTimeUtc(Results("out")[0]));

        // Other settings are other runs, in the same folder; a plan that grows keeps what is done.
        Assert.Equal(StudyExit.Done, Run(new() { Runs = 4 }));
        Assert.Equal(4, Lines().Length);
        Assert.Equal(StudyExit.Done, Run(new() { Seed = 7 }));
        Assert.Equal(7, Lines().Length);
    }

    [Fact]
    public void ALineOfTheLogTellsWhatHappened()
    {
        Run(new() { Runs = 1, Seed = 5 });
        JsonElement line = Assert.Single(Lines());
        string[] fields =
        [
            "schema",
            "time",
            "study",
            "id",
            "name",
            "status",
            "error",
            "seed",
            "commit",
            "versions",
            "device",
            "threads",
            "host",
            "process",
            "seconds",
            "peak_memory_bytes",
            "metrics",
        ];
        Assert.Equal(fields, line.EnumerateObject().Select(field => field.Name));
        Assert.Equal((1, 5), (line.GetProperty("schema").GetInt32(), line.GetProperty("seed").GetInt32()));
        Assert.Equal("1.2.3", line.GetProperty("versions").GetProperty("skillloc").GetString());
        Assert.Equal("abc", line.GetProperty("commit").GetString());
        Assert.True(line.GetProperty("peak_memory_bytes").GetInt64() > 1 << 20);
        Assert.Equal(0, line.GetProperty("metrics").GetProperty("resumed_from").GetDouble());
        Assert.Equal(_lines.ToString(), File.ReadAllText(PathOf("out/log.jsonl")));
    }

    [Fact]
    public void ShardsAreDisjointAndTheirMergeIsTheWhole()
    {
        var plan = new CountingPlan { Runs = 7, IsTimed = true };
        Assert.Equal(StudyExit.Done, Run(plan, "whole"));
        for (int i = 0; i < 3; i++)
        {
            Assert.Equal(StudyExit.Done, Run(plan, $"shard{i}", options => options with { Shard = new(i, 3) }));
        }

        Assert.Equal([3, 2, 2], Enumerable.Range(0, 3).Select(i => Results($"shard{i}").Length));
        Assert.False(File.Exists(PathOf("shard0/results.csv")));
        StudyMerge.Run([PathOf("shard0"), PathOf("shard1"), PathOf("shard2")], PathOf("merged"), mix: false);
        Assert.Equal(Contents("whole"), Contents("merged"));
        Assert.Equal(7, Contents("merged").Length);
        Assert.Equal(7, File.ReadAllLines(PathOf("merged/log.jsonl")).Length);

        // Times lie beside the results and come along.
        Assert.Equal(7, Directory.GetFiles(PathOf("merged/runs"), "times.json", SearchOption.AllDirectories).Length);
        Assert.Equal(StudyExit.Done, Run(plan, "merged"));
        Assert.Equal(File.ReadAllText(PathOf("whole/results.csv")), File.ReadAllText(PathOf("merged/results.csv")));
    }

    [Fact]
    public void FoldersThatDisagreeAreNotMerged()
    {
        Run(new(), "one");
        Run(new(), "other", options => options with { Build = new("1.2.3", "def") });
        Run(new() { Seed = 2 }, "foreign");
        Run(new(), "changed");
        string result = Results("changed")[1];
        File.WriteAllText(result, File.ReadAllText(result).Replace("\"value\":", "\"value\":1", StringComparison.Ordinal));

        Assert.Contains("of different programs", Refusal("one", "other"), StringComparison.Ordinal);
        Assert.Contains("different studies", Refusal("one", "foreign"), StringComparison.Ordinal);
        Assert.Contains("results of one run and differ", Refusal("one", "changed"), StringComparison.Ordinal);
        Assert.False(Directory.Exists(PathOf("merged")));
        Assert.Throws<FileNotFoundException>(() => StudyMerge.Run([PathOf("nothing")], PathOf("merged"), mix: false));

        string Refusal(params string[] folders) =>
            Assert.Throws<InvalidDataException>(() => StudyMerge.Run([.. folders.Select(PathOf)], PathOf("merged"), mix: false)).Message;
    }

    [Fact]
    public void ResultsOfOtherCommitsAreRefusedUnlessTold()
    {
        Run(new() { Runs = 2 });
        var other = new StudyBuild("1.2.3", "def");
        string message = Assert
            .Throws<InvalidDataException>(() => Run(new() { Runs = 3 }, change: options => options with { Build = other }))
            .Message;
        Assert.Contains("1.2.3+abc", message, StringComparison.Ordinal);
        Assert.Contains("--mix", message, StringComparison.Ordinal);
        Assert.Equal(StudyExit.Done, Run(new() { Runs = 3 }, change: options => options with { Build = other, Mix = true }));
        Assert.Equal(3, Lines().Length);
    }

    [Fact]
    public void AFailedRunLeavesOthersAloneAndIsTriedAgain()
    {
        Assert.Equal(StudyExit.RunFailed, Run(new() { Failing = [1], HasSum = true }));
        Assert.Equal(["done", "failed", "done"], Lines().Select(line => line.GetProperty("status").GetString()));
        Assert.Contains("as it was told to", Lines()[1].GetProperty("error").GetString(), StringComparison.Ordinal);
        Assert.Equal(["done", "failed", "done", "open"], StudyStatus.Of(PathOf("out")).Select(run => run.Status));
        Assert.Equal(StudyExit.Done, Run(new() { HasSum = true }));
        Assert.Equal(["count 1", "sum"], Lines()[3..].Select(line => line.GetProperty("name").GetString()));
        Assert.Equal(2, Lines()[3].GetProperty("metrics").GetProperty("resumed_from").GetDouble());
        Assert.All(StudyStatus.Of(PathOf("out")), run => Assert.Equal("done", run.Status));
    }

    [Fact]
    public void TemporaryFilesGoWhenTheirReadersAreDoneAndComeBackWhenOneIsLost()
    {
        var plan = new CountingPlan { HasSum = true };
        Run(plan);
        Assert.Empty(Directory.GetDirectories(PathOf("out/runs"), "files", SearchOption.AllDirectories));
        Assert.Equal("sum,5", File.ReadAllLines(PathOf("out/results.csv"))[^1]);

        string[] before = Contents("out");
        string sum = StudyStatus.Of(PathOf("out")).Single(run => run.Name == "sum").Id;
        Directory.Delete(PathOf($"out/runs/{sum}"), recursive: true);
        Assert.Equal(StudyExit.Done, Run(plan));
        Assert.Equal(before, Contents("out"));
        Assert.Equal(4 + 4, Lines().Length);
        Assert.Empty(Directory.GetDirectories(PathOf("out/runs"), "files", SearchOption.AllDirectories));
    }

    [Fact]
    public void AShardDoesWhatItsRunsNeed()
    {
        // The fourth run is the sum, and needs the three others.
        Assert.Equal(StudyExit.Done, Run(new() { HasSum = true }, change: options => options with { Shard = new(3, 4) }));
        Assert.Equal(4, Results("out").Length);
    }

    [Theory]
    [InlineData("{", "is damaged")]
    [InlineData(null, "is the result of")]
    public void ADamagedResultIsNotTaken(string? content, string complaint)
    {
        Run(new());
        string[] results = Results("out");
        File.WriteAllText(results[0], content ?? File.ReadAllText(results[1]));
        Assert.Contains(complaint, Assert.Throws<InvalidDataException>(() => Run(new())).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void NamesAreUniqueAndDependenciesStandBefore()
    {
        Assert.Contains(
            "two runs of the name",
            Refusal(new StudyRun("a", 1, _ => 1), new StudyRun("a", 2, _ => 1)),
            StringComparison.Ordinal
        );
        Assert.Contains("does not stand before it", Refusal(new StudyRun("a", 1, _ => 1) { After = ["b"] }), StringComparison.Ordinal);

        string Refusal(params StudyRun[] runs) =>
            Assert.Throws<InvalidDataException>(() => StudyRunner.Run(new Listed(runs), Options("out"))).Message;
    }

    [Fact]
    public void ARunReadsOnlyWhatItComesAfter()
    {
        Assert.Equal(
            StudyExit.RunFailed,
            StudyRunner.Run(
                new Listed(new StudyRun("a", 1, _ => 1), new StudyRun("b", 1, context => context.Result<int>("a"))),
                Options("out")
            )
        );
        Assert.Contains("does not come after 'a'", _messages.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void AnIdDependsOnWhatComesBefore()
    {
        static string Id(int setting, int version) =>
            PlannedRun
                .Of(new Listed(new StudyRun("a", setting, _ => 1), new StudyRun("b", 1, _ => 1) { After = ["a"] }) { Version = version })[1]
                .Id;

        Assert.Equal(Id(1, 1), Id(1, 1));
        Assert.NotEqual(Id(1, 1), Id(2, 1));
        Assert.NotEqual(Id(1, 1), Id(1, 2));
        Assert.Matches("^[0-9a-f]{16}$", Id(1, 1));
    }

    private StudyExit Run(CountingPlan plan, string folder = "out", Func<StudyRunOptions, StudyRunOptions>? change = null) =>
        StudyRunner.Run(new CountingStudy(plan), (change ?? (options => options))(Options(folder)));

    private StudyRunOptions Options(string folder) =>
        new(PathOf(folder))
        {
            Build = new("1.2.3", "abc"),
            Heartbeat = TimeSpan.FromMilliseconds(50),
            Lines = _lines,
            Messages = _messages,
            CancellationToken = TestContext.Current.CancellationToken,
        };

    private JsonElement[] Lines() =>
        [.. _lines.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonDocument.Parse(line).RootElement)];

    private string[] Results(string folder) =>
        [.. Directory.GetFiles(PathOf(folder), "result.json", SearchOption.AllDirectories).Order(StringComparer.Ordinal)];

    private string[] Contents(string folder) =>
        [.. Results(folder).Select(path => $"{Path.GetFileName(Path.GetDirectoryName(path))} {File.ReadAllText(path)}")];

    private string PathOf(string name) => Path.Combine(_folder.FullName, name);

    private sealed class Listed(params StudyRun[] runs) : IStudy
    {
        public string Name => "listed";

        public int Version { get; init; } = 1;

        public IReadOnlyList<StudyRun> Plan() => runs;

        public void Report(StudyResults results, string folder) { }
    }
}
