using SkillLoc.Models.Tuning;

namespace SkillLoc.ConnectivityStudy;

/// <summary>A way to tune.</summary>
public sealed record MethodPlan
{
    /// <summary>The parameter-efficient method; null tunes all of the model's own parameters.</summary>
    public TuningOptions? Tuning { get; init; }

    /// <summary>The learning rate.</summary>
    public required double LearningRate { get; init; }
}
