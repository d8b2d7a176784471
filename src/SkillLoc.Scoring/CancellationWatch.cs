namespace SkillLoc;

/// <summary>Watches whether a long call should be cancelled, by its own token or by its context.</summary>
public sealed class CancellationWatch : IDisposable
{
    /// <summary>Polling interval of the context for <see cref="Token"/>, since it raises no event.</summary>
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

    /// <summary>Whether cancellation was requested.</summary>
    public bool IsRequested => _cancellation.IsCancellationRequested || _host.IsCancelled;

    /// <summary>A linked token; cancellation of the context reaches it some milliseconds later.</summary>
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

    /// <summary>Throws if cancellation was requested.</summary>
    /// <exception cref="OperationCanceledException">Cancellation was requested.</exception>
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

    /// <summary>Polls while the watch is alive: an undisposed watch, for example of a forgotten cursor, ends with its last user.</summary>
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
