using System.CommandLine;
using System.Text.Json;

namespace SkillLoc.Studies;

/// <summary>The command <c>study</c> with <c>plan</c>, <c>run</c>, <c>status</c> and <c>merge</c>, for programs that know kinds of
/// studies.</summary>
public sealed class StudyCommand
{
    private readonly IReadOnlyList<StudyKind> _kinds;
    private readonly Argument<string> _plan = new("plan") { Description = "The study's plan, a JSON file." };
    private readonly Option<string?> _kind = new("--study") { Description = "The kind of study, where the plan has no property study." };
    private readonly Option<string?> _checkpoint = new("--checkpoint")
    {
        Description = "Another Hugging Face checkpoint folder or name than the plan's.",
    };
    private readonly Option<string?> _data = new("--data") { Description = "Another data folder than the plan's." };
    private readonly Option<string[]> _only = new("--only")
    {
        Description = "Some of the plan's parts, tasks or experiments, by their names.",
        AllowMultipleArgumentsPerToken = true,
    };
    private readonly Option<string?> _shard = new("--shard")
    {
        Description =
            "A share of the runs, i/n with i from 0. Without it Slurm's array task or Kubernetes' JOB_COMPLETION_INDEX of "
            + $"{StudyShard.CountVariable} decides, and otherwise all runs are this worker's.",
    };
    private readonly Option<bool> _list = new("--list") { Description = "One JSON line a run." };
    private readonly Option<string> _output = new("--out", "--output")
    {
        Description = "The study's folder. A study that was stopped goes on from what is there.",
        Required = true,
    };
    private readonly Option<bool> _mix = new("--mix")
    {
        Description = "Take results that another version or commit of the program measured.",
    };
    private readonly Option<int> _jobs = new("--jobs") { Description = "Processes that work here.", DefaultValueFactory = _ => 1 };
    private readonly Option<double> _silence = new("--silence")
    {
        Description = "Seconds without a heartbeat after which a worker is taken for dead.",
        DefaultValueFactory = _ => 60,
    };
    private readonly Argument<string> _folder = new("folder") { Description = "The study's folder." };
    private readonly Argument<string[]> _folders = new("folders")
    {
        Description = "Folders of shards of one study.",
        Arity = ArgumentArity.OneOrMore,
    };

    private readonly Func<StudyRunOptions, Func<StudyRunOptions, StudyExit>, StudyExit> _show;

    private StudyCommand(IReadOnlyList<StudyKind> kinds, Func<StudyRunOptions, Func<StudyRunOptions, StudyExit>, StudyExit>? show)
    {
        _kinds = kinds;
        _show = show ?? ((options, work) => work(options));
    }

    /// <summary>Makes the command.</summary>
    /// <param name="kinds">The kinds of studies that plans may name.</param>
    /// <param name="show">Runs a single worker's work with options that it may change, such as where messages go and who hears of the
    /// progress; null runs it as it is.</param>
    /// <returns>A command; its exit codes are those of <see cref="StudyExit"/>.</returns>
    public static Command Create(
        IReadOnlyList<StudyKind> kinds,
        Func<StudyRunOptions, Func<StudyRunOptions, StudyExit>, StudyExit>? show = null
    )
    {
        ArgumentNullException.ThrowIfNull(kinds);
        return new StudyCommand(kinds, show).Create();
    }

    private Command Create()
    {
        Command plan = new("plan", "Lists a study's runs.") { _plan, _kind, _checkpoint, _data, _only, _shard, _list };
        plan.SetAction(given => Guarded(() => Plan(given)));
        Command run = new("run", "Does the runs that are not done; any number of workers may share a folder.")
        {
            _plan,
            _kind,
            _checkpoint,
            _data,
            _only,
            _shard,
            _output,
            _mix,
            _jobs,
            _silence,
        };
        run.SetAction(given => StopSignals.Run(stop => Guarded(() => Run(given, stop)), StopSignals.DefaultPatience));
        Command status = new(
            "status",
            "Says how far a study is: exit code 0 when all is done, 1 when a run failed, 75 when there is more to do."
        )
        {
            _folder,
            _list,
        };
        status.SetAction(given => Guarded(() => Status(given.GetValue(_folder)!, given.GetValue(_list))));
        Command merge = new("merge", "Puts the folders of shards together and writes the report when all is done.")
        {
            _folders,
            _output,
            _mix,
        };
        merge.SetAction(given => Guarded(() => Merge(given.GetValue(_folders)!, given.GetValue(_output)!, given.GetValue(_mix))));
        return new Command("study", "Studies: lists of runs that any number of processes work through.") { plan, run, status, merge };
    }

    private static int Guarded(Func<StudyExit> command)
    {
        try
        {
            return (int)command();
        }
        catch (Exception error)
            when (error
                    is IOException
                        or UnauthorizedAccessException
                        or InvalidDataException
                        or ArgumentException
                        or FormatException
                        or InvalidOperationException
                        or NotSupportedException
                        or DllNotFoundException
            )
        {
            Console.Error.WriteLine($"study: {error.Message}");
            return (int)StudyExit.BadPlan;
        }
    }

