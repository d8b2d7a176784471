using System.Runtime.InteropServices;

namespace SkillLoc.Studies;

/// <summary>
/// Ends a program in good order. The first SIGINT (Ctrl+C), SIGTERM or SIGUSR1 asks it to stop at its next step and to save its state; the
/// second ends it at once, as if nobody listened.
/// </summary>
public sealed class StopSignals : IDisposable
{
    /// <summary>The exit code of a program that was stopped and goes on with the same command: EX_TEMPFAIL, "try again".</summary>
    public const int ExitCode = 75;

    private readonly CancellationTokenSource _stop = new();
    private readonly PosixSignalRegistration[] _registrations;

    /// <summary>Listens for the signals until it is disposed.</summary>
    public StopSignals()
    {
        IEnumerable<PosixSignal> signals = [PosixSignal.SIGINT, PosixSignal.SIGTERM];
        if (!OperatingSystem.IsWindows())
        {
            // SIGUSR1, which .NET has no name for.
            signals = signals.Append((PosixSignal)(OperatingSystem.IsMacOS() ? 30 : 10));
        }

        _registrations = [.. signals.Select(signal => PosixSignalRegistration.Create(signal, Stop))];
    }

    /// <summary>Cancelled by the first signal.</summary>
    public CancellationToken Token => _stop.Token;

    /// <summary>Runs a program that can be stopped.</summary>
    /// <param name="program">The program, which throws an <see cref="OperationCanceledException"/> when it was stopped.</param>
    /// <returns>The program's exit code, or <see cref="ExitCode"/> when it was stopped.</returns>
    public static int Run(Func<CancellationToken, int> program)
    {
        ArgumentNullException.ThrowIfNull(program);
        using var signals = new StopSignals();
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
        _stop.Dispose();
    }

    private void Stop(PosixSignalContext context)
    {
        if (_stop.IsCancellationRequested)
        {
            return;
        }

        context.Cancel = true;
        Console.Error.WriteLine("Stopping at the next step; a second signal ends at once.");
        _stop.Cancel();
    }
}
