using SkillLoc.Models.Prompts;
using SkillLoc.Studies;

namespace SkillLoc.GraftingStudy;

/// <summary>What a study does; one JSON file.</summary>
public sealed record StudyPlan
{
    /// <summary>The kind of study: <c>grafting</c>.</summary>
    public string? Study { get; init; }

    /// <summary>The pre-trained checkpoint folder.</summary>
    public required string Checkpoint { get; init; }

    /// <summary>The folder that the data sets' paths are under.</summary>
    public required string Data { get; init; }

    /// <summary>A JSON file of tasks of your own (<see cref="PromptTasks.Load"/>), which are looked up first; null for none.</summary>
    public string? TaskFile { get; init; }

    /// <summary>The data sets.</summary>
    public required IReadOnlyList<StudyTask> Tasks { get; init; }

    /// <summary>Training rows per label; as many again choose the best state.</summary>
    public required IReadOnlyList<int> Shots { get; init; }

    /// <summary>Seeds of the shots, of training and of the masks.</summary>
    public required IReadOnlyList<int> Seeds { get; init; }

    /// <summary>Shares of the considered parameters that a graft starts from, and is held to by the limited variant.</summary>
    public required IReadOnlyList<double> Sparsities { get; init; }

    /// <summary>At most this many rows of a test set, drawn once for all seeds.</summary>
    public int TestRows { get; init; } = 1000;

    /// <summary>Seed of what is held out and of which test rows are measured; the same for everything (methods, B.5).</summary>
    public uint SplitSeed { get; init; }

    /// <summary>Draws of each random mask.</summary>
    public int RandomDraws { get; init; } = 5;

    /// <summary>How models are fine-tuned.</summary>
    public FineTuningPlan FineTuning { get; init; } = new();

    /// <summary>How masks are trained.</summary>
    public MaskPlan Masks { get; init; } = new();

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
        Require(plan.Shots.Count > 0 && plan.Shots.All(shots => shots > 0), "needs shots of 1 or more");
        Require(plan.Seeds.Count > 0, "names no seed");
        Require(plan.Sparsities.Count > 0 && plan.Sparsities.All(sparsity => sparsity is > 0 and <= 1), "needs sparsities in (0, 1]");
        Require(plan.TestRows > 0 && plan.RandomDraws > 0, "needs test_rows and random_draws of 1 or more");
        FineTuningPlan tuning = plan.FineTuning;
        Require(
            tuning
                is {
                    Epochs: > 0,
                    BatchSize: > 0,
                    EvaluationInterval: > 0,
                    LearningRate: > 0,
                    BiasLearningRate: > 0,
                    LoraLearningRate: > 0,
                    L1: >= 0,
                    MaxLength: null or > 0
                },
            "needs in fine_tuning epochs, batch_size, evaluation_interval and max_length of 1 or more, learning rates above 0 and an "
                + "l1 of 0 or more"
        );
        Require(
            plan.Masks is { Epochs: > 0, MaxBatches: > 0, LearningRate: > 0 },
            "needs in masks epochs and max_batches of 1 or more and a learning_rate above 0"
        );
        foreach (StudyTask task in plan.Tasks)
        {
            Require(
                task.Shots is null || (task.Shots.Count == plan.Shots.Count && task.Shots.All(shots => shots > 0)),
                $"gives {task.Name} shots of its own; they must be as many as the plan's {plan.Shots.Count}, and 1 or more"
            );
            foreach (string other in task.OutOfDistribution)
            {
                Require(plan.Tasks.Any(known => known.Name == other), $"measures {task.Name} on '{other}', which is none of its tasks");
            }
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
