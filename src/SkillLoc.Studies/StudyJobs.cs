using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using System.Runtime.InteropServices;

namespace SkillLoc.Studies;

/// <summary>Workers on this machine: the same command several times.</summary>
internal static partial class StudyJobs
{
    private const int Terminate = 15;

    /// <summary>Starts the workers, passes a signal on, and waits for them.</summary>
    /// <returns>The worst of what they say: a bad plan, a failed run, stopped, done.</returns>
    public static StudyExit Run(int jobs, IEnumerable<string> arguments, string option, CancellationToken stop)
    {
        string[] own = [.. Without(option, [.. arguments])];
        Process[] workers = [.. Enumerable.Range(0, jobs).Select(_ => Start(own, jobs))];
        try
        {
            // Their own watch ends them in time.
            using CancellationTokenRegistration registration = stop.Register(() => Array.ForEach(workers, Stop));
            Array.ForEach(workers, worker => worker.WaitForExit());
            int[] codes = [.. workers.Select(worker => worker.ExitCode)];
            return codes.All(code => code == (int)StudyExit.Done) ? StudyExit.Done
                : codes.Contains((int)StudyExit.BadPlan) ? StudyExit.BadPlan
                : codes.All(code => code is (int)StudyExit.Done or (int)StudyExit.Stopped) ? StudyExit.Stopped
                : StudyExit.RunFailed;
        }
        finally
        {
            Array.ForEach(workers, worker => worker.Dispose());
        }
    }

    private static Process Start(string[] arguments, int jobs)
    {
        string program = Environment.ProcessPath!;
        var start = new ProcessStartInfo(program);
        if (Path.GetFileNameWithoutExtension(program) == "dotnet")
        {
            start.ArgumentList.Add(Assembly.GetEntryAssembly()!.Location);
        }

        foreach (string argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        if (!start.Environment.ContainsKey("OMP_NUM_THREADS"))
        {
            start.Environment["OMP_NUM_THREADS"] = Math.Max(1, Environment.ProcessorCount / jobs).ToString(CultureInfo.InvariantCulture);
        }

        return Process.Start(start)!;
    }

    /// <summary>The arguments without an option and its value.</summary>
    private static IEnumerable<string> Without(string option, string[] arguments)
    {
        for (int i = 0; i < arguments.Length; i++)
        {
            if (arguments[i] == option)
            {
                i++;
            }
            else
            {
                yield return arguments[i];
            }
        }
    }

    private static void Stop(Process worker)
    {
        if (worker.HasExited)
        {
            return;
        }

        if (OperatingSystem.IsWindows())
        {
            worker.Kill();
        }
        else
        {
            _ = Kill(worker.Id, Terminate);
        }
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Kill(int process, int signal);
}
