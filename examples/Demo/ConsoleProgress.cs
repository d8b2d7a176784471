using System.Diagnostics;
using SkillLoc.Trainers;
using Spectre.Console;

namespace SkillLoc.Demo;

/// <summary>Shows what is going on: bars on a terminal, a line now and then where output is redirected.</summary>
public sealed class ConsoleProgress
{
    private static readonly TimeSpan BetweenLines = TimeSpan.FromSeconds(5);

    private readonly bool _hasTerminal = !Console.IsOutputRedirected && AnsiConsole.Profile.Capabilities.Interactive;

    public void Show(Table table) => AnsiConsole.Write(table);

    public void Say(string line) => Console.WriteLine(line);

    public void Step(string title, Action work) =>
        Step(
            title,
            _ =>
            {
                work();
                return true;
            }
        );

    public T Step<T>(string title, Func<T> work) => Step(title, _ => work());

    public T Step<T>(string title, Func<IProgress<TrainingProgress>, T> work)
    {
        var clock = Stopwatch.StartNew();
        var lines = new Lines(title);
        T result = _hasTerminal ? WithBar(title, work) : work(lines);
        Say($"{title}: {lines.Last ?? "done"} ({clock.Elapsed.TotalSeconds:F1} s)");
        return result;
    }

    private static T WithBar<T>(string title, Func<IProgress<TrainingProgress>, T> work) =>
        AnsiConsole
            .Progress()
            .AutoClear(true)
            .Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(), new RemainingTimeColumn())
            .Start(context => work(new Bar(title, context.AddTask(title, autoStart: true))));

    private static string Text(TrainingProgress progress) =>
        $"{progress.Step}/{progress.Steps}, loss {progress.Loss:F3}, metric {progress.Metric:F3}, {progress.RowsPerSecond:F0} rows/s";

    private sealed class Bar(string title, ProgressTask task) : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value)
        {
            task.MaxValue = value.Steps;
            task.Value = value.Step;
            task.Description = Markup.Escape($"{title}: {Text(value)}");
        }
    }

    private sealed class Lines(string title) : IProgress<TrainingProgress>
    {
        private readonly Stopwatch _sinceLine = Stopwatch.StartNew();

        public string? Last { get; private set; }

        public void Report(TrainingProgress value)
        {
            Last = Text(value);
            if (_sinceLine.Elapsed < BetweenLines)
            {
                return;
            }

            Console.WriteLine($"{title}: {Last}");
            _sinceLine.Restart();
        }
    }
}
