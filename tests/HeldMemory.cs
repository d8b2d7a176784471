namespace SkillLoc.Tests;

/// <summary>The most managed memory that is held while something runs: what is reachable, looked at every few milliseconds.</summary>
internal static class HeldMemory
{
    private const int PauseMilliseconds = 15;

    /// <summary>Runs something.</summary>
    /// <returns>The most bytes held beyond those that were held before.</returns>
    public static long While(Action action)
    {
        long before = Live();
        long most = before;
        using var over = new ManualResetEventSlim();
        var watch = new Thread(() =>
        {
            while (!over.Wait(PauseMilliseconds))
            {
                most = Math.Max(most, Live());
            }
        });
        watch.Start();
        try
        {
            action();
        }
        finally
        {
            over.Set();
            watch.Join();
        }

        return most - before;
    }

    /// <summary>What a collection left. Not GC.GetTotalMemory, which counts what other threads made since, garbage too.</summary>
    private static long Live()
    {
        GC.Collect();
        GCMemoryInfo after = GC.GetGCMemoryInfo(GCKind.FullBlocking);
        return after.HeapSizeBytes - after.FragmentedBytes;
    }
}
