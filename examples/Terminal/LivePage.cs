using System.Diagnostics;
using System.Globalization;
using SkillLoc.Studies;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace SkillLoc.Terminal;

/// <summary>
/// The work of a study, or of another program that does one thing after the other, as one page in the terminal: runs done, the current
/// run with its loss as a sparkline, the time left, and the last messages. Where the output is no terminal nothing is drawn.
/// </summary>
/// <param name="unit">What is done one after the other.</param>
public sealed class LivePage(string unit = "runs") : IProgress<StudyProgress>
{
    private const int MostMessages = 4,
        BarWidth = 30,
        LossWidth = 40;

    private static readonly TimeSpan BetweenDrawings = TimeSpan.FromMilliseconds(250);

    private readonly Lock _lock = new();
    private readonly Stopwatch _clock = Stopwatch.StartNew();
    private readonly Queue<string> _messages = new();
    private readonly List<double> _losses = [];
    private StudyProgress? _last;

    /// <summary>Does a worker's work, and shows it if there is a terminal; otherwise lines and messages go where they always
    /// go.</summary>
    /// <param name="console">The console.</param>
    /// <param name="options">The worker's options.</param>
    /// <param name="work">Works.</param>
    /// <returns>What the work says.</returns>
    public static StudyExit Show(IAnsiConsole console, StudyRunOptions options, Func<StudyRunOptions, StudyExit> work)
    {
        ArgumentNullException.ThrowIfNull(console);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(work);
        return Show(
            console,
            new LivePage(),
            // The study's log has the lines of the runs, too.
            (page, messages) =>
                work(page is null ? options : options with { Lines = TextWriter.Null, Messages = messages, Progress = page })
        );
    }

    /// <summary>Does some work, and shows it if there is a terminal.</summary>
    /// <param name="console">The console.</param>
    /// <param name="page">The page.</param>
    /// <param name="work">Works; it gets the page, which is to be told how far it is, or null where there is no terminal, and where
    /// messages for people go.</param>
    /// <returns>What the work gives.</returns>
    public static T Show<T>(IAnsiConsole console, LivePage page, Func<LivePage?, TextWriter, T> work)
    {
        ArgumentNullException.ThrowIfNull(console);
        ArgumentNullException.ThrowIfNull(page);
        ArgumentNullException.ThrowIfNull(work);
        if (!console.Profile.Capabilities.Interactive)
        {
            return work(null, TextWriter.Null);
        }

        return console
            .Live(page.Draw())
            .AutoClear(false)
            .Start(live =>
            {
                using var messages = new Lines(page.Say);
                using var timer = new Timer(_ => live.UpdateTarget(page.Draw()), null, BetweenDrawings, BetweenDrawings);
                T result = work(page, messages);
                using (var ended = new ManualResetEvent(false))
                {
                    timer.Dispose(ended);
                    ended.WaitOne();
                }

                live.UpdateTarget(page.Draw());
                return result;
            });
    }

    /// <inheritdoc/>
    public void Report(StudyProgress value)
    {
        ArgumentNullException.ThrowIfNull(value);
        lock (_lock)
        {
            if (value.Run != _last?.Run || value.Step?.Step < _last?.Step?.Step)
            {
                _losses.Clear();
            }

            if (value.Step is { } step && double.IsFinite(step.Loss))
            {
                _losses.Add(step.Loss);
            }

            _last = value;
        }
    }

    /// <summary>The page as it is now.</summary>
    public IRenderable Draw()
    {
        lock (_lock)
        {
            var rows = new List<IRenderable>();
            if (_last is { } at)
            {
                string failed = at.Failed > 0 ? string.Create(CultureInfo.InvariantCulture, $", {at.Failed} failed") : "";
                rows.Add(Line(FormattableString.Invariant($"{at.Study}: {at.Done} of {at.Runs} {unit} done{failed}")));
                rows.Add(Line($"{Bar(at.Runs == 0 ? 1 : (double)at.Done / at.Runs)}  {Clock(_clock.Elapsed)} so far{Left(at)}"));
                rows.Add(
                    Line(
                        at.Run is null ? ""
                        : at.Step is { } step ? FormattableString.Invariant($"{at.Run}: step {step.Step} of {step.Steps}")
                        : at.Run
                    )
                );
                rows.Add(
                    Line(
                        _losses.Count == 0
                            ? ""
                            : FormattableString.Invariant($"loss {_losses[^1]:0.000}  {Sparkline.Of(_losses, LossWidth)}")
                    )
                );
            }

            rows.AddRange(_messages.Select(Line));
            return new Rows(rows);
        }

        // Text, not markup: names and messages may hold brackets.
        static Text Line(string text) => new(text);
    }

    private void Say(string message)
    {
        lock (_lock)
        {
            _messages.Enqueue(message);
            if (_messages.Count > MostMessages)
            {
                _messages.Dequeue();
            }
        }
    }

    /// <summary>By the mean time of the runs that were done here, with what is done of the current one.</summary>
    private string Left(StudyProgress at)
    {
        double part = at.Step is { Steps: > 0 } step ? Math.Clamp((double)step.Step / step.Steps, 0, 1) : 0,
            done = at.DoneHere + part;
        return done <= 0 || at.Done >= at.Runs
            ? ""
            : $", about {Clock(TimeSpan.FromSeconds(_clock.Elapsed.TotalSeconds / done * (at.Runs - at.Done - part)))} left";
    }

    private static string Bar(double share)
    {
        int full = (int)Math.Round(Math.Clamp(share, 0, 1) * BarWidth);
        return new string('█', full) + new string('░', BarWidth - full);
    }

    private static string Clock(TimeSpan time) =>
        time.TotalHours >= 1
            ? string.Create(CultureInfo.InvariantCulture, $"{(int)time.TotalHours} h {time.Minutes:00} min")
            : string.Create(CultureInfo.InvariantCulture, $"{time.Minutes} min {time.Seconds:00} s");

    /// <summary>Tells whole lines.</summary>
    private sealed class Lines(Action<string> say) : StringWriter(CultureInfo.InvariantCulture)
    {
        public override void WriteLine(string? value) => say(value ?? "");
    }
}
