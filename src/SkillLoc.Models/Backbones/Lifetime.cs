namespace SkillLoc.Models.Backbones;

/// <summary>
/// Lets something be disposed while other threads use it: those that hold it finish, the last of them releases it, and nobody else gets
/// hold of it. Nobody waits, so that it may be disposed from within a use as well.
/// </summary>
/// <param name="release">What frees it; called once.</param>
internal sealed class Lifetime(Action release)
{
    private readonly Lock _lock = new();
    private int _holds;
    private bool _ended;

    /// <summary>Keeps it alive, for the garbage collector too, until the result is disposed.</summary>
    /// <exception cref="ObjectDisposedException">It was disposed.</exception>
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

    /// <summary>Nobody gets hold of it any more; it is released now, or by the last who holds it.</summary>
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
