using System.Diagnostics;
using SkillLoc.Trainers;
using Spectre.Console;

namespace SkillLoc.Demo;

/// <summary>Shows what is going on: bars on a terminal, a line now and then where output is redirected.</summary>
public sealed class ConsoleProgress
{
    private static readonly TimeSpan BetweenLines = TimeSpan.FromSeconds(5);

    private readonly TextWriter _output;
    private readonly IAnsiConsole _console;
    private readonly bool _hasTerminal;

    /// <param name="output">Where it is told instead of the console.</param>
    public ConsoleProgress(TextWriter? output = null)
    {
        _output = output ?? Console.Out;
        _console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(_output) });
        _hasTerminal = output is null && !Console.IsOutputRedirected && _console.Profile.Capabilities.Interactive;
    }

    public void Show(Table table) => _console.Write(table);

    public void Say(string line) => _output.WriteLine(line);

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
        var lines = new Lines(title, _output);
        T result = _hasTerminal ? WithBar(title, work) : work(lines);
        Say($"{title}: {lines.Last ?? "done"} ({clock.Elapsed.TotalSeconds:F1} s)");
        return result;
    }

    private T WithBar<T>(string title, Func<IProgress<TrainingProgress>, T> work) =>
        _console
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

    private sealed class Lines(string title, TextWriter output) : IProgress<TrainingProgress>
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

            output.WriteLine($"{title}: {Last}");
            _sinceLine.Restart();
        }
    }
}
