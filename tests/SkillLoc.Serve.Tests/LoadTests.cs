using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Net;
using System.Net.Http.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Options;
using SkillLoc.ServeLoad;

namespace SkillLoc.Serve.Tests;

/// <summary>Many clients at once, clients that go away, queues that are full, and the end of the service.</summary>
public sealed class LoadTests(Service service) : IClassFixture<Service>
{
    private static readonly CancellationToken Never = CancellationToken.None;

    [Fact]
    public async Task ManyClientsAreAllAnsweredAsTheScorerSays()
    {
        const int Clients = 16,
            Requests = 20;
        string[] skills = ["tone", "grafted"];
        Dictionary<string, float[][]> expected = skills.ToDictionary(skill => skill, skill => service.Expected(skill, Service.Texts));

        await Task.WhenAll(
            Enumerable
                .Range(0, Clients)
                .Select(client =>
                    Task.Run(async () =>
                    {
                        for (int i = 0; i < Requests; i++)
                        {
                            // Clients switch skills, some send several texts.
                            string skill = skills[(client + i) % 2];
                            int first = ((client * 31) + i) % 90,
                                count = client % 4 == 0 ? 10 : 1;
                            ClassifyResponse response = await Service.Read(
                                await Post(service.Http, skill, Service.Texts[first..(first + count)])
                            );
                            Assert.Equal(count, response.Results.Count);
                            for (int j = 0; j < count; j++)
                            {
                                Service.Check(expected[skill][first + j], response.Results[j], "neg", "pos");
                            }
                        }
                    })
                )
        );

        var load = new LoadRun(service.Http, "tone", Service.Texts);
        LoadResult most = await load.Saturate(Clients, TimeSpan.FromSeconds(2));
        LoadResult usual = await load.AtRate(0.5 * most.Rate, TimeSpan.FromSeconds(2), seed: 1);
        Assert.Empty(most.Failed);
        Assert.Empty(usual.Failed);
        Assert.True(usual.Latencies.Count > 10);
        TestContext.Current.SendDiagnosticMessage($"{Clients} clients at once: {most}; at half of that: {usual}");
        TestContext.Current.TestOutputHelper?.WriteLine($"{Clients} clients at once: {most}; at half of that: {usual}");
    }

    [Fact]
    public async Task TextsOfManyRequestsAreScoredTogether()
    {
        ConcurrentBag<int> sizes = [];
        using MeterListener listener = Batches("tone", sizes);
        Task<HttpResponseMessage>[] requests;
        using (HeldRows.In(Service.QueueOf(service.App, "tone")))
        {
            requests = [.. Service.Texts[..64].Select(text => Post(service.Http, "tone", text))];
            await Service.Until(() => Service.QueueOf(service.App, "tone").Queued == 64);
        }

        Assert.All(await Task.WhenAll(requests), response => Assert.Equal(HttpStatusCode.OK, response.StatusCode));
        await Service.Until(() => sizes.Count >= 3);
        Assert.Equal([1, 32, 32], sizes.Order());
    }

    [Fact]
    public async Task TheTextsOfAClientThatGoesAwayAreNeverScored()
    {
        ConcurrentBag<int> sizes = [];
        using MeterListener listener = Batches("tone", sizes);
        BatchQueue<TextRow, Classification> queue = Service.QueueOf(service.App, "tone");
        Task<HttpResponseMessage> patient;
        using (HeldRows.In(queue))
        {
            using var gone = new CancellationTokenSource();
            Task<HttpResponseMessage> impatient = Post(service.Http, "tone", Enumerable.Repeat("a film", 500), gone.Token);
            patient = Post(service.Http, "tone", "a film");
            await Service.Until(() => queue.Queued == 501);
            await gone.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => impatient);
            await Service.Until(() => queue.Queued == 1);
        }

