using SkillLoc.Studies;

namespace SkillLoc.ConnectivityStudy;

/// <summary>What a study does; one JSON file.</summary>
public sealed record StudyPlan
{
    /// <summary>The kind of study: <c>connectivity</c>.</summary>
    public string? Study { get; init; }

    /// <summary>The pre-trained checkpoint folder.</summary>
    public required string Checkpoint { get; init; }

    /// <summary>The folder that the data sets' paths are under.</summary>
    public required string Data { get; init; }

    /// <summary>The tasks.</summary>
    public required IReadOnlyList<SplitTask> Tasks { get; init; }

    /// <summary>The ways to tune, by the names that experiments give.</summary>
    public required IReadOnlyDictionary<string, MethodPlan> Methods { get; init; }

    /// <summary>The experiments.</summary>
    public required IReadOnlyList<ExperimentPlan> Experiments { get; init; }

    /// <summary>At most this many rows to train on.</summary>
    public int TrainRows { get; init; } = 1000;

    /// <summary>At most this many rows to choose a curve's state by.</summary>
    public int DevRows { get; init; } = 500;

    /// <summary>At most this many rows to judge by.</summary>
    public int TestRows { get; init; } = 500;

    /// <summary>Seed of the split and of which rows are taken; the same for everything (methods, B.5).</summary>
    public uint SplitSeed { get; init; }

    /// <summary>Points of a path, both ends among them.</summary>
    public int Points { get; init; } = 26;

    /// <summary>Points at which training rows are followed.</summary>
    public int KnowledgePoints { get; init; } = 6;

    /// <summary>Two ends are called connected where the metric's barrier is at most this.</summary>
    public double Tolerance { get; init; } = 0.02;

    /// <summary>How ends are trained, unless an experiment says otherwise.</summary>
    public TrainingPlan Training { get; init; } = new();

    /// <summary>Curves in place of the worst lines.</summary>
    public CurvePlan Curves { get; init; } = new();

    /// <summary>Mixtures of the worst lines' ends.</summary>
    public MixturePlan Mixtures { get; init; } = new();

    /// <summary>The bases of different pre-training; null where no experiment asks for them.</summary>
    public PretrainingPlan? Pretraining { get; init; }

    /// <summary>Reads, splits and draws a task's rows.</summary>
    /// <exception cref="IOException">A file cannot be read.</exception>
    /// <exception cref="InvalidDataException">A row is not as its format says, or a split would be empty.</exception>
    public TaskRows RowsOf(SplitTask task) =>
        TaskRows.Draw([.. task.Sources.Select(source => source.Read(Data))], SplitSeed, TrainRows, DevRows, TestRows);

    /// <summary>The same plan with some of its experiments, in the plan's order.</summary>
    /// <param name="names">Their names; none for all.</param>
    /// <exception cref="ArgumentException">The plan has no such experiment.</exception>
    public StudyPlan Only(IReadOnlyList<string> names) =>
        this with
        {
            Experiments = StudyParts.Choose("experiment", Experiments, each => each.Name, names),
        };

