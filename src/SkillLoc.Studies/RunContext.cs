namespace SkillLoc.Studies;

/// <summary>What a run is given.</summary>
public sealed class RunContext
{
    private readonly StudyRun _run;
    private readonly StudyResults _results;
    private readonly Action<RunStep> _tell;
    private readonly SortedDictionary<string, double> _metrics = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, double> _times = new(StringComparer.Ordinal);

    internal RunContext(StudyRun run, StudyResults results, string state, string files, Action<RunStep> tell, CancellationToken stop)
    {
        _tell = tell;
        _run = run;
        _results = results;
        State = state;
        Files = files;
        CancellationToken = stop;
    }

    /// <summary>A folder for states of trainings. It outlives a worker that is killed, and is removed when the run is done.</summary>
    public string State { get; }

    /// <summary>An empty folder for what the run leaves for others or for people.</summary>
    public string Files { get; }

    /// <summary>Stops the run, which saves its state and throws an <see cref="OperationCanceledException"/>.</summary>
    public CancellationToken CancellationToken { get; }

    internal IReadOnlyDictionary<string, double> Metrics => _metrics;

    internal IReadOnlyDictionary<string, double> Times => _times;

    /// <summary>What a run measured that this one comes after.</summary>
    /// <param name="name">One of <see cref="StudyRun.After"/>.</param>
    public T Result<T>(string name) => _results.Get<T>(Known(name));

    /// <summary>The folder of what a run left that this one comes after.</summary>
    /// <param name="name">One of <see cref="StudyRun.After"/>.</param>
    public string FilesOf(string name) => _results.FilesOf(Known(name));

    /// <summary>Puts a number into the run's line of the log.</summary>
    /// <param name="name">The metric.</param>
    /// <param name="value">Its value.</param>
    public void Measure(string name, double value) => _metrics[name] = value;

    /// <summary>Keeps a time, or what was computed from times, beside the results: it differs whenever it is measured.</summary>
    /// <param name="name">What was timed.</param>
    /// <param name="value">The number.</param>
    public void Time(string name, double value)
    {
        _times[name] = value;
        _metrics[name] = value;
    }

    /// <summary>Makes what hears of a training's progress and passes it on to whoever watches the study.</summary>
    /// <typeparam name="T">What the training tells.</typeparam>
    /// <param name="read">Reads a step from it.</param>
    /// <returns>A listener; it is called on the training's thread.</returns>
    public IProgress<T> Follow<T>(Func<T, RunStep> read)
    {
        ArgumentNullException.ThrowIfNull(read);
        return new Listener<T>(value => _tell(read(value)));
    }

    private string Known(string name) =>
        _run.After.Contains(name, StringComparer.Ordinal)
            ? name
            : throw new ArgumentException($"The run '{_run.Name}' does not come after '{name}'.", nameof(name));

    private sealed class Listener<T>(Action<T> tell) : IProgress<T>
    {
        public void Report(T value) => tell(value);
    }
}
