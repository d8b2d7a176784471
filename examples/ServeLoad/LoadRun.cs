using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.Http.Json;

namespace SkillLoc.ServeLoad;

/// <summary>Requests of one text each to a service.</summary>
/// <param name="http">The client; its address is the service's.</param>
/// <param name="skill">The skill.</param>
/// <param name="texts">The texts, which are sent in turn.</param>
public sealed class LoadRun(HttpClient http, string skill, IReadOnlyList<string> texts)
{
    private int _next;

    /// <summary>Clients that each send the next request when the last one is answered: what the service can do.</summary>
    public async Task<LoadResult> Saturate(int clients, TimeSpan duration)
    {
        var results = new Results();
        await Task.WhenAll(
            Enumerable
                .Range(0, clients)
                .Select(_ =>
                    Task.Run(async () =>
                    {
                        while (results.Elapsed < duration)
                        {
                            await Send(results, Stopwatch.GetTimestamp());
                        }
                    })
                )
        );
        return results.End();
    }

    /// <summary>Requests at random moments, as many a second as named, whether or not those before are answered: what users feel. A latency
    /// counts from the moment when the request was due.</summary>
    public async Task<LoadResult> AtRate(double perSecond, TimeSpan duration, int seed)
    {
        var random = new Random(seed);
        var results = new Results();
        List<Task> sent = [];
        for (TimeSpan due = Gap(); due < duration; due += Gap())
        {
            while (results.Elapsed < due)
            {
                await Task.Delay(1);
            }

            long start = results.Start + (long)(due.TotalSeconds * Stopwatch.Frequency);
            sent.Add(Task.Run(() => Send(results, start)));
        }

        await Task.WhenAll(sent);
        return results.End();

        // Of a Poisson process.
        TimeSpan Gap() => TimeSpan.FromSeconds(-Math.Log(1 - random.NextDouble()) / perSecond);
    }

    private async Task Send(Results results, long start)
    {
        string text = texts[(int)((uint)Interlocked.Increment(ref _next) % texts.Count)];
        int status = 0;
        try
        {
            using HttpResponseMessage response = await http.PostAsJsonAsync($"classify/{Uri.EscapeDataString(skill)}", new { text });
            await response.Content.ReadAsByteArrayAsync();
            status = (int)response.StatusCode;
        }
        catch (Exception error) when (error is HttpRequestException or OperationCanceledException)
        {
            // Counts as a request without a status.
        }

        results.Add(status, Stopwatch.GetElapsedTime(start));
    }

    private sealed class Results
    {
        private readonly ConcurrentBag<TimeSpan> _latencies = [];
        private readonly ConcurrentDictionary<int, int> _failed = [];

        public long Start { get; } = Stopwatch.GetTimestamp();

        public TimeSpan Elapsed => Stopwatch.GetElapsedTime(Start);

        public void Add(int status, TimeSpan latency)
        {
            if (status == 200)
            {
                _latencies.Add(latency);
            }
            else
            {
                _failed.AddOrUpdate(status, 1, (_, count) => count + 1);
            }
        }

        public LoadResult End() => new([.. _latencies.Order()], _failed, Elapsed);
    }
}
