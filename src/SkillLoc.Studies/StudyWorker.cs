using System.Diagnostics;
using System.Text.Json;
using SkillLoc.Models.Checkpoints;

namespace SkillLoc.Studies;

/// <summary>One process's work on a study.</summary>
internal sealed class StudyWorker
{
    private readonly IStudy _study;
    private readonly StudyRunOptions _options;
    private readonly CancellationToken _stop;
    private readonly StudyBuild _build;
    private readonly StudyFolder _folder;
    private readonly IReadOnlyList<PlannedRun> _all;
    private readonly IReadOnlyList<PlannedRun> _wanted;
    private readonly ILookup<PlannedRun, PlannedRun> _readers;
    private readonly StudyResults _results;
    private readonly LeaseDesk _desk;
    private readonly HashSet<PlannedRun> _done = [];
    private readonly HashSet<PlannedRun> _tried = [];
    private readonly Dictionary<PlannedRun, string?> _oldFailures;
    private int _doneHere;

    public StudyWorker(IStudy study, StudyRunOptions options, StudyRequest? request)
    {
        _study = study;
        _options = options;
        _stop = options.CancellationToken;
        _build = options.Build ?? StudyBuild.Of(study.GetType().Assembly);
        _folder = new(options.Folder);
        _all = PlannedRun.Of(study);
        _wanted = PlannedRun.Needed(_all, options.Shard);
        _readers = _all.SelectMany(reader => reader.After.Select(run => (run, reader))).ToLookup(pair => pair.run, pair => pair.reader);
        _folder.Create();
        _results = new(_folder, options.Mix ? null : _build, _all.Select(run => KeyValuePair.Create(run.Run.Name, run.Id)));
        _desk = new(_folder.Leases, options.Heartbeat, options.Silence);
        Alone("study", () => _folder.Describe(StudyManifest.Of(study, _all, request), request));
        _oldFailures = _all.ToDictionary(run => run, run => _folder.ReadFailure(run.Id));
    }

