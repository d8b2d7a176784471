using static TorchSharp.torch;

namespace SkillLoc.Models.Runtime;

/// <summary>The arithmetic of a model's passes.</summary>
public enum Precision
{
    /// <summary>float32 throughout.</summary>
    Float32,

    /// <summary>
    /// bfloat16 weights and activations; probabilities and losses are float32, and training keeps float32 master weights that the optimiser
    /// updates. Fast on CUDA devices and on processors with bfloat16 instructions (AVX-512 BF16, AMX), slow on others.
    /// </summary>
    BFloat16,
}

/// <summary>What tensors a precision stands for.</summary>
internal static class Precisions
{
    /// <summary>The type of weights and activations.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such precision.</exception>
    public static ScalarType ToScalarType(this Precision precision) =>
        precision switch
        {
            Precision.Float32 => ScalarType.Float32,
            Precision.BFloat16 => ScalarType.BFloat16,
            _ => throw new ArgumentOutOfRangeException(nameof(precision), precision, "There is no such precision."),
        };
}
