namespace SkillLoc.Trainers;

/// <summary>The optimisers of fine-tuning (methods, A.9, C.2).</summary>
public enum OptimizerKind
{
    /// <summary>AdamW: decoupled weight decay, betas 0.9 and 0.999; linear warm-up, then linear decay to 0.</summary>
    AdamW,

    /// <summary>Plain stochastic gradient descent at a constant learning rate.</summary>
    Sgd,

    /// <summary>
    /// Adafactor (Shazeer and Stern 2018) at a constant learning rate, as in transformers without relative step, parameter scaling and
    /// momentum; its state is one row and one column of squares per matrix. Suitable rates are like AdamW's, such as 1e-4.
    /// </summary>
    Adafactor,
}