    private StudyExit Plan(ParseResult given)
    {
        IReadOnlyList<PlannedRun> all = PlannedRun.Of(Open(RequestOf(given), given.GetValue(_kind)));
        StudyShard shard = ShardOf(given);
        foreach (PlannedRun run in all.Where(run => shard.Has(run.Place)))
        {
            Console.WriteLine(
                given.GetValue(_list)
                    ? JsonSerializer.Serialize(
                        new
                        {
                            run.Id,
                            run.Run.Name,
                            run.Run.Seed,
                            After = run.After.Select(earlier => earlier.Id),
                            run.Run.Settings,
                        },
                        StudyJson.Options
                    )
                    : $"{run.Id}  {run.Run.Name}"
            );
        }

        return StudyExit.Done;
    }

    private StudyExit Run(ParseResult given, CancellationToken stop)
    {
        string output = given.GetValue(_output)!;
        StudyRequest request = RequestOf(given);
        StudyShard shard = ShardOf(given);
        if (given.GetValue(_jobs) is var jobs && jobs < 1)
        {
            throw new ArgumentException($"--jobs is {jobs}; it must be 1 or more.");
        }

        if (given.GetValue(_silence) is var silence && silence is not (>= 1 and <= 86_400))
        {
            throw new ArgumentException($"--silence is {silence}; it must be between 1 and 86400 seconds.");
        }

        StudyExit exit =
            jobs > 1
                ? StudyJobs.Run(jobs, given.Tokens.Select(token => token.Value), _jobs.Name, stop)
                : _show(
                    new(output)
                    {
                        Shard = shard,
                        Mix = given.GetValue(_mix),
                        Silence = TimeSpan.FromSeconds(silence),
                        Heartbeat = TimeSpan.FromSeconds(Math.Min(5, silence / 4)),
                        CancellationToken = stop,
                    },
                    options => StudyRunner.Run(Open(request, given.GetValue(_kind)), options, request)
                );
        if (exit == StudyExit.Stopped)
        {
            throw new OperationCanceledException(stop);
        }

        if (jobs == 1)
        {
            IReadOnlyList<StudyStatus> runs = StudyStatus.Of(output);
            Console.Error.WriteLine($"study: {output}: {StudyStatus.Counts(runs)}.");
        }

        return exit;
    }

    private static StudyExit Status(string folder, bool list)
    {
        IReadOnlyList<StudyStatus> runs = StudyStatus.Of(folder);
        foreach (StudyStatus run in runs)
        {
            Console.WriteLine(list ? JsonSerializer.Serialize(run, StudyJson.Options) : $"{run}");
        }

        Console.Error.WriteLine($"study: {folder}: {StudyStatus.Counts(runs)}.");
        return runs.All(run => run.Status == "done") ? StudyExit.Done
            : runs.Any(run => run.Status == "failed") ? StudyExit.RunFailed
            : StudyExit.Stopped;
    }

    private StudyExit Merge(string[] folders, string output, bool mix)
    {
        StudyManifest manifest = StudyMerge.Run(folders, output, mix);
        var folder = new StudyFolder(output);
        StudyExit exit = Status(output, list: false);
        if (exit == StudyExit.Done && File.Exists(folder.PlanFile))
        {
            Open(manifest.Request(folder.PlanFile), manifest.Study)
                .Report(new(folder, null, manifest.Runs.Select(run => KeyValuePair.Create(run.Name, run.Id))), output);
        }

        return exit;
    }

    private StudyRequest RequestOf(ParseResult given) =>
        new(given.GetValue(_plan)!)
        {
            Checkpoint = given.GetValue(_checkpoint),
            Data = given.GetValue(_data),
            Only = given.GetValue(_only) ?? [],
        };

    private StudyShard ShardOf(ParseResult given) =>
        given.GetValue(_shard) is { } text ? StudyShard.Parse(text) : StudyShard.FromEnvironment(Environment.GetEnvironmentVariable);

    private IStudy Open(StudyRequest request, string? name)
    {
        string? named = StudyJson.ReadStudy(request.Plan);
        if (name is not null && named is not null && name != named)
        {
            throw new InvalidDataException($"{request.Plan} is the plan of a study '{named}', not '{name}'.");
        }

        string known = string.Join(", ", _kinds.Select(kind => $"'{kind.Name}'"));
        return (name ?? named) is not { } wanted
                ? throw new InvalidDataException($"{request.Plan} has no property study, and --study does not say which it is: {known}.")
            : _kinds.FirstOrDefault(kind => kind.Name == wanted) is { } found ? found.Open(request)
            : throw new InvalidDataException($"There is no study '{wanted}'; there are {known}.");
    }
}
