namespace SkillLoc;

/// <summary>Tells a long call that it shall end: its own token was cancelled, or the context that it belongs to.</summary>
public sealed class CancellationWatch : IDisposable
{
    /// <summary>How often the context is asked on behalf of <see cref="Token"/>; it raises no event.</summary>
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(20);

    private readonly ComponentHost _host;
    private readonly CancellationToken _cancellation;
    private readonly Lock _state = new();
    private CancellationTokenSource? _source;
    private Timer? _timer;
    private bool _disposed;

    internal CancellationWatch(ComponentHost host, CancellationToken cancellation)
    {
        _host = host;
        _cancellation = cancellation;
    }

    /// <summary>Whether the call shall end, as of now.</summary>
    public bool IsRequested => _cancellation.IsCancellationRequested || _host.IsCancelled;

    /// <summary>A token that follows, for what takes one; of the context it hears some milliseconds later.</summary>
    public CancellationToken Token
    {
        get
        {
            lock (_state)
            {
                ObjectDisposedException.ThrowIf(_disposed, this);
                _source ??= CancellationTokenSource.CreateLinkedTokenSource(_cancellation);
                _timer ??= new(Ask, new WeakReference<CancellationWatch>(this), TimeSpan.Zero, Interval);
                return _source.Token;
            }
        }
    }

    /// <summary>Ends the call where it shall end.</summary>
    /// <exception cref="OperationCanceledException">It shall.</exception>
    public void ThrowIfRequested()
    {
        _cancellation.ThrowIfCancellationRequested();
        if (_host.IsCancelled)
        {
            throw new OperationCanceledException("The execution of the MLContext was cancelled.");
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_state)
        {
            _disposed = true;
            _timer?.Dispose();
            _source?.Dispose();
        }
    }

    /// <summary>Asks for a watch that is still there: one that nobody disposed, of a forgotten cursor, say, ends with its last user.</summary>
    private static void Ask(object? state)
    {
        if (((WeakReference<CancellationWatch>)state!).TryGetTarget(out CancellationWatch? watch))
        {
            lock (watch._state)
            {
                // A last tick may come after the end.
                if (!watch._disposed && watch._host.IsCancelled)
                {
                    watch._source!.Cancel();
                }
            }
        }
    }
}
