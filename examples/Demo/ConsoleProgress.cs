using System.Diagnostics;
using System.Globalization;
using SkillLoc.Studies;
using SkillLoc.Terminal;
using SkillLoc.Trainers;
using Spectre.Console;

namespace SkillLoc.Demo;

/// <summary>Shows what is going on as one page on a terminal; where output is redirected there are results only.</summary>
/// <param name="console">The console.</param>
public sealed class ConsoleProgress(IAnsiConsole console)
{
    private LivePage? _page;
    private TextWriter _messages = TextWriter.Null;
    private int _done,
        _steps;

    /// <summary>This process's console.</summary>
    public static ConsoleProgress OfTerminal() =>
        new(
            AnsiConsole.Create(
                new AnsiConsoleSettings { Interactive = Console.IsOutputRedirected ? InteractionSupport.No : InteractionSupport.Detect }
            )
        );

    public void Show(Table table) => console.Write(table);

    public void Say(string line) => console.Profile.Out.Writer.WriteLine(line);

    /// <summary>Does some work of so many steps, and shows it meanwhile.</summary>
    public void Work(int steps, Action work)
    {
        (_done, _steps) = (0, steps);
        LivePage.Show(
            console,
            new LivePage("steps"),
            (page, messages) =>
            {
                (_page, _messages) = (page, messages);
                work();
                return true;
            }
        );
    }

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
        Tell(title, null);
        T result = work(new Training(at => Tell(title, new(at.Step, at.Steps, at.Loss))));
        _done++;
        _messages.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{title}: {clock.Elapsed.TotalSeconds:F1} s"));
        Tell(null, null);
        return result;
    }

    private void Tell(string? title, RunStep? step) =>
        _page?.Report(
            new()
            {
                Study = "demo",
                Runs = _steps,
                Done = _done,
                Failed = 0,
                DoneHere = _done,
                Run = title,
                Step = step,
            }
        );

    private sealed class Training(Action<TrainingProgress> tell) : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value) => tell(value);
    }
}
