namespace SkillLoc.GraftingStudy;

/// <summary>How grafts' masks are trained.</summary>
public sealed record MaskPlan
{
    /// <summary>Updates of the scores.</summary>
    public int Epochs { get; init; } = 100;

    /// <summary>The scores' learning rate.</summary>
    public double LearningRate { get; init; } = 1e7;

    /// <summary>Micro-batches of 8 rows that make an epoch at most.</summary>
    public int MaxBatches { get; init; } = 128;
}
