using System.Diagnostics;
using System.Runtime.InteropServices;

namespace SkillLoc.Studies;

/// <summary>
/// Ends a program in good order. The first SIGINT (Ctrl+C), SIGTERM or SIGUSR1 asks it to stop at its next step and to save its state; a
/// second, a second or more later, ends it at once, as if nobody listened. Without these registrations .NET 10 dies of SIGTERM.
/// </summary>
public sealed partial class StopSignals : IDisposable
{
    // A scheduler signals a job's processes and their parents, which pass it on: that is one signal.
    private static readonly TimeSpan SameSignal = TimeSpan.FromSeconds(1);

    /// <summary>The exit code of a program that was stopped and goes on with the same command: EX_TEMPFAIL, "try again".</summary>
    public const int ExitCode = 75;

    private readonly CancellationTokenSource _stop = new();
    private readonly PosixSignalRegistration[] _registrations;
    private readonly TimeSpan? _patience;
    private Timer? _timer;
    private long _first;

    /// <summary>Listens for the signals until it is disposed.</summary>
    /// <param name="patience">The process ends with <see cref="ExitCode"/> this long after the first signal, wherever it is by then; null
    /// for never. Schedulers kill after 30 seconds; <see cref="DefaultPatience"/> suits them.</param>
    public StopSignals(TimeSpan? patience = null)
    {
        _patience = patience;
        IEnumerable<PosixSignal> signals = [PosixSignal.SIGINT, PosixSignal.SIGTERM];
        if (!OperatingSystem.IsWindows())
        {
            // SIGUSR1, which .NET has no name for.
            signals = signals.Append((PosixSignal)(OperatingSystem.IsMacOS() ? 30 : 10));
        }

        _registrations = [.. signals.Select(signal => PosixSignalRegistration.Create(signal, Stop))];
    }

    /// <summary>8 seconds.</summary>
    public static TimeSpan DefaultPatience { get; } = TimeSpan.FromSeconds(8);

    /// <summary>Cancelled by the first signal.</summary>
    public CancellationToken Token => _stop.Token;

    /// <summary>Runs a program that can be stopped.</summary>
    /// <param name="program">The program, which throws an <see cref="OperationCanceledException"/> when it was stopped.</param>
    /// <param name="patience">As of the constructor.</param>
    /// <returns>The program's exit code, or <see cref="ExitCode"/> when it was stopped.</returns>
    public static int Run(Func<CancellationToken, int> program, TimeSpan? patience = null)
    {
        ArgumentNullException.ThrowIfNull(program);
        using var signals = new StopSignals(patience);
        try
        {
            return program(signals.Token);
        }
        catch (OperationCanceledException) when (signals.Token.IsCancellationRequested)
        {
            Console.Error.WriteLine("Stopped, and what was done is saved: go on with the same command.");
            return ExitCode;
        }
    }

    /// <summary>Stops a program whose training was cut short, which has left its state then; one that came to its end goes on.</summary>
    /// <param name="stateFile">The training's state.</param>
    /// <param name="stop">What cut it.</param>
    /// <exception cref="OperationCanceledException">It was.</exception>
    public static void ThrowIfCut(string stateFile, CancellationToken stop)
    {
        if (File.Exists(stateFile))
        {
            stop.ThrowIfCancellationRequested();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Array.ForEach(_registrations, registration => registration.Dispose());
        _timer?.Dispose();
        _stop.Dispose();
    }

    private void Stop(PosixSignalContext context)
    {
        if (_stop.IsCancellationRequested)
        {
            context.Cancel = Stopwatch.GetElapsedTime(_first) < SameSignal;
            return;
        }

        context.Cancel = true;
        _first = Stopwatch.GetTimestamp();
        if (_patience is { } patience)
        {
            _timer = new(_ => EndNow(), null, patience, Timeout.InfiniteTimeSpan);
        }

        Console.Error.WriteLine("Stopping at the next step; a second signal ends at once.");
        _stop.Cancel();
    }

    /// <summary>Ends without waiting for native code, which may be in the middle of a step; files are written in one step and stay
    /// whole.</summary>
    private static void EndNow()
    {
        Console.Error.WriteLine("The step takes too long: what was saved before it stays. Go on with the same command.");
        if (OperatingSystem.IsWindows())
        {
            Environment.Exit(ExitCode);
        }

        Exit(ExitCode);
    }

    [LibraryImport("libc", EntryPoint = "_exit")]
    private static partial void Exit(int code);
}
