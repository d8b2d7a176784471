using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;

namespace SkillLoc.EndToEnd.Tests;

/// <summary>
/// Whenever a training or a study's worker is killed, the next goes on to the same bits. SKILLLOC_KILLS says at how many moments of each
/// kind; eng/kill-test.sh takes 200.
/// </summary>
public sealed class KilledTrainingTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("killed-training-tests");
    private readonly Random _random = new(Environment.TickCount);

    private static int Kills { get; } =
        Environment.GetEnvironmentVariable("SKILLLOC_KILLS") is { Length: > 0 } kills ? int.Parse(kills, CultureInfo.InvariantCulture) : 3;

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [InlineData("fine-tuning")]
    [InlineData("masks")]
    [InlineData("curves")]
    public void ATrainingThatIsKilledGoesOnToTheSameBits(string what)
    {
        string folder = PathOf(what);
        Directory.CreateDirectory(folder);
        var clock = new Stopwatch();
        using (Process whole = Train())
        {
            clock.Start();
            Assert.Equal(0, End(whole));
        }

        TimeSpan time = clock.Elapsed;
        string expected = Hash(folder);
        int resumed = 0;
        for (int kills = 0; kills < Kills; )
        {
            using Process training = Train();
            if (kills == 0)
            {
                // Once at least there must be a state to go on from.
                SpinWait.SpinUntil(() => training.HasExited || Path.Exists(Path.Join(folder, "state")));
            }
            else
            {
                Thread.Sleep(time * _random.NextDouble() * 0.8);
            }

            if (!training.HasExited)
            {
                training.Kill();
                kills++;
            }

            _ = End(training);
            if (training.ExitCode == 0)
            {
                Assert.Equal(expected, Hash(folder));
            }
            else if (Path.Exists(Path.Join(folder, "state")))
            {
                resumed++;
            }
        }

        using Process last = Train();
        Assert.Equal(0, End(last));
        Assert.Equal(expected, Hash(folder));
        Assert.True(resumed > 0, "No kill left a state.");
        TestContext.Current.SendDiagnosticMessage($"{what}: {Kills} kills, {resumed} with a state to go on from.");

        Process Train()
        {
            foreach (string left in Directory.GetFileSystemEntries(folder, "result*"))
            {
                Remove(left);
            }

            Process training = Start("KilledTrainer.dll", what, folder, Oracles.PathOf("tiny-roberta"));
            Assert.Equal("ready", training.StandardOutput.ReadLine());
            return training;
        }
    }

    [Fact]
    public void AStudyWhoseTwoWorkersAreKilledHasTheSameResults()
    {
        string plan = Plan();
        var clock = Stopwatch.StartNew();
        using (Process whole = Work("whole"))
        {
            Assert.Equal(0, End(whole));
        }

        TimeSpan time = clock.Elapsed;
        string[] expected = StudyRuns.Contents(PathOf("whole"));
        int round = 0;
        for (int kills = 0; kills < Kills; round++)
        {
            Process[] workers = [Work($"killed{round}"), Work($"killed{round}")];
            while (kills < Kills && workers.Any(worker => !worker.HasExited))
            {
                Thread.Sleep(time * _random.NextDouble() * 0.4);
                int victim = _random.Next(2);
                if (!workers[victim].HasExited)
                {
                    workers[victim].Kill();
                    kills++;
                    _ = End(workers[victim]);
                    workers[victim].Dispose();
                    workers[victim] = Work($"killed{round}");
                }
            }

            Assert.All(workers, worker => Assert.Equal(0, End(worker)));
            Array.ForEach(workers, worker => worker.Dispose());
            Assert.Equal(expected, StudyRuns.Contents(PathOf($"killed{round}")));
            Assert.Equal(File.ReadAllText(PathOf("whole/results.csv")), File.ReadAllText(PathOf($"killed{round}/results.csv")));
            Assert.Empty(Directory.GetDirectories(PathOf($"killed{round}/state")));
            Assert.Empty(Directory.GetFiles(PathOf($"killed{round}/leases")));
        }

        TestContext.Current.SendDiagnosticMessage($"study: {Kills} kills in {round} studies.");

        Process Work(string output) => Start("skillloc.dll", "study", "run", plan, "--out", PathOf(output));
    }

    private static Process Start(string assembly, params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet", [Path.Join(AppContext.BaseDirectory, assembly), .. arguments])
        {
            RedirectStandardOutput = true,
        };
        start.Environment["OMP_NUM_THREADS"] = "1";
        return Process.Start(start)!;
    }

    private static int End(Process process)
    {
        _ = process.StandardOutput.ReadToEnd();
        Assert.True(process.WaitForExit(Patience));
        return process.ExitCode;
    }

    private static string Hash(string folder)
    {
        string result = Path.Join(folder, "result");
        string[] files = Directory.Exists(result) ? [.. Directory.GetFiles(result).Order(StringComparer.Ordinal)] : [result];
        return string.Join(
            '\n',
            files.Select(file => $"{Path.GetFileName(file)} {Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(file)))}")
        );
    }

    private static void Remove(string path)
    {
        if (Directory.Exists(path))
        {
            Directory.Delete(path, recursive: true);
        }
        else
        {
            File.Delete(path);
        }
    }

    private string Plan()
    {
        File.WriteAllLines(
            PathOf("films.txt"),
            Enumerable.Range(0, 60).Select(i => $"{i % 2} the {(i % 2 == 1 ? "film" : "man")} was {(i / 2 % 2 == 1 ? "it" : "and")}")
        );
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
              "study": "grafting",
              "checkpoint": {{JsonSerializer.Serialize(Oracles.PathOf("tiny-roberta"))}},
              "data": {{JsonSerializer.Serialize(_folder.FullName)}},
              "shots": [8], "seeds": [1], "sparsities": [0.01], "test_rows": 20, "random_draws": 1,
              "fine_tuning": { "optimizer": "adam_w", "learning_rate": 0.005, "epochs": 60, "batch_size": 8, "evaluation_interval": 40 },
              "masks": { "epochs": 10, "learning_rate": 1e9, "max_batches": 2 },
              "task_file": {{JsonSerializer.Serialize(PathOf("tasks.json"))}},
              "tasks": [{ "name": "Films", "task": "toy", "train": { "path": "films.txt", "format": { "layout": "label_first" } } }]
            }
            """
        );
        return PathOf("plan.json");
    }

    private string PathOf(string name) => Path.Combine(_folder.FullName, name);
}
