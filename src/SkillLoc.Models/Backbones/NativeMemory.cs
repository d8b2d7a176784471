namespace SkillLoc.Models.Backbones;

/// <summary>
/// Reports native memory to the garbage collector. Unreferenced tensors release themselves when collected, but without this the collector
/// would consider a model of a gigabyte too small to collect.
/// </summary>
internal sealed class NativeMemory : IDisposable
{
    private long _bytes;

    public NativeMemory(long bytes)
    {
        _bytes = bytes;
        if (bytes > 0)
        {
            GC.AddMemoryPressure(bytes);
        }
    }

#pragma warning disable MA0055 // What was added must be taken away with a model that nobody disposed.
    ~NativeMemory() => Remove();
#pragma warning restore MA0055

    public void Dispose()
    {
        Remove();
        GC.SuppressFinalize(this);
    }

    private void Remove()
    {
        if (_bytes > 0)
        {
            GC.RemoveMemoryPressure(_bytes);
            _bytes = 0;
        }
    }
}
