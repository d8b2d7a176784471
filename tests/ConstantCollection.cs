namespace SkillLoc.Tests;

/// <summary>
/// While it is there, another thread collects garbage and runs finalisers without a pause: what is let go too early is gone at once, and
/// not once in a training of hours.
/// </summary>
internal sealed class ConstantCollection : IDisposable
{
    private readonly Thread _collector;
    private volatile bool _ends;

    public ConstantCollection()
    {
        _collector = new(() =>
        {
            // What was just made is in the youngest generation, whose collection is the fastest.
            for (int i = 1; !_ends; i++)
            {
                GC.Collect(i % 16 == 0 ? GC.MaxGeneration : 0);
                GC.WaitForPendingFinalizers();
            }
        })
        {
            IsBackground = true,
        };
        _collector.Start();
    }

    public void Dispose()
    {
        _ends = true;
        _collector.Join();
    }
}
