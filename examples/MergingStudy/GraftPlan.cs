namespace SkillLoc.MergingStudy;

/// <summary>How the grafts are found that are stitched.</summary>
public sealed record GraftPlan
{
    /// <summary>Shares of the considered parameters that a graft has.</summary>
    public IReadOnlyList<double> Sparsities { get; init; } = [0.01, 0.05];

    /// <summary>Passes that train the mask; 0 takes the scalars that moved most.</summary>
    public int Epochs { get; init; } = 8;

    /// <summary>The mask's learning rate.</summary>
    public double LearningRate { get; init; } = 1e8;

    /// <summary>At most this many batches of an epoch.</summary>
    public int MaxBatches { get; init; } = 16;
}