    public StudyExit Run()
    {
        Say($"{_wanted.Count(IsDone)} of {_wanted.Count} runs are done.");
        Tell(null);
        try
        {
            while (_wanted.Where(run => NeedsWork(run) && !HasFailed(run)).ToArray() is { Length: > 0 } open)
            {
                _stop.ThrowIfCancellationRequested();
                if (!open.Any(TryDo) && _stop.WaitHandle.WaitOne(Pause()))
                {
                    _stop.ThrowIfCancellationRequested();
                }
            }

            foreach (PlannedRun run in _wanted.Where(IsDone))
            {
                Tidy(run);
            }

            if (_all.All(IsDone))
            {
                Alone("report", () => _study.Report(_results, _options.Folder));
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            return StudyExit.Stopped;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // The plan was right: a full disk, a server that is away.
            Say($"{error.Message}");
            return StudyExit.RunFailed;
        }

        PlannedRun[] failed = [.. _wanted.Where(NeedsWork)];
        foreach (PlannedRun run in failed)
        {
            Say($"{run.Run.Name}: not done");
        }

        return failed.Length > 0 ? StudyExit.RunFailed : StudyExit.Done;
    }

    /// <summary>Does what one worker at a time may do.</summary>
    private void Alone(string what, Action action)
    {
        RunLease? lease;
        while ((lease = _desk.TryTake(what)) is null)
        {
            _stop.WaitHandle.WaitOne(Pause());
            _stop.ThrowIfCancellationRequested();
        }

        using (lease)
        {
            action();
        }
    }

    private TimeSpan Pause() => TimeSpan.FromTicks(Math.Clamp(_options.Heartbeat.Ticks / 5, 1, TimeSpan.TicksPerSecond));

    private bool IsDone(PlannedRun run)
    {
        if (!_done.Contains(run) && _folder.Read(run.Id, _options.Mix ? null : _build) is not null)
        {
            _done.Add(run);
        }

        return _done.Contains(run);
    }

    /// <summary>Whether it is not done, or its files were removed and are wanted again.</summary>
    private bool NeedsWork(PlannedRun run) => !IsDone(run) || (LacksFiles(run) && _readers[run].Any(NeedsWork));

    private bool LacksFiles(PlannedRun run) => run.Run.HasTemporaryFiles && !Directory.Exists(_folder.FilesOf(run.Id));

    /// <summary>Whether it failed since this worker began, here or elsewhere, or can never begin.</summary>
    private bool HasFailed(PlannedRun run) =>
        _tried.Contains(run)
        || (_folder.ReadFailure(run.Id) is { } failure && failure != _oldFailures[run])
        || run.After.Any(earlier => NeedsWork(earlier) && HasFailed(earlier));

    private bool TryDo(PlannedRun run)
    {
        if (run.After.Any(earlier => !IsDone(earlier) || LacksFiles(earlier)))
        {
            return false;
        }

        using RunLease? lease = _desk.TryTake(run.Id);
        if (lease is null)
        {
            return false;
        }

        // Somebody may have done it between the look and the lease.
        if (NeedsWork(run) && !HasFailed(run))
        {
            Do(run, lease);
        }

        return true;
    }

    private void Do(PlannedRun run, RunLease lease)
    {
        string state = _folder.StateOf(run.Id),
            made = Path.Join(state, "made-" + lease.Token),
            files = Path.Join(made, "files"),
            work = Path.Join(state, "work");
        Directory.CreateDirectory(files);
        Directory.CreateDirectory(work);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(_stop, lease.Lost);
        var context = new RunContext(run.Run, _results, work, files, step => Tell(run, step), stop.Token);
        var clock = Stopwatch.StartNew();
        Say($"{run.Run.Name}: begins");
        Tell(run);
        try
        {
            Write(run, run.Run.Execute(context), context.Times, made);
            lease.Lost.ThrowIfCancellationRequested();
            _folder.Commit(run.Id, made);
            _done.Add(run);
            _doneHere++;
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            Remove(made);
            if (_stop.IsCancellationRequested)
            {
                Log(run, "stopped", clock, context);
                throw;
            }

            Say($"{run.Run.Name}: another worker took it over");
            return;
        }
        catch (Exception error) when (error is not OutOfMemoryException)
        {
            _tried.Add(run);
            Remove(made);
            AtomicFile.Write(
                _folder.FailureFile(run.Id),
                stream => JsonSerializer.Serialize(stream, new Failure(lease.Token, run.Run.Name, $"{error}"), StudyJson.Options)
            );
            Say($"{run.Run.Name}: {error}");
            Log(run, "failed", clock, context, error.Message);
            return;
        }

        Log(run, "done", clock, context);
        Tidy(run);
        foreach (PlannedRun earlier in run.After)
        {
            Tidy(earlier);
        }
    }

    /// <summary>Removes what nobody needs of a run that is done, also where its worker was killed before it could. Another worker may be at
    /// it, and one that slept and was taken for dead may still write.</summary>
    private void Tidy(PlannedRun run)
    {
        AtomicFile.Try(() => File.Delete(_folder.FailureFile(run.Id)));
        AtomicFile.Try(() => Remove(_folder.StateOf(run.Id)));
        if (run.Run.HasTemporaryFiles && _readers[run].All(IsDone))
        {
            AtomicFile.Try(() => Remove(_folder.FilesOf(run.Id)));
        }

        _desk.RemoveDead(run.Id);
    }

    private void Write(PlannedRun run, object result, IReadOnlyDictionary<string, double> times, string folder)
    {
        string files = Path.Join(folder, "files");
        if (!run.Run.HasTemporaryFiles && !Directory.EnumerateFileSystemEntries(files).Any())
        {
            Directory.Delete(files);
        }

        var record = new RunRecord
        {
            Id = run.Id,
            Name = run.Run.Name,
            Study = _study.Name,
            StudyVersion = _study.Version,
            Version = _build.Version,
            Commit = _build.Commit,
            Seed = run.Run.Seed,
            Settings = JsonSerializer.SerializeToElement(run.Run.Settings, StudyJson.Options),
            Result = JsonSerializer.SerializeToElement(result, StudyJson.Options),
        };
        AtomicFile.Write(Path.Join(folder, "result.json"), stream => JsonSerializer.Serialize(stream, record, StudyJson.Options));
        if (times.Count > 0)
        {
            AtomicFile.Write(Path.Join(folder, "times.json"), stream => JsonSerializer.Serialize(stream, times, StudyJson.Options));
        }
    }

    private static void Remove(string folder)
    {
        if (Directory.Exists(folder))
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private void Log(PlannedRun run, string status, Stopwatch clock, RunContext context, string? error = null)
    {
        byte[] line = RunLine.Of(run, _study, status, error, _build, _options.Device, clock.Elapsed, context.Metrics);
        RunLog.Add(_folder.Log, line);
        _options.Lines.Write(System.Text.Encoding.UTF8.GetString(line));
        _options.Lines.Flush();
        Say($"{run.Run.Name}: {status} after {clock.Elapsed.TotalSeconds:F1} s");
        Tell(null);
    }

    private void Tell(PlannedRun? run, RunStep? step = null) =>
        _options.Progress?.Report(
            new()
            {
                Study = _study.Name,
                Runs = _wanted.Count,
                Done = step is null ? _wanted.Count(IsDone) : _wanted.Count(_done.Contains),
                Failed = _tried.Count,
                DoneHere = _doneHere,
                Run = run?.Run.Name,
                Step = step,
            }
        );

    private void Say(string message) => _options.Messages.WriteLine($"study: {message}");

    private sealed record Failure(string Token, string Name, string Error);
}
