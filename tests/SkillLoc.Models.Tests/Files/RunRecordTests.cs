using System.Diagnostics;
using SkillLoc.Models.Runs;
using SkillLoc.Models.Tests.Checkpoints;

namespace SkillLoc.Models.Tests.Files;

/// <summary>Logs of runs: what is appended, what is read and what is refused.</summary>
public sealed class RunRecordTests : IDisposable
{
    private static readonly DateTimeOffset Time = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);

    private readonly TemporaryFolder _folder = new();

    private string Log => _folder.PathOf("runs.jsonl");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void ARecordIsALine()
    {
        RunRecord record = new()
        {
            Id = "1",
            Time = Time,
            Kind = "graft",
            Task = "sst-2",
            Checkpoint = "base",
            Rows = 3,
            Steps = 4,
            Seconds = 1.5,
            Options = new Dictionary<string, string> { ["rate"] = "0.1" },
            Metrics = new Dictionary<string, double> { ["loss"] = 0.25 },
        };
        string log = Path.Join(_folder.Path, "new", "runs.jsonl");
        RunRecord.Append(log, record);
        RunRecord.Append(log, record with { Fingerprint = "f" });
        const string Start = """{"id":"1","time":"2026-01-02T03:04:05+00:00","kind":"graft","task":"sst-2","checkpoint":"base",""";
        string end = """ "rows":3,"steps":4,"seconds":1.5,"options":{"rate":"0.1"},"metrics":{"loss":0.25}} """.Trim();
        Assert.Equal($"{Start}{end}\n{Start}\"fingerprint\":\"f\",{end}\n", File.ReadAllText(log));
        IReadOnlyList<RunRecord> read = RunRecord.Read(log);
        Assert.Equal(["", "f"], read.Select(each => each.Fingerprint ?? ""));
        Assert.Equal((record.Id, record.Time, record.Kind, record.Seconds), (read[0].Id, read[0].Time, read[0].Kind, read[0].Seconds));
        Assert.Equal(0.25, read[0].Metrics["loss"]);
        Assert.Equal("0.1", read[0].Options["rate"]);
    }

    [Theory]
    [InlineData(double.NaN)]
    [InlineData(double.PositiveInfinity)]
    [InlineData(double.NegativeInfinity)]
    public void AMetricIsFinite(double value)
    {
        RunRecord record = new()
        {
            Kind = "x",
            Metrics = new Dictionary<string, double> { ["good"] = 1, ["loss"] = value },
        };
        Assert.StartsWith(
            $"The metric 'loss' is {value}; a record holds finite numbers only.",
            Assert.Throws<ArgumentException>(() => RunRecord.Append(Log, record)).Message,
            StringComparison.Ordinal
        );
        Assert.False(File.Exists(Log));
        Assert.Throws<ArgumentNullException>(() => RunRecord.Append(Log, null!));
        Assert.Throws<ArgumentException>(() => RunRecord.Append("", record));
    }

    [Theory]
    [InlineData("", "")]
    [InlineData("{\"kind\":\"a\"}\n", "{\"kind\":\"a\"}\n")]
    [InlineData("{\"kind\":\"a\"}\n{\"ki", "{\"kind\":\"a\"}\n{\"ki\n")]
    public void HalfALineIsEnded(string before, string kept)
    {
        File.WriteAllText(Log, before);
        RunRecord.Append(
            Log,
            new()
            {
                Kind = "b",
                Id = "1",
                Time = Time,
            }
        );
        string[] lines = File.ReadAllText(Log).Split("{\"id\"");
        Assert.Equal(kept, lines[0]);
        Assert.Equal(2, lines.Length);
        Assert.Equal("b", RunRecord.Read(Log)[^1].Kind);
        Assert.Equal(before.Length == 0 ? 1 : 2, RunRecord.Read(Log).Count);
    }

    [Theory]
    [InlineData(null, true)]
    [InlineData("", true)]
    [InlineData("{\"kind\":\"a\"}\n", true)]
    [InlineData("\n", true)]
    [InlineData("text\n", false)]
    [InlineData(" {", false)]
    public void ALogCanBeAppendedTo(string? content, bool isLog)
    {
        string log = Path.Join(_folder.Path, "new", "runs.jsonl");
        if (content is not null)
        {
            Directory.CreateDirectory(Path.GetDirectoryName(log)!);
            File.WriteAllText(log, content);
        }

        if (isLog)
        {
            RunRecord.CheckWritable(log);
        }
        else
        {
            Assert.Equal(
                $"'{log}' is no log of runs: its lines are JSON objects. Name another file.",
                Assert.Throws<IOException>(() => RunRecord.CheckWritable(log)).Message
            );
        }

        Assert.True(Directory.Exists(Path.GetDirectoryName(log)));
        Assert.Equal(content, File.Exists(log) ? File.ReadAllText(log) : null);
    }

    [Theory]
    [InlineData("null", "is no record of a run: It is null.")]
    [InlineData("5", "is no record of a run: ")]
    [InlineData("{}", "is no record of a run: ")]
    [InlineData("{\"kind\":null}", "is no record of a run: ")]
    [InlineData("{\"kind\":\"a\",\"kind\":\"b\"}", "is no record of a run: ")]
    [InlineData("{\"kind\":\"a\",\"rows\":\"b\"}", "is no record of a run: ")]
    [InlineData("{\"kind\":\"\\ud800\"}", "is no record of a run: ")]
    public void ALineThatIsNoRecordIsRefused(string line, string reason)
    {
        File.WriteAllText(Log, "{\"kind\":\"a\"}\n" + line + "\n");
        Assert.StartsWith(
            $"{Log}, line 2 {reason}",
            Assert.Throws<InvalidDataException>(() => RunRecord.Read(Log)).Message,
            StringComparison.Ordinal
        );
    }

    [Theory]
    [InlineData("")]
    [InlineData("{\"kind\":\"a\"")]
    [InlineData("{\"kind\":\"a\"} {")]
    [InlineData("text")]
    public void ALineThatIsNotCompleteIsPassedOver(string line)
    {
        File.WriteAllText(Log, "{\"kind\":\"a\"}\n" + line + "\n{\"kind\":\"b\"}");
        Assert.Equal(["a", "b"], RunRecord.Read(Log).Select(record => record.Kind));
        Assert.Throws<FileNotFoundException>(() => RunRecord.Read(_folder.PathOf("none")));
    }

    [Fact]
    public async Task AnotherProcessIsWaitedFor()
    {
        FileStream other = RunRecord.OpenAlone(Log, TimeSpan.Zero);
        var time = Stopwatch.StartNew();
        Assert.Throws<IOException>(() => RunRecord.OpenAlone(Log, TimeSpan.FromMilliseconds(100)));
        Assert.True(time.ElapsedMilliseconds >= 90, $"{time.Elapsed}");
        var waiting = Task.Run(() => RunRecord.Append(Log, new() { Kind = "b" }), TestContext.Current.CancellationToken);
        await Task.Delay(100, TestContext.Current.CancellationToken);
        Assert.False(waiting.IsCompleted);
        await other.DisposeAsync();
        await waiting;
        Assert.Equal("b", Assert.Single(RunRecord.Read(Log)).Kind);
    }

    [Fact]
    public void APlaceThatCannotBeIsNotWaitedFor()
    {
        Assert.Throws<DirectoryNotFoundException>(() => RunRecord.OpenAlone(_folder.PathOf("none/runs.jsonl"), TimeSpan.MaxValue));
        Assert.Throws<PathTooLongException>(() => RunRecord.OpenAlone(_folder.PathOf(new string('a', 5000)), TimeSpan.MaxValue));
    }
}