        Assert.Equal(HttpStatusCode.OK, (await patient).StatusCode);
        await Service.Until(() => sizes.Count >= 2);
        Assert.Equal([1, 1], sizes);
    }

    [Fact]
    public async Task AFullQueueAsksToComeAgain()
    {
        await using WebApplication app = await Service.Start([
            "--skills",
            service.Folder,
            "--base",
            Service.Base,
            "--Serve:MaxQueuedTexts",
            "10",
            "--Serve:MaxTexts",
            "10",
        ]);
        using HttpClient http = new() { BaseAddress = Service.AddressOf(app) };
        BatchQueue<TextRow, Classification> queue = Service.QueueOf(app, "tone");
        Task<HttpResponseMessage> fits;
        using (HeldRows.In(queue))
        {
            fits = Post(http, "tone", Service.Texts[..8]);
            await Service.Until(() => queue.Queued == 8);
            using HttpResponseMessage refused = await Post(http, "tone", Service.Texts[..3]);
            Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
            Assert.InRange(refused.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 1, 3600);
            Assert.Equal(8, queue.Queued);

            // Another model has a queue of its own.
            using HttpResponseMessage other = await Post(http, "grafted", "a film");
            Assert.Equal(HttpStatusCode.OK, other.StatusCode);
        }

        Assert.Equal(HttpStatusCode.OK, (await fits).StatusCode);
        await app.StopAsync(Never);
    }

    [Fact]
    public async Task ARequestThatTakesTooLongIsAnsweredAndDropped()
    {
        await using WebApplication app = await Service.Start([
            "--skills",
            service.Folder,
            "--base",
            Service.Base,
            "--Serve:Timeout",
            "00:00:01",
        ]);
        using HttpClient http = new() { BaseAddress = Service.AddressOf(app) };
        BatchQueue<TextRow, Classification> queue = Service.QueueOf(app, "tone");
        using (HeldRows.In(queue))
        {
            using HttpResponseMessage late = await Post(http, "tone", "a film");
            Assert.Equal(HttpStatusCode.ServiceUnavailable, late.StatusCode);
            Assert.NotNull(late.Headers.RetryAfter);
            Assert.Contains("too long", await late.Content.ReadAsStringAsync(Never), StringComparison.Ordinal);
            Assert.Equal(0, queue.Queued);
        }

        Assert.Equal(HttpStatusCode.OK, (await Post(http, "tone", "a film")).StatusCode);
        await app.StopAsync(Never);
    }

    [Fact]
    public async Task RunningRequestsAreAnsweredWhenTheServiceStops()
    {
        await using WebApplication app = await Service.Start(["--skills", service.Folder, "--base", Service.Base]);
        using HttpClient http = new() { BaseAddress = Service.AddressOf(app) };
        BatchQueue<TextRow, Classification> queue = Service.QueueOf(app, "tone");
        Task<HttpResponseMessage>[] running;
        Task stopped;
        using (HeldRows.In(queue))
        {
            running = [.. Enumerable.Range(0, 5).Select(_ => Post(http, "tone", Service.Texts))];
            await Service.Until(() => queue.Queued == 500);
            stopped = app.StopAsync(Never);
            using HttpClient late = new() { BaseAddress = http.BaseAddress };
            await Assert.ThrowsAsync<HttpRequestException>(() => RefusedPost(late));
            Assert.False(stopped.IsCompleted);
        }

        float[][] expected = service.Expected("tone", Service.Texts);
        foreach (Task<HttpResponseMessage> request in running)
        {
            ClassifyResponse response = await Service.Read(await request);
            Assert.All(expected.Zip(response.Results), pair => Service.Check(pair.First, pair.Second, "neg", "pos"));
        }

        await stopped;
    }

    [Fact]
    public async Task SettingsThatCannotBeAreRefusedAtTheStart()
    {
        WebApplication app = ServeApp.Create(["--urls", "http://127.0.0.1:0", "--skills", service.Folder, "--Serve:MaxTexts", "5000"]);
        await using (app)
        {
            OptionsValidationException error = await Assert.ThrowsAsync<OptionsValidationException>(() => app.StartAsync(Never));
            Assert.Contains("MaxTexts is 5000", error.Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData(0.5, 50)]
    [InlineData(0.99, 99)]
    [InlineData(1, 100)]
    [InlineData(0, 1)]
    public void AQuantileIsTheLatencyThatAShareDoesNotExceed(double share, int milliseconds)
    {
        var result = new LoadResult(
            [.. Enumerable.Range(1, 100).Select(i => TimeSpan.FromMilliseconds(i))],
            new Dictionary<int, int>(),
            TimeSpan.FromSeconds(2)
        );
        Assert.Equal(TimeSpan.FromMilliseconds(milliseconds), result.Quantile(share));
        Assert.Equal(50, result.Rate);
    }

    /// <summary>Asks until it is refused: the service closes its port a moment after it was told to stop.</summary>
    private static async Task RefusedPost(HttpClient http)
    {
        while (true)
        {
            using HttpResponseMessage _ = await http.GetAsync(new Uri("health/live", UriKind.Relative), Never);
            await Task.Delay(10, Never);
        }
    }

    private static Task<HttpResponseMessage> Post(HttpClient http, string skill, string text) => Post(http, skill, [text]);

    private static Task<HttpResponseMessage> Post(
        HttpClient http,
        string skill,
        IEnumerable<string> texts,
        CancellationToken cancellation = default
    ) => http.PostAsJsonAsync($"classify/{skill}", new { texts }, cancellation);

    private static MeterListener Batches(string model, ConcurrentBag<int> sizes)
    {
        var listener = new MeterListener
        {
            InstrumentPublished = (instrument, listening) =>
            {
                if (instrument.Name == "skillloc.serve.batch.size")
                {
                    listening.EnableMeasurementEvents(instrument);
                }
            },
        };
        listener.SetMeasurementEventCallback<int>(
            (_, size, tags, _) =>
            {
                if (tags[0].Value is string name && name == model)
                {
                    sizes.Add(size);
                }
            }
        );
        listener.Start();
        return listener;
    }
}
