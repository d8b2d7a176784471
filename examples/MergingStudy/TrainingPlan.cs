using SkillLoc.Trainers;

namespace SkillLoc.MergingStudy;

/// <summary>How single and multi-task models are fine-tuned.</summary>
public sealed record TrainingPlan
{
    /// <summary>The optimizer.</summary>
    public OptimizerKind Optimizer { get; init; } = OptimizerKind.AdamW;

    /// <summary>The learning rate.</summary>
    public double LearningRate { get; init; } = 2e-4;

    /// <summary>Passes over the rows.</summary>
    public int Epochs { get; init; } = 4;

    /// <summary>Rows of an update.</summary>
    public int BatchSize { get; init; } = 16;

    /// <summary>Updates between evaluations on the dev rows.</summary>
    public int EvaluationInterval { get; init; } = 32;

    /// <summary>The longest row in tokens; null takes the task's.</summary>
    public int? MaxLength { get; init; }
}
