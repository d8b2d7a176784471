using SkillLoc.Studies;
using SkillLoc.Terminal;
using Spectre.Console.Testing;

namespace SkillLoc.EndToEnd.Tests;

/// <summary>A study's work in a terminal that is none.</summary>
public sealed class LivePageTests
{
    private static readonly StudyProgress Begin = new()
    {
        Study = "grafting",
        Runs = 10,
        Done = 4,
        Failed = 1,
        DoneHere = 2,
        Run = "SST-2 [red]seed 1[/]",
    };

    [Fact]
    public void ThePageHasRunsLossAndTimeLeft()
    {
        using var console = new TestConsole();
        console.Interactive().EmitAnsiSequences();
        TextWriter lines = TextWriter.Null;
        StudyExit exit = LivePage.Show(
            console,
            new("folder") { Lines = Console.Out, Messages = Console.Error },
            options =>
            {
                lines = options.Lines;
                options.Messages.WriteLine("study: [bold]4[/] of 10 runs are done.");
                options.Progress!.Report(Begin);
                for (int step = 1; step <= 3; step++)
                {
                    options.Progress.Report(Begin with { Step = new(step, 4, 1.0 / step) });
                }

                return StudyExit.RunFailed;
            }
        );
        Assert.Equal(StudyExit.RunFailed, exit);
        Assert.Same(TextWriter.Null, lines);
        string page = console.Output;
        Assert.Contains("grafting: 4 of 10 runs done, 1 failed", page, StringComparison.Ordinal);
        Assert.Contains("SST-2 [red]seed 1[/]: step 3 of 4", page, StringComparison.Ordinal);
        Assert.Contains("loss 0.333  █▃▁", page, StringComparison.Ordinal);
        Assert.Contains(" left", page, StringComparison.Ordinal);
        Assert.Contains("study: [bold]4[/] of 10 runs are done.", page, StringComparison.Ordinal);
    }

    [Fact]
    public void WithoutATerminalNothingIsDrawnAndNothingChanges()
    {
        using var console = new TestConsole();
        var options = new StudyRunOptions("folder") { Lines = Console.Out };
        Assert.Equal(
            StudyExit.Done,
            LivePage.Show(
                console,
                options,
                given =>
                {
                    Assert.Same(options, given);
                    return StudyExit.Done;
                }
            )
        );
        Assert.Empty(console.Output);
    }

    [Fact]
    public void ALossThatIsNoNumberAndAnotherRunLeaveNoTrace()
    {
        var page = new LivePage();
        var console = new TestConsole();
        page.Report(Begin with { Step = new(1, 0, double.NaN) });
        console.Write(page.Draw());
        Assert.DoesNotContain("loss", console.Output, StringComparison.Ordinal);
        page.Report(Begin with { Step = new(2, 4, 5) });
        page.Report(Begin with { Run = "another", Step = new(1, 4, 7) });
        console.Write(page.Draw());
        Assert.Contains("loss 7.000  ▁", console.Output, StringComparison.Ordinal);
        page.Report(Begin with { Runs = 4, Run = null });
        console = new();
        console.Write(page.Draw());
        Assert.DoesNotContain(" left", console.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void ALineOfBlocksIsAsLongAsAsked()
    {
        Assert.Equal("▁▅█", Sparkline.Of([0, 0.5, 1]));
        Assert.Equal("▁▁", Sparkline.Of([3, 3]));
        Assert.Equal("▁ █", Sparkline.Of([0, double.NaN, 1]));
        Assert.Equal("", Sparkline.Of([]));
        Assert.Equal("▁█", Sparkline.Of([0, 0, 0, 1, 1], 2)[..2]);
        Assert.Equal(40, Sparkline.Of([.. Enumerable.Range(0, 1001).Select(i => (double)i)], 40).Length);
    }
}
