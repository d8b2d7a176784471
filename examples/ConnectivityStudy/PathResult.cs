using System.Text.Json.Serialization;
using SkillLoc.Evaluators;

namespace SkillLoc.ConnectivityStudy;

/// <summary>A path, measured on one task's test rows.</summary>
/// <param name="Experiment">The experiment.</param>
/// <param name="Method">How the ends were tuned.</param>
/// <param name="Pair">The ends.</param>
/// <param name="Task">The task that was measured.</param>
/// <param name="IsCurve">Whether it is a curve; else the straight line.</param>
/// <param name="Points">The points.</param>
/// <param name="L2">The Euclidean distance of the ends: of what tuning added, or else of all parameters that both have.</param>
/// <param name="MeanL2">The root of the mean squared difference.</param>
/// <param name="Cosine">The cosine of the angle between the ends.</param>
public sealed record PathResult(
    string Experiment,
    string Method,
    string Pair,
    string Task,
    bool IsCurve,
    IReadOnlyList<InterpolationPoint> Points,
    double L2,
    double MeanL2,
    double Cosine
)
{
    /// <summary>See <see cref="InterpolationSet.LossBarrier"/>.</summary>
    [JsonIgnore]
    public double LossBarrier => Set.LossBarrier;

    /// <summary>See <see cref="InterpolationSet.MetricBarrier"/>.</summary>
    [JsonIgnore]
    public double MetricBarrier => Set.MetricBarrier;

    /// <summary>The points as a set of rows.</summary>
    [JsonIgnore]
    public InterpolationSet Set =>
        new()
        {
            Name = nameof(CheckpointInterpolationEvaluator.Options.Test),
            Rows = [],
            Points = Points,
            Scores = [],
        };
}
