using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;

namespace SkillLoc.Studies.Tests;

/// <summary>The command <c>study</c> in a process of its own.</summary>
internal sealed class FakeProcess : IDisposable
{
    public const int Interrupt = 2,
        KillNow = 9,
        User1 = 10,
        Terminate = 15,
        Continue = 18,
        Pause = 19;

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private readonly Process _process;
    private readonly StringBuilder _output = new();
    private readonly StringBuilder _error = new();

    public FakeProcess(IReadOnlyDictionary<string, string> variables, params string[] arguments)
    {
        // Whoever starts the tests in the background of a script has SIGINT ignored; the program must not inherit that.
        var start = new ProcessStartInfo("/usr/bin/env") { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (
            string argument in (string[])
                ["--default-signal=INT", "dotnet", Path.Join(AppContext.BaseDirectory, "FakeStudy.dll"), "study", .. arguments]
        )
        {
            start.ArgumentList.Add(argument);
        }

        foreach (string name in (string[])["SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX"])
        {
            start.Environment.Remove(name);
        }

        foreach ((string name, string value) in variables)
        {
            start.Environment[name] = value;
        }

        _process = Process.Start(start)!;
        _process.OutputDataReceived += (_, line) => Add(_output, line.Data);
        _process.ErrorDataReceived += (_, line) => Add(_error, line.Data);
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    public FakeProcess(params string[] arguments)
        : this(new Dictionary<string, string>(), arguments) { }

    public string Output => Text(_output);

    public string Error => Text(_error);

    public void WaitFor(Func<bool> condition)
    {
        var clock = Stopwatch.StartNew();
        while (!condition())
        {
            Assert.False(_process.HasExited, $"It ended: {Error}");
            Assert.True(clock.Elapsed < Patience, $"It takes too long: {Error}");
            Thread.Sleep(2);
        }
    }

    public void Send(int signal) => Assert.Equal(0, Kill(_process.Id, signal));

    /// <summary>Its exit code, 128 and the signal where one killed it.</summary>
    public int WaitForExit()
    {
        Assert.True(_process.WaitForExit(Patience), $"It takes too long: {Error}");
        _process.WaitForExit();
        return _process.ExitCode;
    }

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
        }

        _process.Dispose();
    }

    [DllImport("libc", EntryPoint = "kill")]
    private static extern int Kill(int process, int signal);

    private static void Add(StringBuilder text, string? line)
    {
        lock (text)
        {
            text.AppendLine(line);
        }
    }

    private static string Text(StringBuilder text)
    {
        lock (text)
        {
            return text.ToString();
        }
    }
}
