namespace SkillLoc.Trainers;

/// <summary>The arithmetic of fine-tuning's forward and backward passes.</summary>
public enum Precision
{
    /// <summary>float32 throughout.</summary>
    Float32,

    /// <summary>
    /// bfloat16 weights and activations, with float32 master copies that the optimiser updates, and float32 losses. Useful on CUDA devices;
    /// the result is float32 in any case.
    /// </summary>
    BFloat16,
}
