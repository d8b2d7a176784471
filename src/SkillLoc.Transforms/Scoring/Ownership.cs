using Microsoft.ML;

namespace SkillLoc.Transforms;

/// <summary>
/// Who uses a transformer: its owner, and every <see cref="PredictionEngine{TSrc, TDst}"/> made from it, as an engine disposes the
/// transformer that it was made from. Each has a share; the last one that is given back releases the model.
/// </summary>
/// <param name="owner">The transformer.</param>
/// <param name="release">What frees it; called once.</param>
internal sealed class Ownership(ITransformer owner, Action release)
{
    private readonly Lock _lock = new();
    private int _shares = 1;

    /// <summary>Whether every share was given back.</summary>
    public bool HasEnded
    {
        get
        {
            lock (_lock)
            {
                return _shares == 0;
            }
        }
    }

    /// <exception cref="ObjectDisposedException">The transformer has been disposed.</exception>
    public void Check()
    {
        lock (_lock)
        {
            if (_shares == 0)
            {
                throw new ObjectDisposedException(
                    owner.GetType().Name,
                    "The transformer was disposed, and its model with it: fit or load it again, or dispose it after the last engine and view.");
            }
        }
    }

    /// <summary>An engine is made.</summary>
    /// <exception cref="ObjectDisposedException">The transformer has been disposed.</exception>
    public void Share()
    {
        lock (_lock)
        {
            Check();
            _shares++;
        }
    }

    /// <summary>An engine, or the owner, is done.</summary>
    public void GiveBack()
    {
        lock (_lock)
        {
            if (_shares == 0 || --_shares > 0)
            {
                return;
            }
        }

        release();
    }

    /// <summary>It ends for everyone.</summary>
    public void End()
    {
        lock (_lock)
        {
            if (_shares == 0)
            {
                return;
            }

            _shares = 0;
        }

        release();
    }
}