    /// <summary>Reads a plan.</summary>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">It is not a plan; the message names line and property, or what is out of its
    /// range.</exception>
    public static StudyPlan Load(string path)
    {
        StudyPlan plan = StudyJson.ReadPlan<StudyPlan>(path);
        Require(plan.Tasks.Count > 0 && plan.Methods.Count > 0 && plan.Experiments.Count > 0, "needs tasks, methods and experiments");
        foreach ((string name, MethodPlan? method) in plan.Methods)
        {
            Require(method is { LearningRate: > 0 }, $"gives the method '{name}' no learning_rate above 0");
        }

        foreach (SplitTask task in plan.Tasks)
        {
            Require(task.Words?.Values.All(word => word is not null) ?? true, $"has null for a word of {task.Name}");
        }

        Require(
            plan.Training is { Steps: > 0, BatchSize: > 0, MaxGradientNorm: >= 0, MaxLength: null or > 0 },
            "needs in training steps, batch_size and max_length of 1 or more and a max_gradient_norm of 0 or more"
        );
        Require(
            plan.Curves is { Lines: >= 0, Bends: > 0, Steps: > 0, BatchSize: > 0, LearningRateFactor: > 0, EvaluationInterval: > 0 },
            "needs in curves lines of 0 or more, bends, steps, batch_size and evaluation_interval of 1 or more and a "
                + "learning_rate_factor above 0"
        );
        Require(
            plan.Mixtures is { Lines: >= 0, Steps: > 0, BatchSize: > 0, LearningRate: > 0, InitialDeviation: > 0, EvaluationInterval: > 0 },
            "needs in mixtures lines of 0 or more, steps, batch_size and evaluation_interval of 1 or more and a learning_rate and "
                + "initial_deviation above 0"
        );
        Names("task", plan.Tasks.Select(task => task.Name));
        Names("method", plan.Methods.Keys);
        Names("experiment", plan.Experiments.Select(experiment => experiment.Name));
        Require(
            plan.TrainRows > 1 && plan.DevRows > 0 && plan.TestRows > 0,
            "needs train_rows of 2 or more, dev_rows and test_rows of 1 or more"
        );
        Require(plan.KnowledgePoints > 1, "needs knowledge_points of 2 or more");
        Require(plan.Tolerance >= 0, "needs a tolerance of 0 or more");
        foreach (ExperimentPlan experiment in plan.Experiments)
        {
            string name = experiment.Name;
            Require(
                name is not ("runs" or "state" or "leases" or "failures"),
                $"calls an experiment '{name}', which is the name of a folder of the study's own"
            );
            Names($"pair of {name}", experiment.Pairs.Select(pair => pair.Name));
            Names($"plane of {name}", experiment.Planes.Select(plane => plane.Name));
            Require(
                experiment.Methods.Count > 0 && experiment.Pairs.Count + experiment.Planes.Count > 0,
                $"gives {name} no methods, or neither pairs nor planes"
            );
            Require(
                experiment.Planes.All(plane => plane is { Ends.Count: 3, Points: > 1, Margin: >= 0 }),
                $"needs for each plane of {name} three ends, 2 points or more and a margin of 0 or more"
            );
            Require((experiment.Points ?? plan.Points) > 1, $"needs 2 points or more for {name}");
            foreach (string method in experiment.Methods.Where(method => !plan.Methods.ContainsKey(method)))
            {
                Require(false, $"tunes {name} by '{method}', which is none of its methods");
            }

            foreach (
                EndPlan end in experiment
                    .Pairs.SelectMany(pair => new[] { pair.First, pair.Second })
                    .Concat(experiment.Planes.SelectMany(plane => plane.Ends))
                    .Select(end => end.Or(experiment.Both))
            )
            {
                Require(end.Task is not null, $"has ends of {name} without a task");
                Require(plan.Tasks.Any(task => task.Name == end.Task), $"trains {name} on '{end.Task}', which is none of its tasks");
                Require(
                    end.Checkpoint is null || (end.PretrainingSteps is null && experiment.Bases.Count == 0),
                    $"gives an end of {name} a checkpoint and steps of pre-training; it starts from one of them"
                );
                foreach (int steps in experiment.Bases.Concat(end.PretrainingSteps is { } own ? [own] : []))
                {
                    Require(
                        plan.Pretraining?.Steps.Contains(steps) == true,
                        $"builds {name} on {steps} steps of pre-training, which are none of its pretraining steps"
                    );
                }
            }
        }

        return plan;

        void Names(string what, IEnumerable<string> names)
        {
            string[] given = [.. names];
            foreach (
                string name in given.Where(name => name.Length == 0 || name.IndexOfAny([',', '|', .. Path.GetInvalidFileNameChars()]) >= 0)
            )
            {
                Require(false, $"calls a {what} '{name}'; the name becomes a folder's and stands in tables");
            }

            Require(given.Distinct(StringComparer.OrdinalIgnoreCase).Count() == given.Length, $"names a {what} twice");
        }

        void Require(bool holds, string complaint)
        {
            if (!holds)
            {
                throw new InvalidDataException($"{path} {complaint}.");
            }
        }
    }
}
