using SkillLoc.Studies;

namespace SkillLoc.SkillNeuronStudy;

/// <summary>What a study does; one JSON file.</summary>
public sealed record StudyPlan
{
    /// <summary>The kind of study: <c>skill-neurons</c>.</summary>
    public string? Study { get; init; }

    /// <summary>The pre-trained checkpoint folder.</summary>
    public required string Checkpoint { get; init; }

    /// <summary>The folder that the data sets' paths are under.</summary>
    public required string Data { get; init; }

    /// <summary>The tasks.</summary>
    public required IReadOnlyList<StudyTask> Tasks { get; init; }

    /// <summary>One run of prompt tuning and probing a seed; predictivity is the mean over the runs.</summary>
    public required IReadOnlyList<int> Seeds { get; init; }

    /// <summary>At most this many rows to train on and to take thresholds from.</summary>
    public int TrainRows { get; init; } = 2000;

    /// <summary>At most this many rows to choose states and neurons by.</summary>
    public int DevRows { get; init; } = 500;

    /// <summary>At most this many rows to judge by.</summary>
    public int TestRows { get; init; } = 1000;

    /// <summary>Seed of the split and of which rows are taken; the same for everything (methods, B.5).</summary>
    public uint SplitSeed { get; init; }

    /// <summary>The share of each layer's neurons that are compared between tasks.</summary>
    public double TopFraction { get; init; } = 0.2;

    /// <summary>How prompts, biases and adapters are tuned.</summary>
    public TuningPlan Tuning { get; init; } = new();

    /// <summary>How neurons are perturbed.</summary>
    public PerturbationPlan Perturbation { get; init; } = new();

    /// <summary>How models are pruned.</summary>
    public PruningPlan Pruning { get; init; } = new();

    /// <summary>Reads, splits and draws a task's rows.</summary>
    /// <exception cref="IOException">A file cannot be read.</exception>
    /// <exception cref="InvalidDataException">A row is not as its format says, or a split would be empty.</exception>
    public TaskRows RowsOf(StudyTask task) =>
        TaskRows.Draw([.. task.Sources.Select(source => task.Read(source, Data))], SplitSeed, TrainRows, DevRows, TestRows);

    /// <summary>The same plan with some of its tasks, in the plan's order.</summary>
    /// <param name="names">Their names; none for all.</param>
    /// <exception cref="ArgumentException">The plan has no such task.</exception>
    public StudyPlan Only(IReadOnlyList<string> names) => this with { Tasks = StudyParts.Choose("task", Tasks, task => task.Name, names) };

    /// <summary>Reads a plan.</summary>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">It is not a plan; the message names line and property, or what is out of its
    /// range.</exception>
    public static StudyPlan Load(string path)
    {
        StudyPlan plan = StudyJson.ReadPlan<StudyPlan>(path);
        Require(plan.Tasks.Count > 0, "names no task");
        Require(
            plan.Tasks.DistinctBy(task => task.Name, StringComparer.OrdinalIgnoreCase).Count() == plan.Tasks.Count,
            "names a task twice"
        );
        Require(plan.Seeds.Count > 0 && plan.Seeds.Distinct().Count() == plan.Seeds.Count, "needs seeds, each once");
        Require(plan.TrainRows > 0 && plan.DevRows > 0 && plan.TestRows > 0, "needs train_rows, dev_rows and test_rows of 1 or more");
        Require(
            plan.Perturbation.Methods.Count > 0 && plan.Perturbation.Fractions.Count > 0,
            "needs methods and fractions of perturbation"
        );
        Require(plan.Perturbation.Controls >= 5, "needs 5 or more controls");
        Require(
            plan.Perturbation.Fractions.Append(plan.TopFraction).Append(plan.Pruning.Fraction).All(fraction => fraction is > 0 and <= 1),
            "needs fractions in (0, 1]"
        );
        Require(
            plan.Tuning
                is {
                    PromptSize: > 1,
                    LearningRate: > 0,
                    BiasLearningRate: > 0,
                    AdapterLearningRate: > 0,
                    Epochs: > 0,
                    RetrainingEpochs: > 0,
                    BatchSize: > 0,
                    EvaluationInterval: > 0,
                    MaxLength: null or > 0
                },
            "needs in tuning a prompt_size of 2 or more, learning rates above 0, and epochs, retraining_epochs, batch_size, "
                + "evaluation_interval and max_length of 1 or more"
        );
        Require(plan.Perturbation is { Alpha: > 0, Rows: > 0 }, "needs in perturbation an alpha above 0 and rows of 1 or more");
        Require(
            plan.Pruning is { LowLayer: >= 0, Repetitions: > 0 },
            "needs in pruning a low_layer of 0 or more and repetitions of 1 or more"
        );
        foreach (StudyTask task in plan.Tasks)
        {
            Require(task.Words?.Values.All(word => word is not null) ?? true, $"has null for a word of {task.Name}");
            Require(
                task.Name.IndexOfAny([',', .. Path.GetInvalidFileNameChars()]) < 0,
                $"calls a task '{task.Name}'; the name becomes a file's and stands in CSV"
            );
            Require(task.Sources.Count is >= 1 and <= 3, $"gives {task.Name} {task.Sources.Count} sources; one to three are right");
            Require(task.Question is null != task.Labels is not null, $"must give {task.Name} both a question and its labels, or neither");
            Require(task.Question is null || task.Subset is null, $"gives {task.Name} a question and a subset; one is right");
        }

        return plan;

        void Require(bool holds, string complaint)
        {
            if (!holds)
            {
                throw new InvalidDataException($"{path} {complaint}.");
            }
        }
    }
}
