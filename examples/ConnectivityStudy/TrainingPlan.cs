using SkillLoc.Models.Classification;
using SkillLoc.Trainers;

namespace SkillLoc.ConnectivityStudy;

/// <summary>How ends are trained, unless an experiment says otherwise. The last state is kept, as the paper compares checkpoints of
/// steps.</summary>
public sealed record TrainingPlan
{
    /// <summary>AdamW, whose learning rate falls to 0, is the paper's for RoBERTa, Adafactor with a constant one for T5.</summary>
    public OptimizerKind Optimizer { get; init; } = OptimizerKind.AdamW;

    /// <summary>What makes logits; null takes the label words, or of T5 what it writes.</summary>
    public HeadKind? Head { get; init; }

    /// <summary>Updates.</summary>
    public int Steps { get; init; } = 300;

    /// <summary>Rows of an update.</summary>
    public int BatchSize { get; init; } = 16;

    /// <summary>Seed of the order of the rows and of dropout, and of the initialisation unless that has one of its own.</summary>
    public int Seed { get; init; } = 1;

    /// <summary>Gradients are scaled to this norm when they exceed it; 0 does not clip.</summary>
    public double MaxGradientNorm { get; init; } = 1;

    /// <summary>The longest row in tokens; null takes the task's.</summary>
    public int? MaxLength { get; init; }
}
