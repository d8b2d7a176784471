using System.Diagnostics;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;

namespace SkillLoc.Serve.Tests;

/// <summary>Batches of a queue whose scoring the tests hold in their hands.</summary>
public sealed class BatchQueueTests : IDisposable
{
    private static readonly CancellationToken Never = CancellationToken.None;

    private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();
    private readonly List<int[]> _batches = [];
    private readonly ManualResetEventSlim _isRunning = new(),
        _goesOn = new();

    public void Dispose()
    {
        _goesOn.Set();
        _services.Dispose();
    }

    [Fact]
    public async Task RequestsTakeTurnsAndALargeOneFillsWhatIsLeft()
    {
        using BatchQueue<int, int> queue = Queue(maxBatch: 8);
        Task<int[]> first = await Hold(queue);
        Task<int[]> large = queue.ScoreAsync([.. Enumerable.Range(100, 20)], Never);
        Task<int[]> small = queue.ScoreAsync([1, 2], Never);
        _goesOn.Set();

        Check([-1, -2], await small);
        Check([.. Enumerable.Range(100, 20).Select(item => -item)], await large);
        await first;

        // Two of each request in turn.
        Assert.Equal([100, 101, 1, 2, 102, 103, 104, 105], _batches[1]);
        Assert.Equal([8, 8, 6], _batches.Skip(1).Select(batch => batch.Length));
    }

    [Fact]
    public async Task ABatchWaitsForOthersAShortWhileAndNotWhenItIsFull()
    {
        using BatchQueue<int, int> queue = Queue(maxBatch: 4, maxWait: TimeSpan.FromSeconds(30));
        _goesOn.Set();
        long start = Stopwatch.GetTimestamp();
        Task<int[]>[] all = [.. Enumerable.Range(0, 4).Select(i => queue.ScoreAsync([i], Never))];
        await Task.WhenAll(all);
        Assert.InRange(Stopwatch.GetElapsedTime(start).TotalSeconds, 0, 20);
        Assert.Equal([0, 1, 2, 3], Assert.Single(_batches));
    }

    [Fact]
    public async Task ASingleItemIsScoredWhenItHasWaited()
    {
        using BatchQueue<int, int> queue = Queue(maxWait: TimeSpan.FromMilliseconds(100));
        _goesOn.Set();
        long start = Stopwatch.GetTimestamp();
        Check([-7], await queue.ScoreAsync([7], Never));
        Assert.InRange(Stopwatch.GetElapsedTime(start).TotalMilliseconds, 95, 30_000);
    }

    [Fact]
    public async Task WhatOneRequestFailsWithIsItsOwn()
    {
        using BatchQueue<int, int> queue = Queue(maxBatch: 8);
        Task<int[]> first = await Hold(queue);
        Task<int[]> good = queue.ScoreAsync([1, 2], Never),
            bad = queue.ScoreAsync([3, 13, .. Enumerable.Range(20, 30)], Never),
            other = queue.ScoreAsync([4], Never);
        _goesOn.Set();

        Check([-1, -2], await good);
        Check([-4], await other);
        Assert.Equal("13", (await Assert.ThrowsAsync<InvalidOperationException>(() => bad)).Message);
        Check([-5], await queue.ScoreAsync([5], Never));
        await first;

        // What was left of it is not scored.
        Assert.Equal(0, queue.Queued);
        Assert.DoesNotContain(49, _batches.SelectMany(batch => batch));
    }

    [Fact]
    public async Task ARequestIsTakenWholeOrNotAtAllAndRoomIsFreeWhenOneIsCancelled()
    {
        using BatchQueue<int, int> queue = Queue(maxQueued: 10);
        Task<int[]> first = await Hold(queue);
        using var gone = new CancellationTokenSource();
        Task<int[]> cancelled = queue.ScoreAsync([1, 2, 3, 4, 5, 6, 7], gone.Token);
        await Assert.ThrowsAsync<QueueFullException>(() => queue.ScoreAsync([8, 9, 10, 11], Never));
        Assert.Equal(7, queue.Queued);

        await gone.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cancelled);
        Assert.Equal(0, queue.Queued);
        Task<int[]> fits = queue.ScoreAsync([8, 9, 10, 11], Never);
        _goesOn.Set();
        Check([-8, -9, -10, -11], await fits);
        await first;
        Assert.DoesNotContain(1, _batches.SelectMany(batch => batch));
    }

    [Fact]
    public async Task WhoHasCancelledAlreadyIsNotScored()
    {
        using BatchQueue<int, int> queue = Queue();
        _goesOn.Set();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => queue.ScoreAsync([1], new CancellationToken(true)));
        Check([-2], await queue.ScoreAsync([2], Never));
        Assert.Equal(0, queue.Queued);
    }

    [Fact]
    public async Task WhatWaitsIsScoredBeforeItEndsAndNothingIsTakenAfter()
    {
        BatchQueue<int, int> queue = Queue(maxBatch: 2, maxWait: TimeSpan.FromMinutes(1));
        Task<int[]> first = queue.ScoreAsync([1, 2], Never);
        Assert.True(_isRunning.Wait(TimeSpan.FromMinutes(1)));
        Task<int[]> waits = queue.ScoreAsync([3, 4, 5], Never);
        var end = Task.Run(queue.Dispose);
        _goesOn.Set();
        await end;
        Check([-1, -2], await first);
        Check([-3, -4, -5], await waits);
        await Assert.ThrowsAsync<QueueFullException>(() => queue.ScoreAsync([6], Never));
    }

    private static void Check(int[] expected, int[] actual) => Assert.Equal(expected, actual);

    /// <summary>Lets the thread score one item and holds it there.</summary>
    private async Task<Task<int[]>> Hold(BatchQueue<int, int> queue)
    {
        Task<int[]> held = queue.ScoreAsync([0], Never);
        await Task.Run(() => Assert.True(_isRunning.Wait(TimeSpan.FromMinutes(1))));
        return held;
    }

    private BatchQueue<int, int> Queue(int maxBatch = 32, int maxQueued = 1000, TimeSpan? maxWait = null) =>
        new(
            "test",
            new()
            {
                MaxBatch = maxBatch,
                MaxQueuedTexts = maxQueued,
                MaxWait = maxWait ?? TimeSpan.Zero,
            },
            new ServeMetrics(_services.GetRequiredService<IMeterFactory>()),
            Score
        );

    private IReadOnlyList<int> Score(IReadOnlyList<int> items)
    {
        _batches.Add([.. items]);
        _isRunning.Set();
        Assert.True(_goesOn.Wait(TimeSpan.FromMinutes(1)));
        return items.Contains(13) ? throw new InvalidOperationException("13") : [.. items.Select(item => -item)];
    }
}
