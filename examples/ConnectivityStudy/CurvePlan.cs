using SkillLoc.Trainers;

namespace SkillLoc.ConnectivityStudy;

/// <summary>Curves in place of the straight lines with the highest barriers (methods, C.8).</summary>
public sealed record CurvePlan
{
    /// <summary>For how many of each method's lines, those with the highest loss barriers; 0 for none.</summary>
    public int Lines { get; init; }

    /// <summary>Control points.</summary>
    public int Bends { get; init; } = 1;

    /// <summary>Updates.</summary>
    public int Steps { get; init; } = 300;

    /// <summary>Rows of an update.</summary>
    public int BatchSize { get; init; } = 16;

    /// <summary>What the method's learning rate is multiplied by.</summary>
    public double LearningRateFactor { get; init; } = 1;

    /// <summary>Updates between evaluations on development rows, at 0.25, 0.5 and 0.75.</summary>
    public int EvaluationInterval { get; init; } = 50;

    /// <summary>The optimiser, with a constant learning rate.</summary>
    public OptimizerKind Optimizer { get; init; } = OptimizerKind.Adafactor;

    /// <summary>Where control points of what tuning adds start.</summary>
    public ControlStart Start { get; init; }

    /// <summary>Seed of places, order of rows and control points.</summary>
    public int Seed { get; init; } = 1;
}
