namespace SkillLoc.Trainers;

/// <summary>What a graft's mask starts from.</summary>
public enum BasePatchKind
{
    /// <summary>The coordinates that fine-tuning moved most, as many as the sparsity allows.</summary>
    HighestMovement,

    /// <summary>Nothing; every coordinate must be found by training the mask.</summary>
    Empty,

    /// <summary>Coordinates drawn uniformly, as many as the sparsity allows; the seed decides. A control wants at least 5 draws.</summary>
    Random,

    /// <summary>All considered biases, whatever the sparsity.</summary>
    Biases,

    /// <summary>All considered coordinates of one layer, whatever the sparsity.</summary>
    Layer,

    /// <summary>A mask from a file: a graft's coordinates, or a safetensors file with a mask or scores for each considered parameter.</summary>
    Loaded,
}
