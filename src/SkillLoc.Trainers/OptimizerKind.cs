namespace SkillLoc.Trainers;

/// <summary>The optimisers that fine-tuning offers (grafting reference, A.9).</summary>
public enum OptimizerKind
{
    /// <summary>Decoupled weight decay, betas 0.9 and 0.999; linear warm-up, then linear decay to 0.</summary>
    AdamW,

    /// <summary>Plain stochastic gradient descent at a constant learning rate.</summary>
    Sgd,
}
