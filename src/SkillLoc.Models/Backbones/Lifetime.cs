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
