namespace SkillLoc.Models.Backbones;

/// <summary>
/// Allows an object to be disposed while other threads use it: current users finish, the last one releases it, and new users are refused.
/// Nothing blocks, so it may also be disposed from within a use.
/// </summary>
/// <param name="release">Releases the object; called once.</param>
internal sealed class Lifetime(Action release)
{
    private readonly Lock _lock = new();
    private int _holds;
    private bool _ended;

    /// <summary>Keeps the object alive, also for the garbage collector, until the result is disposed.</summary>
    /// <exception cref="ObjectDisposedException">The object was disposed.</exception>
    public Hold Take(string name)
    {
        lock (_lock)
        {
            if (_ended)
            {
                throw new ObjectDisposedException(name, "The model was disposed. Load it again, or dispose it after its last use.");
            }

            _holds++;
            return new(this);
        }
    }

    /// <summary>Refuses new users; releases the object now or by its last user.</summary>
    public void End()
    {
        lock (_lock)
        {
            if (_ended)
            {
                return;
            }

            _ended = true;
            if (_holds > 0)
            {
                return;
            }
        }

        release();
    }

    private void GiveBack()
    {
        lock (_lock)
        {
            if (--_holds > 0 || !_ended)
            {
                return;
            }
        }

        release();
    }

    /// <summary>A use.</summary>
    public readonly struct Hold(Lifetime lifetime) : IDisposable
    {
        public void Dispose() => lifetime.GiveBack();
    }
}

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
