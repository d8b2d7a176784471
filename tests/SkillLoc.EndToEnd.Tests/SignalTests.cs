using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using SkillLoc.Pretrain;
using SkillLoc.Studies;

namespace SkillLoc.EndToEnd.Tests;

/// <summary>Programs, as processes of their own, stop when they are told to, save their state, and go on with the same command.</summary>
public sealed class SignalTests : IDisposable
{
    private const int Interrupt = 2,
        Terminate = 15,
        User1 = 10;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("signal-tests");

    public SignalTests()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Signals are sent as Linux numbers them.");
        string[] fillers = ["the", "was", "and", "it"];
        File.WriteAllLines(
            PathOf("films.txt"),
            Enumerable
                .Range(0, 60)
                .Select(i => $"{i % 2} {fillers[i % 4]} {(i % 2 == 1 ? "film" : "man")} {fillers[i / 4 % 4]} {fillers[i / 16]}")
        );
        File.WriteAllLines(
            PathOf("films.tsv"),
            File.ReadAllLines(PathOf("films.txt")).Select(line => $"{line[..1]}\t{line[2..]}").Prepend("label\ttext")
        );
        File.WriteAllLines(
            PathOf("tales.txt"),
            Enumerable
                .Range(0, 200)
                .Select(i => string.Join(' ', Enumerable.Range(i, 30).Select(word => $"{fillers[word % 4]} film{word % (i + 1)}")))
        );
    }

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [InlineData("GraftingStudy", Terminate, "state/*", "results.csv")]
    [InlineData("SkillNeuronStudy", User1, "state/*", "curves.csv")]
    [InlineData("ConnectivityStudy", Interrupt, "state/*", "results.csv")]
    [InlineData("Demo", Terminate, "state/*", "results.tsv")]
    public void AProgramThatWasStoppedGoesOnToTheSameResults(string program, int signal, string state, string results)
    {
        // A signal may arrive between two runs of a study, of which no state is left: then it is stopped once more.
        for (int attempt = 0; attempt < 5 && Entries("stopped", state).Length == 0; attempt++)
        {
            using Running stopped = Start(program, "stopped");
            stopped.WaitFor(() => Entries("stopped", state).Length > 0);
            stopped.Send(signal);
            var clock = Stopwatch.StartNew();
            Assert.True(StopSignals.ExitCode == stopped.WaitForExit(), stopped.Output);
            Assert.True(clock.Elapsed < TimeSpan.FromSeconds(10), $"It took {clock.Elapsed} to end.");
            Assert.Contains("go on with the same command", stopped.Output, StringComparison.Ordinal);
        }

        // What trains has left its state, and nothing that is not done counts as done.
        Assert.NotEmpty(Entries("stopped", state));
        Assert.False(File.Exists(PathOf("stopped/" + results)));
        using (Running again = Start(program, "stopped"))
        {
            Assert.True(again.WaitForExit() == 0, again.Output);
        }

        using Running whole = Start(program, "whole");
        Assert.True(whole.WaitForExit() == 0, whole.Output);
        Assert.Equal(File.ReadAllText(PathOf("whole/" + results)), File.ReadAllText(PathOf("stopped/" + results)));
        Assert.Empty(Entries("stopped", state));
    }

    [Fact]
    public void PretrainingGoesOnFromTheUpdateThatItStoppedAfter()
    {
        const int Steps = 300;
        using (Running stopped = Start("Pretrain", "model"))
        {
            stopped.WaitFor(() => TrainingState.Load(PathOf("model")) is not null);
            stopped.Send(Terminate);
            Assert.True(StopSignals.ExitCode == stopped.WaitForExit(), stopped.Output);
            Assert.Contains("stopped after update", stopped.Output, StringComparison.Ordinal);
        }

        TrainingState state = TrainingState.Load(PathOf("model"))!;
        Assert.InRange(state.Step, 1, Steps - 1);
        using Running again = Start("Pretrain", "model");
        Assert.True(again.WaitForExit() == 0, again.Output);
        Assert.Contains($"resuming after update {state.Step}", again.Output, StringComparison.Ordinal);
        Assert.Equal(Steps, TrainingState.Load(PathOf("model"))!.Step);
    }

    [Theory]
    [InlineData("GraftingStudy", "films.txt")]
    [InlineData("Pretrain", "tales.txt")]
    public void ASecondSignalEndsAtOnce(string program, string text)
    {
        // Nobody ever writes into the pipe that the program reads its texts from, so that it never comes to its next step.
        File.Delete(PathOf(text));
        Assert.Equal(0, MakePipe(PathOf(text), 0x180));
        using Running blocked = Start(program, "blocked");
        blocked.WaitFor(() => blocked.IsListening);
        blocked.Send(User1);
        blocked.WaitFor(() => blocked.Output.Contains("a second signal ends at once", StringComparison.Ordinal));
        Assert.False(blocked.HasExited);

        // Within a second it would be taken for the same signal.
        Thread.Sleep(TimeSpan.FromSeconds(1.1));
        blocked.Send(Terminate);

        // As a process that SIGTERM killed.
        Assert.Equal(128 + Terminate, blocked.WaitForExit());
    }

    private Running Start(string program, string output)
    {
        string[] arguments = program switch
        {
            "Demo" =>
            [
                "--data",
                PathOf("films.tsv"),
                "--checkpoint",
                Oracles.PathOf("tiny-roberta"),
                "--output",
                PathOf(output),
                "--template",
                "*cls**sent_0*_It_was*mask*.*sep+*",
                "--mapping",
                "{'0':'bad','1':'good'}",
                "--optimizer",
                "AdamW",
                "--learning-rate",
                "0.002",
                "--epochs",
                "100",
                "--graft-epochs",
                "4",
                "--sparsity",
                "0.01",
            ],
            "Pretrain" =>
            [
                "--text",
                PathOf("tales.txt"),
                "--out",
                PathOf(output),
                "--vocabulary",
                "280",
                "--hidden",
                "16",
                "--layers",
                "1",
                "--heads",
                "2",
                "--ffn",
                "16",
                "--lengths",
                "8..16",
                "--tokens-per-batch",
                "64",
                "--steps",
                "300",
            ],
            _ => ["study", "run", Plan(program), "--out", PathOf(output)],
        };
        return new(arguments[0] == "study" ? "skillloc" : program, arguments);
    }

    private string Plan(string study)
    {
        const string Films = """ "name": "Films", "task": "sst-2", "words": { "0": "bad", "1": "good" } """;
        const string Format = """ "format": { "layout": "label_first" } """;
        string rest = study switch
        {
            "GraftingStudy" => $$"""
                "shots": [8], "seeds": [3], "sparsities": [0.01], "test_rows": 20, "random_draws": 5,
                "fine_tuning": { "optimizer": "adam_w", "learning_rate": 0.005, "epochs": 60, "batch_size": 8, "evaluation_interval": 40 },
                "masks": { "epochs": 2, "learning_rate": 1e9, "max_batches": 2 },
                "task_file": {{JsonSerializer.Serialize(PathOf("tasks.json"))}},
                "tasks": [{ "name": "Films", "task": "toy", "train": { "path": "films.txt", {{Format}} } }]
                """,
            "SkillNeuronStudy" => $$"""
                "seeds": [1], "train_rows": 32,
                "tuning": {
                  "prompt_size": 4, "learning_rate": 0.01, "epochs": 40, "retraining_epochs": 1, "evaluation_interval": 20, "max_length": 16
                },
                "perturbation": { "methods": ["zero"], "fractions": [0.5] },
                "pruning": { "fraction": 0.1, "low_layer": 1, "repetitions": 1 },
                "tasks": [{ {{Films}}, "prompt": "a good film", "sources": [{ "path": "films.txt", {{Format}} }] }]
                """,
            _ => $$"""
                "train_rows": 32, "points": 3, "knowledge_points": 2, "training": { "steps": 80, "batch_size": 8, "max_length": 16 },
                "methods": { "full": { "learning_rate": 0.005 } }, "curves": { "lines": 1, "steps": 2, "evaluation_interval": 1 },
                "mixtures": { "lines": 1, "steps": 2, "granularities": ["block"] },
                "experiments": [{
                  "name": "seeds", "methods": ["full"], "both": { "task": "Films" },
                  "pairs": [{ "name": "one and two", "first": { "seed": 1 }, "second": { "seed": 2 } }]
                }],
                "tasks": [{ {{Films}}, "sources": [{ "path": "films.txt", {{Format}} }] }]
                """,
        };
        File.WriteAllText(
            PathOf("tasks.json"),
            """
            [{ "name": "toy", "template": "*cls**sent_0*_It_was*mask*.*sep+*", "mapping": { "0": "bad", "1": "good" } }]
            """
        );
        File.WriteAllText(
            PathOf("plan.json"),
            $$"""
            {
              "study": "{{study switch
            {
                "GraftingStudy" => "grafting",
                "SkillNeuronStudy" => "skill-neurons",
                _ => "connectivity",
            }}}",
              "checkpoint": {{JsonSerializer.Serialize(Oracles.PathOf("tiny-roberta"))}},
              "data": {{JsonSerializer.Serialize(_folder.FullName)}},
              {{rest}}
            }
            """
        );
        return PathOf("plan.json");
    }

    private string PathOf(string name) => Path.Combine(_folder.FullName, name);

    /// <summary>Files in a folder of the output, which need not be there.</summary>
    private string[] Entries(string output, string pattern)
    {
        string folder = PathOf(Path.Combine(output, Path.GetDirectoryName(pattern)!));
        return Directory.Exists(folder) ? Directory.GetFiles(folder, Path.GetFileName(pattern), SearchOption.AllDirectories) : [];
    }

    [DllImport("libc", EntryPoint = "mkfifo")]
    private static extern int MakePipe([MarshalAs(UnmanagedType.LPUTF8Str)] string path, uint mode);

    /// <summary>A program that runs.</summary>
    private sealed class Running : IDisposable
    {
        private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

        private readonly Process _process;
        private readonly StringBuilder _output = new();

        public Running(string program, string[] arguments)
        {
            // Whoever starts the tests in the background of a script has SIGINT ignored; the program must not inherit that.
            var start = new ProcessStartInfo("/usr/bin/env") { RedirectStandardOutput = true, RedirectStandardError = true };
            string assembly = Path.Join(AppContext.BaseDirectory, program + ".dll");
            foreach (string argument in (string[])["--default-signal=INT", "dotnet", assembly, .. arguments])
            {
                start.ArgumentList.Add(argument);
            }

            start.Environment["OMP_NUM_THREADS"] = "1";
            _process = Process.Start(start)!;
            _process.OutputDataReceived += (_, line) => Add(line.Data);
            _process.ErrorDataReceived += (_, line) => Add(line.Data);
            _process.BeginOutputReadLine();
            _process.BeginErrorReadLine();
        }

        public bool HasExited => _process.HasExited;

        /// <summary>Whether it handles SIGUSR1, by what the kernel says.</summary>
        public bool IsListening
        {
            get
            {
                string? caught = File.ReadLines($"/proc/{_process.Id}/status")
                    .FirstOrDefault(line => line.StartsWith("SigCgt:", StringComparison.Ordinal));
                return caught is not null && (Convert.ToUInt64(caught[7..].Trim(), 16) & (1UL << (User1 - 1))) != 0;
            }
        }

        public string Output
        {
            get
            {
                lock (_output)
                {
                    return _output.ToString();
                }
            }
        }

        public void WaitFor(Func<bool> condition)
        {
            var clock = Stopwatch.StartNew();
            while (!condition())
            {
                Assert.False(_process.HasExited, $"It ended: {Output}");
                Assert.True(clock.Elapsed < Patience, $"It takes too long: {Output}");
                Thread.Sleep(2);
            }
        }

        public void Send(int signal) => Assert.Equal(0, Kill(_process.Id, signal));

        /// <summary>Its exit code, 128 and the signal where one killed it.</summary>
        public int WaitForExit()
        {
            Assert.True(_process.WaitForExit(Patience), $"It takes too long: {Output}");
            _process.WaitForExit();
            return _process.ExitCode;
        }

        public void Dispose()
        {
            if (!_process.HasExited)
            {
                _process.Kill();
            }

            _process.Dispose();
        }

        [DllImport("libc", EntryPoint = "kill")]
        private static extern int Kill(int process, int signal);

        private void Add(string? line)
        {
            lock (_output)
            {
                _output.AppendLine(line);
            }
        }
    }
}
