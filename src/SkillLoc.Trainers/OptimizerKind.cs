namespace SkillLoc.Trainers;

/// <summary>The optimisers that fine-tuning offers (methods, A.9, C.2).</summary>
public enum OptimizerKind
{
    /// <summary>Decoupled weight decay, betas 0.9 and 0.999; linear warm-up, then linear decay to 0.</summary>
    AdamW,

    /// <summary>Plain stochastic gradient descent at a constant learning rate.</summary>
    Sgd,

    /// <summary>
    /// Adafactor (Shazeer and Stern 2018) at a constant learning rate, as transformers has it without relative step, parameter scaling and
    /// momentum: its memory is a row and a column of squares for each matrix. The rate is one of AdamW's kind, such as 1e-4.
    /// </summary>
    Adafactor,
}
