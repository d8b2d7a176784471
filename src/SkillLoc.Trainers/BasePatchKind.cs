namespace SkillLoc.Trainers;

/// <summary>The base patch of a graft's mask.</summary>
public enum BasePatchKind
{
    /// <summary>The coordinates with the largest movement, as many as the sparsity allows.</summary>
    HighestMovement,

    /// <summary>Empty; training the mask must find all coordinates.</summary>
    Empty,

    /// <summary>Coordinates drawn uniformly, as many as the sparsity allows; depending on the seed. Controls need at least 5
    /// draws.</summary>
    Random,

    /// <summary>All considered biases, whatever the sparsity.</summary>
    Biases,

    /// <summary>All considered coordinates of one layer, whatever the sparsity.</summary>
    Layer,

    /// <summary>A mask from a file: a graft's coordinates, or a safetensors file with a mask or scores for each considered
    /// parameter.</summary>
    Loaded,
}
