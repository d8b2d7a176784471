using SkillLoc.Studies;

namespace SkillLoc.MergingStudy;

/// <summary>What a study does; one JSON file.</summary>
public sealed record StudyPlan
{
    /// <summary>The kind of study: <c>merging</c>.</summary>
    public string? Study { get; init; }

    /// <summary>The pre-trained checkpoint folder or name.</summary>
    public required string Checkpoint { get; init; }

    /// <summary>The folder that the data sets' paths are under.</summary>
    public required string Data { get; init; }

    /// <summary>The tasks, at least two.</summary>
    public required IReadOnlyList<SplitTask> Tasks { get; init; }

    /// <summary>The ways to merge.</summary>
    public required IReadOnlyList<MethodPlan> Methods { get; init; }

    /// <summary>Seeds of the rows' order, of training, of masks and of methods that drop at random.</summary>
    public required IReadOnlyList<int> Seeds { get; init; }

    /// <summary>At most this many rows of a task to train on.</summary>
    public int TrainRows { get; init; } = 500;

    /// <summary>At most this many rows of a task to choose states and parameters by.</summary>
    public int DevRows { get; init; } = 200;

    /// <summary>At most this many rows of a task to judge by.</summary>
    public int TestRows { get; init; } = 400;

    /// <summary>Dev rows for the statistics of methods that look at data; 0 leaves these methods out.</summary>
    public int StatisticsRows { get; init; }

    /// <summary>Seed of the split and of which rows are taken; the same for everything (methods, B.5).</summary>
    public uint SplitSeed { get; init; }

    /// <summary>How models are fine-tuned.</summary>
    public TrainingPlan Training { get; init; } = new();

    /// <summary>How grafts are found.</summary>
    public GraftPlan Grafts { get; init; } = new();

    /// <summary>Reads a plan.</summary>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">It is not a plan; the message names what is wrong.</exception>
    public static StudyPlan Load(string path)
    {
        StudyPlan plan = StudyJson.ReadPlan<StudyPlan>(path);
        return plan.Tasks.Count < 2 ? throw new InvalidDataException($"{path}: there must be two tasks or more to merge.")
            : plan.Seeds.Count == 0 ? throw new InvalidDataException($"{path}: there is no seed.")
            : plan.Methods.GroupBy(method => method.Title, StringComparer.Ordinal).FirstOrDefault(group => group.Count() > 1) is { } twice
                ? throw new InvalidDataException($"{path}: the method '{twice.Key}' occurs twice; give one a name of its own.")
            : plan;
    }
}
