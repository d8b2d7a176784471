using Microsoft.ML;

namespace SkillLoc.Transforms;

/// <summary>
/// Reference count of a transformer: its owner and every <see cref="PredictionEngine{TSrc, TDst}"/> created from it have one share each,
/// since engines dispose their transformer. Releasing the last share releases the model.
/// </summary>
/// <param name="owner">The transformer.</param>
/// <param name="release">Releases the model; called once.</param>
internal sealed class Ownership(ITransformer owner, Action release)
{
    private readonly Lock _lock = new();
    private int _shares = 1;

    /// <summary>Whether all shares were released.</summary>
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
                    "The transformer was disposed, and its model with it: fit or load it again, or dispose it after the last engine "
                        + "and view."
                );
            }
        }
    }

    /// <summary>Adds a share for an engine.</summary>
    /// <exception cref="ObjectDisposedException">The transformer has been disposed.</exception>
    public void Share()
    {
        lock (_lock)
        {
            Check();
            _shares++;
        }
    }

    /// <summary>Releases a share.</summary>
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

    /// <summary>Releases all shares.</summary>
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
