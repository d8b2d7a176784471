using System.Diagnostics;

namespace SkillLoc.Serve;

/// <summary>
/// Collects the items of many callers into batches, which one thread scores: dynamic batching. A batch begins when it is full, or a short
/// while after its first item came. Callers take turns, so that a large request does not keep small ones waiting; the items of a caller who
/// goes away are dropped. Thread-safe.
/// </summary>
/// <typeparam name="TItem">What is scored.</typeparam>
/// <typeparam name="TResult">What comes of it.</typeparam>
public sealed class BatchQueue<TItem, TResult> : IDisposable
{
    // A batch has items of at least so many requests, if so many wait.
    private const int RequestsPerBatch = 4;

    // How much the latest batch counts in the mean time of an item.
    private const double LatestShare = 0.2;

    private readonly Func<IReadOnlyList<TItem>, IReadOnlyList<TResult>> _score;
    private readonly ServeOptions _limits;
    private readonly ServeMetrics _metrics;
    private readonly string _name;
    private readonly object _gate = new();
    private readonly Queue<Request> _waiting = new();
    private readonly Thread _worker;
    private int _queued;
    private bool _stopped;
    private double _secondsPerItem;

    /// <summary>Creates the queue and starts its thread.</summary>
    /// <param name="name">The model's name in metrics.</param>
    /// <param name="limits">The limits of batches and of the queue.</param>
    /// <param name="metrics">Where batches are measured.</param>
    /// <param name="score">Scores a batch: one result for each item, in order. Called on one thread, always the same, so that native
    /// libraries need one pool of threads.</param>
    public BatchQueue(string name, ServeOptions limits, ServeMetrics metrics, Func<IReadOnlyList<TItem>, IReadOnlyList<TResult>> score)
    {
        _name = name;
        _limits = limits;
        _metrics = metrics;
        _score = score;
        _worker = new Thread(Work) { IsBackground = true, Name = $"scoring {name}" };
        _worker.Start();
    }

    /// <summary>The number of items that wait.</summary>
    public int Queued
    {
        get
        {
            lock (_gate)
            {
                return _queued;
            }
        }
    }

    /// <summary>Scores items together with those of other callers.</summary>
    /// <param name="items">The items, one or more; all are taken or none.</param>
    /// <param name="cancellation">Cancels them: those that are not being scored yet never will be.</param>
    /// <returns>The results, in order.</returns>
    /// <exception cref="QueueFullException">Too many items wait already, or the queue has stopped.</exception>
    /// <exception cref="OperationCanceledException">The caller has cancelled.</exception>
    public async Task<TResult[]> ScoreAsync(IReadOnlyList<TItem> items, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        var request = new Request(items);
        lock (_gate)
        {
            if (_stopped || _queued + items.Count > _limits.MaxQueuedTexts)
            {
                throw new QueueFullException(TimeSpan.FromSeconds(_queued * _secondsPerItem));
            }

            _queued += items.Count;
            _waiting.Enqueue(request);
            Monitor.Pulse(_gate);
        }

        using (cancellation.UnsafeRegister(_ => Cancel(request, cancellation), null))
        {
            return await request.Results;
        }
    }

    /// <summary>Scores what waits, takes no more, and ends the thread.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _stopped = true;
            Monitor.PulseAll(_gate);
        }

        _worker.Join();
    }

    private void Cancel(Request request, CancellationToken cancellation)
    {
        Drop(request);
        request.Cancel(cancellation);
    }

    /// <summary>Takes what is left of a request out of the queue.</summary>
    private void Drop(Request request)
    {
        lock (_gate)
        {
            _queued -= request.Left;
            request.Left = 0;
        }
    }

    private void Work()
    {
        var batch = new List<Place>(_limits.MaxBatch);
        while (Collect(batch))
        {
            long start = Stopwatch.GetTimestamp();
            Score(batch);
            if (batch.Count > 0)
            {
                TimeSpan time = Stopwatch.GetElapsedTime(start);
                _metrics.Scored(_name, batch.Count, time, batch.Select(place => Stopwatch.GetElapsedTime(place.Request.Came, start)));
                double latest = time.TotalSeconds / batch.Count;
                lock (_gate)
                {
                    _secondsPerItem = _secondsPerItem == 0 ? latest : _secondsPerItem + (LatestShare * (latest - _secondsPerItem));
                }
            }

            batch.Clear();
        }
    }

    /// <summary>Waits for a batch; false when the queue has stopped and is empty.</summary>
    private bool Collect(List<Place> batch)
    {
        lock (_gate)
        {
            while (_queued == 0)
            {
                if (_stopped)
                {
                    return false;
                }

                Monitor.Wait(_gate);
            }

            long start = Stopwatch.GetTimestamp();
            while (
                _queued < _limits.MaxBatch
                && !_stopped
                && _limits.MaxWait - Stopwatch.GetElapsedTime(start) is { Ticks: > 0 } left
                && Monitor.Wait(_gate, left)
            ) { }

            int turn = Math.Max(1, _limits.MaxBatch / RequestsPerBatch);
            while (batch.Count < _limits.MaxBatch && _waiting.TryDequeue(out Request? request))
            {
                for (int i = 0; i < turn && request.Left > 0 && batch.Count < _limits.MaxBatch; i++)
                {
                    batch.Add(new(request, request.Items.Count - request.Left));
                    request.Left--;
                    _queued--;
                }

                if (request.Left > 0)
                {
                    _waiting.Enqueue(request);
                }
            }

            return true;
        }
    }

    private void Score(IReadOnlyList<Place> batch)
    {
        if (batch.Count == 0)
        {
            return;
        }

        try
        {
            IReadOnlyList<TResult> results = _score([.. batch.Select(place => place.Request.Items[place.Index])]);
            for (int i = 0; i < batch.Count; i++)
            {
                batch[i].Request.Set(batch[i].Index, results[i]);
            }
        }
        catch (Exception error)
        {
            // What one caller sent must not fail the others' requests: each is tried alone.
            IGrouping<Request, Place>[] requests = [.. batch.GroupBy(place => place.Request)];
            if (requests.Length > 1)
            {
                foreach (IGrouping<Request, Place> request in requests)
                {
                    Score([.. request]);
                }

                return;
            }

            Drop(requests[0].Key);
            requests[0].Key.Fail(error);
        }
    }

    private readonly record struct Place(Request Request, int Index);

    private sealed class Request(IReadOnlyList<TItem> items)
    {
        private readonly TaskCompletionSource<TResult[]> _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TResult[] _results = new TResult[items.Count];
        private int _missing = items.Count;

        public IReadOnlyList<TItem> Items => items;

        public long Came { get; } = Stopwatch.GetTimestamp();

        public Task<TResult[]> Results => _completion.Task;

        /// <summary>How many items still wait.</summary>
        public int Left { get; set; } = items.Count;

        public void Set(int index, TResult result)
        {
            _results[index] = result;
            if (--_missing == 0)
            {
                _completion.TrySetResult(_results);
            }
        }

        public void Fail(Exception error) => _completion.TrySetException(error);

        public void Cancel(CancellationToken cancellation) => _completion.TrySetCanceled(cancellation);
    }
}
