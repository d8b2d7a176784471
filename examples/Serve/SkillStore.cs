using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;
using Microsoft.ML;

namespace SkillLoc.Serve;

/// <summary>The skills of the service: loads them when it starts, and lets them go when it has stopped.</summary>
public sealed class SkillStore(
    IOptions<ServeOptions> options,
    ServeMetrics metrics,
    IHostApplicationLifetime lifetime,
    ILogger<SkillStore> log
) : BackgroundService, IHealthCheck
{
    private readonly List<IDisposable> _owned = [];
    private readonly Dictionary<string, string> _failures = new(StringComparer.Ordinal);
    private Dictionary<string, Skill>? _skills;

    /// <summary>Whether the skills have been loaded.</summary>
    public bool IsLoaded => Volatile.Read(ref _skills) is not null;

    /// <summary>The skills by name; none before they are loaded.</summary>
    public IReadOnlyDictionary<string, Skill> Skills => Volatile.Read(ref _skills) ?? [];

    /// <summary>Skills that could not be loaded, and why.</summary>
    public IReadOnlyDictionary<string, string> Failures => _failures;

    /// <inheritdoc/>
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(
            !IsLoaded || lifetime.ApplicationStopping.IsCancellationRequested
                ? HealthCheckResult.Unhealthy("The skills are being loaded, or the service stops.")
            : _failures.Count > 0 ? HealthCheckResult.Degraded($"Could not be loaded: {string.Join(", ", _failures.Keys)}.")
            : HealthCheckResult.Healthy()
        );

    /// <summary>Lets what waits be scored, then releases the models.</summary>
    public override void Dispose()
    {
        for (int i = _owned.Count - 1; i >= 0; i--)
        {
            _owned[i].Dispose();
        }

        _owned.Clear();
        base.Dispose();
    }

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        // What fails ends the application, which can be only when it has started.
        var started = new TaskCompletionSource();
        using CancellationTokenRegistration registration = lifetime.ApplicationStarted.Register(started.SetResult);
        await started.Task.WaitAsync(stoppingToken);
        await Task.Factory.StartNew(() => Load(stoppingToken), stoppingToken, TaskCreationOptions.LongRunning, TaskScheduler.Default);
    }

    private void Load(CancellationToken stop)
    {
        try
        {
            ServeOptions settings = options.Value;
            var ml = new MLContext(seed: 1);
            string folder = Path.GetFullPath(settings.Skills);
            var files = new SkillFolder(ml, folder, () => settings.Base ?? Checkpoints.MiniLM());
            if (files.IsEmpty && settings.Train is { } rows)
            {
                log.LogInformation("No skill in {Folder} yet: training one on {Rows}.", folder, rows);
                new FirstSkill(ml, settings.Base ?? Checkpoints.MiniLMEncoder(), line => log.LogInformation("{Line}", line)).Train(
                    rows,
                    folder,
                    stop
                );
            }

            var skills = new Dictionary<string, Skill>(StringComparer.Ordinal);
            foreach (LoadedModel model in files.IsEmpty ? [] : files.Load(Failed))
            {
                Add(model, settings, skills);
                stop.ThrowIfCancellationRequested();
            }

            if (skills.Count == 0)
            {
                throw new InvalidDataException($"There is no skill in the folder '{folder}' that could be loaded; --skills names another.");
            }

            Volatile.Write(ref _skills, skills);
            log.LogInformation("Ready: {Skills}", string.Join(", ", skills.Keys));
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested) { }
        catch (Exception error)
            when (error is IOException or InvalidDataException or ArgumentException or InvalidOperationException or DllNotFoundException)
        {
            log.LogCritical("{Error}", error.Message);
            Environment.ExitCode = 1;
            lifetime.StopApplication();
        }
    }

    private void Add(LoadedModel model, ServeOptions settings, Dictionary<string, Skill> skills)
    {
        var queue = new BatchQueue<TextRow, Classification>(model.Name, settings, metrics, model.Scorer.Score);
        _owned.Add(model.Scorer);
        _owned.Add(queue);
        foreach (SkillDescription skill in model.Skills)
        {
            if (skills.TryAdd(skill.Name, new(skill, queue)))
            {
                log.LogInformation("Loaded {Skill}: {Labels}", skill.Name, string.Join(", ", skill.Labels));
            }
            else
            {
                Failed(skill.Name, new InvalidDataException("Another skill in the folder has that name."));
            }
        }
    }

    private void Failed(string skill, Exception error)
    {
        log.LogError("The skill '{Skill}' could not be loaded: {Error}", skill, error.Message);
        _failures[skill] = error.Message;
    }
}
