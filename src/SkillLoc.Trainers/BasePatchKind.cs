namespace SkillLoc.Trainers;

/// <summary>What a graft's mask starts from.</summary>
public enum BasePatchKind
{
    /// <summary>The coordinates that fine-tuning moved most, as many as the sparsity allows.</summary>
    HighestMovement,

    /// <summary>Nothing; every coordinate must be found by training the mask.</summary>
    Empty,
}
