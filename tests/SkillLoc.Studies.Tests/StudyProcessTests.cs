using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace SkillLoc.Studies.Tests;

/// <summary>Workers as processes: what schedulers, signals and deaths do to them.</summary>
public sealed class StudyProcessTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("study-process-tests");

    public StudyProcessTests() => Assert.SkipUnless(OperatingSystem.IsLinux(), "Signals are sent as Linux numbers them.");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void WorkersOnOneFolderDoEveryRunOnce()
    {
        string plan = Plan("\"runs\": 40, \"has_sum\": true, \"milliseconds_per_step\": 2");
        Assert.Equal(0, Finish("run", plan, "--out", PathOf("whole")));
        FakeProcess[] workers = [.. Enumerable.Range(0, 6).Select(_ => new FakeProcess("run", plan, "--out", PathOf("out")))];
        Assert.All(workers, worker => Assert.True(worker.WaitForExit() == 0, worker.Error));
        Array.ForEach(workers, worker => worker.Dispose());
        string[] done =
        [
            .. Lines("out").Select(line => $"{line.GetProperty("status")} {line.GetProperty("name")}").Order(StringComparer.Ordinal),
        ];
        Assert.Equal(41, done.Length);
        Assert.Equal(done, done.Distinct());
        Assert.All(done, line => Assert.StartsWith("done", line, StringComparison.Ordinal));
        Assert.Equal(Contents("whole"), Contents("out"));
    }

    [Fact]
    public void JobsAreWorkersOfOneCommand()
    {
        string plan = Plan("\"runs\": 12, \"milliseconds_per_step\": 50");
        using var parent = new FakeProcess("run", plan, "--jobs", "3", "--out", PathOf("out"));
        Assert.True(parent.WaitForExit() == 0, parent.Error);
        Assert.Equal(12, parent.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Count(line => line.StartsWith('{')));
        Assert.Equal(12, Lines("out").Select(line => line.GetProperty("id").GetString()).Distinct().Count());
        Assert.InRange(Lines("out").Select(line => line.GetProperty("process").GetInt32()).Distinct().Count(), 2, 3);

        using var stopped = new FakeProcess(
            "run",
            Plan("\"runs\": 12, \"seed\": 2, \"milliseconds_per_step\": 2000"),
            "--jobs",
            "2",
            "--out",
            PathOf("out")
        );
        stopped.WaitFor(() => stopped.Error.Split('\n').Count(line => line.Contains("begins", StringComparison.Ordinal)) == 2);
        stopped.Send(FakeProcess.Terminate);
        Assert.True(stopped.WaitForExit() == 75, stopped.Error);
        Assert.Empty(Directory.GetFiles(PathOf("out/leases")));
    }

    [Theory]
    [InlineData(FakeProcess.Terminate)]
    [InlineData(FakeProcess.Interrupt)]
    [InlineData(FakeProcess.User1)]
    public void AWorkerThatIsToldToStopSavesItsStateAndTheNextGoesOn(int signal)
    {
        string plan = Plan("\"runs\": 2, \"steps\": 6, \"milliseconds_per_step\": 300");
        using (var stopped = new FakeProcess("run", plan, "--out", PathOf("out")))
        {
            stopped.WaitFor(() => StepOf("out") >= 2);
            stopped.Send(signal);
            Assert.True(stopped.WaitForExit() == 75, stopped.Error);
        }

        Assert.Equal(["stopped"], Lines("out").Select(line => line.GetProperty("status").GetString()));
        Assert.Empty(Directory.GetFiles(PathOf("out/leases")));
        Assert.Equal(75, Finish("status", PathOf("out")));
        Assert.Equal(0, Finish("run", plan, "--out", PathOf("out")));
        Assert.True(Lines("out")[1].GetProperty("metrics").GetProperty("resumed_from").GetDouble() >= 2);
        Assert.Equal(0, Finish("status", PathOf("out")));
    }

    [Fact]
    public void AStepThatTakesTooLongIsNotWaitedFor()
    {
        using var stubborn = new FakeProcess(
            "run",
            Plan("\"steps\": 1, \"is_stubborn\": true, \"milliseconds_per_step\": 60000"),
            "--out",
            PathOf("out")
        );
        stubborn.WaitFor(() => stubborn.Error.Contains("begins", StringComparison.Ordinal));
        var clock = Stopwatch.StartNew();
        stubborn.Send(FakeProcess.Terminate);
        Assert.True(stubborn.WaitForExit() == 75, stubborn.Error);
        Assert.InRange(clock.Elapsed.TotalSeconds, 5, 10);
    }

    [Fact]
    public void ARunOfADeadWorkerIsTakenOverAtOnce()
    {
        string plan = Plan("\"runs\": 1, \"steps\": 8, \"milliseconds_per_step\": 250");
        using var dead = new FakeProcess("run", plan, "--out", PathOf("out"));
        dead.WaitFor(() => StepOf("out") >= 2);

        // It sleeps until the other has seen that it holds the run.
        dead.Send(FakeProcess.Pause);
        using var next = new FakeProcess("run", plan, "--out", PathOf("out"));
        next.WaitFor(() => next.Error.Contains("0 of 1 runs are done", StringComparison.Ordinal));
        Thread.Sleep(500);
        Assert.DoesNotContain("begins", next.Error, StringComparison.Ordinal);
        dead.Send(FakeProcess.KillNow);
        Assert.Equal(137, dead.WaitForExit());
        Assert.True(next.WaitForExit() == 0, next.Error);
        JsonElement line = Assert.Single(Lines("out"));
        Assert.True(line.GetProperty("metrics").GetProperty("resumed_from").GetDouble() >= 2);
        Assert.InRange(line.GetProperty("seconds").GetDouble(), 0, 60);
    }

    [Fact]
    public void ASleepingWorkerLosesItsRunAndNoticesWhenItWakesUp()
    {
        string plan = Plan("\"runs\": 1, \"steps\": 40, \"milliseconds_per_step\": 100");
        using var asleep = new FakeProcess("run", plan, "--silence", "1", "--out", PathOf("out"));
        asleep.WaitFor(() => StepOf("out") >= 2);
        asleep.Send(FakeProcess.Pause);
        using var next = new FakeProcess("run", plan, "--silence", "1", "--out", PathOf("out"));
        next.WaitFor(() => next.Error.Contains("begins", StringComparison.Ordinal));
        asleep.Send(FakeProcess.Continue);
        Assert.True(asleep.WaitForExit() == 0, asleep.Error);
        Assert.True(next.WaitForExit() == 0, next.Error);
        Assert.Contains("another worker took it over", asleep.Error, StringComparison.Ordinal);
        Assert.Equal(["done"], Lines("out").Select(each => each.GetProperty("status").GetString()));
    }

    [Fact]
    public void AnArrayTaskTakesItsShareAndMergeGivesTheWhole()
    {
        string plan = Plan("\"runs\": 5");
        Assert.Equal(0, Finish("run", plan, "--out", PathOf("whole")));
        string[] folders = [.. Enumerable.Range(3, 2).Select(task => PathOf($"task{task}"))];
        for (int task = 3; task < 5; task++)
        {
            var variables = new Dictionary<string, string>
            {
                ["SLURM_ARRAY_TASK_ID"] = $"{task}",
                ["SLURM_ARRAY_TASK_MIN"] = "3",
                ["SLURM_ARRAY_TASK_COUNT"] = "2",
            };
            using var worker = new FakeProcess(variables, "run", plan, "--out", folders[task - 3]);
            Assert.True(worker.WaitForExit() == 0, worker.Error);
        }

        Assert.Equal(75, Finish("merge", folders[0], "--out", PathOf("half")));
        Assert.Equal(0, Finish(["merge", .. folders, "--out", PathOf("merged")]));
        Assert.Equal(Contents("whole"), Contents("merged"));
        Assert.Equal(File.ReadAllText(PathOf("whole/results.csv")), File.ReadAllText(PathOf("merged/results.csv")));
    }

    [Fact]
    public void WhatIsWrongFromTheStartIsNotTriedAgain()
    {
        string plan = Plan("\"runs\": 2");
        Assert.Equal(2, Finish("run", PathOf("missing.json"), "--out", PathOf("out")));
        Assert.Equal(2, Finish("run", Plan("\"runs\": 0", "empty.json"), "--out", PathOf("out")));
        Assert.Equal(2, Finish("run", Plan("\"colour\": 1", "odd.json"), "--out", PathOf("out")));
        Assert.Equal(2, Finish("run", Plan("", "other.json", "other"), "--out", PathOf("out")));
        Assert.Equal(2, Finish("run", plan, "--out", PathOf("out"), "--shard", "2/2"));
        Assert.Equal(2, Finish("run", plan, "--out", PathOf("out"), "--jobs", "0"));
        Assert.Equal(2, Finish("run", plan, "--out", PathOf("out"), "--silence", "0"));
        Assert.Equal(2, Finish("run", plan, "--study", "other", "--out", PathOf("out")));
        Assert.Equal(2, Finish("status", PathOf("out")));
        Assert.Equal(2, Finish("merge", PathOf("out"), "--out", PathOf("merged")));
        Assert.False(Directory.Exists(PathOf("out")));

        Assert.Equal(1, Finish("run", Plan("\"failing\": [1]", "failing.json"), "--out", PathOf("failed")));
        Assert.Equal(1, Finish("status", PathOf("failed")));
    }

    [Fact]
    public void APlanIsListedAndResultsAreAllThatStandsOnTheOutput()
    {
        string plan = Plan("\"runs\": 3, \"seed\": 4");
        using var listed = new FakeProcess("plan", plan, "--list", "--shard", "1/2");
        Assert.Equal(0, listed.WaitForExit());
        JsonElement line = JsonDocument.Parse(listed.Output.Trim()).RootElement;
        Assert.Equal(("count 1", 4), (line.GetProperty("name").GetString(), line.GetProperty("seed").GetInt32()));
        Assert.Equal("""{"place":1,"seed":4}""", line.GetProperty("settings").GetRawText());

        using var run = new FakeProcess("run", plan, "--out", PathOf("out"));
        Assert.Equal(0, run.WaitForExit());
        Assert.Equal(File.ReadAllText(PathOf("out/log.jsonl")).Trim(), run.Output.Trim());
        Assert.Contains(line.GetProperty("id").GetString()!, run.Output, StringComparison.Ordinal);
        using var status = new FakeProcess("status", PathOf("out"));
        Assert.Equal(0, status.WaitForExit());
        Assert.Contains($"done     {line.GetProperty("id").GetString()}  count 1", status.Output, StringComparison.Ordinal);
    }

    private static int Finish(params string[] arguments)
    {
        using var process = new FakeProcess(arguments);
        return process.WaitForExit();
    }

    private string Plan(string settings, string name = "plan.json", string study = "fake")
    {
        File.WriteAllText(PathOf(name), $$"""{ "study": "{{study}}"{{(settings.Length > 0 ? ", " : "")}}{{settings}} }""");
        return PathOf(name);
    }

    private int StepOf(string folder)
    {
        try
        {
            return Directory.GetFiles(PathOf($"{folder}/state"), "steps", SearchOption.AllDirectories) is [var file, ..]
                ? int.Parse(File.ReadAllText(file), CultureInfo.InvariantCulture)
                : 0;
        }
        catch (Exception e) when (e is IOException)
        {
            return 0;
        }
    }

    private JsonElement[] Lines(string folder) =>
        [.. File.ReadAllLines(PathOf(folder + "/log.jsonl")).Select(line => JsonDocument.Parse(line).RootElement)];

    private string[] Contents(string folder) =>
        [
            .. Directory
                .GetFiles(PathOf(folder + "/runs"), "result.json", SearchOption.AllDirectories)
                .Order(StringComparer.Ordinal)
                .Select(File.ReadAllText),
        ];

    private string PathOf(string name) => Path.Combine(_folder.FullName, name);
}
