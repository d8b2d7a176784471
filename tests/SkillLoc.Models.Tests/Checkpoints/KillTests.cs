using System.Collections.Concurrent;
using System.Diagnostics;
using SkillLoc.Models.Checkpoints;

namespace SkillLoc.Models.Tests.Checkpoints;

/// <summary>Whatever a writer is killed at, the old content is there or the new, and the next writer cleans up.</summary>
public sealed class KillTests
{
    private const int Kills = 60;

    // Time for a few dozen writes, so that any moment of one is as likely as another.
    private const int LongestRun = 120;

    [Theory]
    [InlineData("folder")]
    [InlineData("inside")]
    public void AFolderIsOldOrNew(string how) =>
        KillOften(
            how,
            (folder, target) =>
            {
                bool isInside = how == "inside";
                if (isInside)
                {
                    // File by file there is no one moment; the next who opens the folder completes what was begun.
                    AtomicFolder.Recover(target);
                }
                else
                {
                    Assert.True(OperatingSystem.IsLinux(), "Only on Linux folders change places in one step.");
                }

                string[] own = ["config.json", "vocab.txt"];
                string number = Number(Path.Join(target, "config.json"));
                string odd = int.Parse(number) % 2 == 0 ? "0" : "1";
                string[] files = [.. own, $"shard-{odd}", $"shard-{2 + int.Parse(odd)}"];
                Assert.All(files, file => Assert.Equal(number, Number(Path.Join(target, file))));
                Assert.Equal("mine", File.ReadAllText(Path.Join(target, "notes.txt")));
                Assert.Equal("mine too", File.ReadAllText(Path.Join(target, "logs", "log.txt")));
                Assert.Equal("notes.txt", File.ResolveLinkTarget(Path.Join(target, "link"), returnFinalTarget: false)!.Name);
                Assert.Equal(
                    [.. files, "notes.txt", "logs", "link"],
                    Names(target).Where(name => !name.StartsWith(".skillloc-", StringComparison.Ordinal)),
                    Unordered
                );

                // The next writer.
                Predicate<string> isStale = name => name.StartsWith("shard-", StringComparison.Ordinal);
                AtomicFolder.Write(target, into => File.WriteAllText(Path.Join(into, "config.json"), "next\n"), isStale, "config.json");
                Assert.Equal(["target"], Names(folder));
                Assert.Equal(["config.json", "vocab.txt", "notes.txt", "logs", "link"], Names(target), Unordered);
                Assert.Equal(["log.txt"], Names(Path.Join(target, "logs")));
            }
        );

    [Fact]
    public void AFileIsOldOrNew() =>
        KillOften(
            "file",
            (folder, target) =>
            {
                Number(target);
                AtomicFile.WriteText(target, "next");
                Assert.Equal(["target"], Names(folder));
            }
        );

    [Fact]
    public void WriterThatIsAtWorkKeepsItsTemporaries()
    {
        using var folder = new TemporaryFolder();
        string file = folder.PathOf("file"),
            target = folder.PathOf("target");
        AtomicFile.Write(
            file,
            stream =>
            {
                AtomicFile.RemoveLeftovers(file);
                AtomicFile.WriteText(file, "another");
                stream.Write("this"u8);
            }
        );
        Assert.Equal("this", File.ReadAllText(file));
        foreach (bool isInside in new[] { false, true })
        {
            AtomicFolder.Write(
                target,
                into =>
                {
                    AtomicFolder.RemoveLeftovers(target);
                    AtomicFolder.Write(
                        target,
                        other => File.WriteAllText(Path.Join(other, "config.json"), "another"),
                        validBy: "config.json"
                    );
                    File.WriteAllText(Path.Join(into, "config.json"), "this");
                },
                isStale: null,
                validBy: "config.json",
                isInside
            );
            Assert.Equal("this", File.ReadAllText(Path.Join(target, "config.json")));
        }

        Assert.Equal(["file", "target"], folder.Names());
    }

    private static readonly IEqualityComparer<IEnumerable<string>> Unordered = EqualityComparer<IEnumerable<string>>.Create(
        (one, other) => one!.Order().SequenceEqual(other!.Order()),
        _ => 0
    );

    private static void KillOften(string how, Action<string, string> check)
    {
        var failures = new ConcurrentBag<string>();
        var random = new Random(5);
        int[] moments = [.. Enumerable.Range(0, Kills).Select(_ => random.Next(LongestRun))];
        Parallel.ForEach(
            moments,
            new ParallelOptions { MaxDegreeOfParallelism = 4 },
            moment =>
            {
                using var folder = new TemporaryFolder();
                string target = folder.PathOf("target");
                if (how != "file")
                {
                    Directory.CreateDirectory(Path.Join(target, "logs"));
                    File.WriteAllText(Path.Join(target, "notes.txt"), "mine");
                    File.WriteAllText(Path.Join(target, "logs", "log.txt"), "mine too");
                    File.CreateSymbolicLink(Path.Join(target, "link"), "notes.txt");
                }

                using (
                    Process process = Process.Start(
                        new ProcessStartInfo("dotnet", [Path.Join(AppContext.BaseDirectory, "KilledWriter.dll"), how, target])
                        {
                            RedirectStandardOutput = true,
                        }
                    )!
                )
                {
                    Assert.Equal("ready", process.StandardOutput.ReadLine());
                    Thread.Sleep(moment);
                    process.Kill();
                    process.WaitForExit();
                }

                try
                {
                    check(folder.Path, target);
                }
                catch (Exception error)
                {
                    failures.Add($"After {moment} ms: {error.Message}\n{error.StackTrace}");
                }
            }
        );
        Assert.True(failures.IsEmpty, $"{failures.Count} of {Kills}: {failures.FirstOrDefault()}");
    }

    private static IEnumerable<string> Names(string folder) =>
        Directory.EnumerateFileSystemEntries(folder).Select(entry => Path.GetFileName(entry));

    private static string Number(string file)
    {
        string[] lines = File.ReadAllLines(file);
        Assert.Equal(2000, lines.Length);
        return Assert.Single(lines.Distinct());
    }
}
