using SkillLoc.Demo;
using SkillLoc.Models.Prompts;
using SkillLoc.Trainers;
using Spectre.Console;
using Spectre.Console.Testing;

namespace SkillLoc.EndToEnd.Tests;

/// <summary>The demo from a file to its table, on a tiny model.</summary>
public sealed class DemoRunTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void SeveralSeedsShareTheTestRowsAndAddUpToMeans()
    {
        (string[] lines, string said) = Run(seeds: [3, 4], choosing: false);

        Assert.Equal(
            from seed in new[] { "3", "4" }
            from model in new[] { "zero-shot", "fine-tuned", "graft 0.01" }
            select (seed, "Held out", model),
            lines.Select(line => line.Split('\t')).Select(fields => (fields[0], fields[1], fields[2]))
        );

        // Zero-shot scores depend on the test rows only, which all seeds share; training depends on the seed.
        Assert.Equal(Measures(lines[0]), Measures(lines[3]));
        Assert.NotEqual(Measures(lines[1]), Measures(lines[4]));
        Assert.Contains("Mean and standard deviation over 2 seeds, in percent.", said, StringComparison.Ordinal);
        Assert.DoesNotContain("grafting", said, StringComparison.Ordinal);
        Assert.DoesNotContain("steps done", said, StringComparison.Ordinal);
        Assert.True(File.Exists(Path.Combine(_folder, "out", "seed-4", "graft-0.01.zip")));
        Assert.False(Directory.Exists(Path.Combine(_folder, "out", "seed-4", "state")));

        // The report is of the first seed.
        string report = File.ReadAllText(Path.Combine(_folder, "out", "seed-3", "report.html"));
        Assert.Contains("<mark class=", report, StringComparison.Ordinal);
        Assert.NotEmpty(Directory.GetFiles(Path.Combine(_folder, "out", "seed-3", "pictures"), "*.svg"));
        Assert.False(File.Exists(Path.Combine(_folder, "out", "seed-4", "report.html")));
    }

    [Fact]
    public void ChoosingSettingsReadsNoTestRow()
    {
        using var terminal = new TestConsole();
        (string[] lines, _) = Run(seeds: [3], choosing: true, terminal.Interactive().EmitAnsiSequences());

        // On a terminal there is the page of studies.
        Assert.Contains("demo: 6 of 6 steps done", terminal.Output, StringComparison.Ordinal);
        Assert.Contains("grafting, sparsity 0.01: ", terminal.Output, StringComparison.Ordinal);
        Assert.Equal(["Validation", "Validation", "Validation"], lines.Select(line => line.Split('\t')[1]));
    }

    private static string Measures(string line) => string.Join(' ', line.Split('\t')[3..6]);

    private (string[] Lines, string Said) Run(int[] seeds, bool choosing, IAnsiConsole? terminal = null)
    {
        string[] fillers = ["the", "was", "and", "it"];
        string data = Path.Combine(_folder, "films.tsv");
        File.WriteAllLines(
            data,
            Enumerable
                .Range(0, 96)
                .Select(i => $"{i % 2}\t{fillers[i % 4]} {(i % 2 == 1 ? "film" : "man")} {fillers[i / 4 % 4]} {fillers[i / 16 % 4]}")
                .Prepend("label\ttext")
        );
        var options = new DemoOptions
        {
            Checkpoint = Oracles.PathOf("tiny-roberta"),
            Corpus = "",
            Data = data,
            Task = new PromptTask(
                "films",
                PromptTemplate.Parse("*cls**sent_0*_It_was*mask*.*sep+*"),
                Verbalizer.ParseMapping("{'0':'bad','1':'good'}")
            ),
            Output = Path.Combine(_folder, "out"),
            Sparsities = [0.01],
            Optimizer = OptimizerKind.AdamW,
            LearningRate = 2e-3,
            Epochs = 2,
            GraftEpochs = 2,
            GraftLearningRate = 1e8,
            Rows = 40,
            MaxLength = 32,
            Seeds = seeds,
            Choosing = choosing,
        };
        using var said = new StringWriter();
        IAnsiConsole console =
            terminal
            ?? AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(said), Interactive = InteractionSupport.No });
        new SkillLocalization(options, new ConsoleProgress(console)).Run();
        return (File.ReadAllLines(Path.Combine(options.Output, "results.tsv"))[1..], said.ToString());
    }
}
