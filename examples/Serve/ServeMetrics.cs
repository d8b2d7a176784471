using System.Diagnostics.Metrics;

namespace SkillLoc.Serve;

/// <summary>What the service measures of itself, beside what ASP.NET Core measures of requests.</summary>
public sealed class ServeMetrics
{
    /// <summary>The name of the meter.</summary>
    public const string MeterName = "SkillLoc.Serve";

    private static readonly InstrumentAdvice<double> Seconds = new()
    {
        HistogramBucketBoundaries = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    };

    private static readonly InstrumentAdvice<int> Sizes = new() { HistogramBucketBoundaries = [1, 2, 4, 8, 16, 32, 64, 128, 256] };

    private readonly Counter<long> _requests;
    private readonly Counter<long> _texts;
    private readonly Counter<long> _rejections;
    private readonly Histogram<double> _queueTime;
    private readonly Histogram<double> _scoringTime;
    private readonly Histogram<int> _batchSize;

    /// <summary>Creates the instruments.</summary>
    /// <param name="factory">The application's meters.</param>
    public ServeMetrics(IMeterFactory factory)
    {
        Meter meter = factory.Create(MeterName);
        _requests = meter.CreateCounter<long>("skillloc.serve.requests", "{request}", "Requests that were taken, by skill.");
        _texts = meter.CreateCounter<long>("skillloc.serve.texts", "{text}", "Texts that were taken, by skill.");
        _rejections = meter.CreateCounter<long>("skillloc.serve.rejections", "{request}", "Requests that were refused, by status.");
        _queueTime = meter.CreateHistogram("skillloc.serve.queue.duration", "s", "Time that a text waited.", advice: Seconds);
        _scoringTime = meter.CreateHistogram("skillloc.serve.scoring.duration", "s", "Time that a batch took.", advice: Seconds);
        _batchSize = meter.CreateHistogram("skillloc.serve.batch.size", "{text}", "Texts of a batch.", advice: Sizes);
    }

    /// <summary>A request was taken.</summary>
    /// <param name="skill">Its skill.</param>
    /// <param name="texts">Its number of texts.</param>
    public void Taken(string skill, int texts)
    {
        _requests.Add(1, new KeyValuePair<string, object?>("skill", skill));
        _texts.Add(texts, new KeyValuePair<string, object?>("skill", skill));
    }

    /// <summary>A request was refused.</summary>
    /// <param name="status">The status code of the answer.</param>
    public void Rejected(int status) => _rejections.Add(1, new KeyValuePair<string, object?>("status", status));

    /// <summary>A batch was scored.</summary>
    /// <param name="model">The model.</param>
    /// <param name="texts">Its number of texts.</param>
    /// <param name="time">How long it took.</param>
    /// <param name="waited">How long each text waited before.</param>
    public void Scored(string model, int texts, TimeSpan time, IEnumerable<TimeSpan> waited)
    {
        KeyValuePair<string, object?> tag = new("model", model);
        _batchSize.Record(texts, tag);
        _scoringTime.Record(time.TotalSeconds, tag);
        foreach (TimeSpan wait in waited)
        {
            _queueTime.Record(wait.TotalSeconds, tag);
        }
    }
}
