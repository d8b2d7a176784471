using SkillLoc.Models.Classification;
using SkillLoc.Models.Tuning;

namespace SkillLoc.ConnectivityStudy;

/// <summary>How an end of a path is trained; what is null is as usual.</summary>
public sealed record EndPlan
{
    /// <summary>The name of one of the plan's tasks.</summary>
    public string? Task { get; init; }

    /// <summary>Seed of the order of the rows and of dropout, and of the initialisation unless that has one of its own.</summary>
    public int? Seed { get; init; }

    /// <summary>Seed of what tuning adds to the model, and of a fresh head.</summary>
    public int? InitialisationSeed { get; init; }

    /// <summary>Updates.</summary>
    public int? Steps { get; init; }

    /// <summary>Rows of an update.</summary>
    public int? BatchSize { get; init; }

    /// <summary>What the method's learning rate is multiplied by.</summary>
    public double? LearningRateFactor { get; init; }

    /// <summary>The training rows.</summary>
    public TrainingRows? Rows { get; init; }

    /// <summary>Another tuning than the method's, for example one that is drawn otherwise.</summary>
    public TuningOptions? Tuning { get; init; }

    /// <summary>What makes logits.</summary>
    public HeadKind? Head { get; init; }

    /// <summary>The base: the model that was pre-trained for so many updates (<see cref="PretrainingPlan.Steps"/>) in place of the plan's
    /// checkpoint.</summary>
    public int? PretrainingSteps { get; init; }

    /// <summary>Another checkpoint than the plan's, a folder or a name, of the same architecture and sizes.</summary>
    public string? Checkpoint { get; init; }

    /// <summary>This end, and where it says nothing another.</summary>
    public EndPlan Or(EndPlan usual) =>
        new()
        {
            Task = Task ?? usual.Task,
            Seed = Seed ?? usual.Seed,
            InitialisationSeed = InitialisationSeed ?? usual.InitialisationSeed,
            Steps = Steps ?? usual.Steps,
            BatchSize = BatchSize ?? usual.BatchSize,
            LearningRateFactor = LearningRateFactor ?? usual.LearningRateFactor,
            Rows = Rows ?? usual.Rows,
            Tuning = Tuning ?? usual.Tuning,
            Head = Head ?? usual.Head,
            PretrainingSteps = PretrainingSteps ?? usual.PretrainingSteps,
            Checkpoint = Checkpoint ?? usual.Checkpoint,
        };
}
