using static TorchSharp.torch;

namespace SkillLoc.Models.Checkpoints;

/// <summary>The values of a tensor as an array.</summary>
/// <param name="Shape">Its shape.</param>
/// <param name="Values">Its values, row-major: as many as the shape has places.</param>
public sealed record TensorValues(long[] Shape, float[] Values)
{
    /// <summary>Copies a tensor; its temporaries belong to the caller's dispose scope.</summary>
    internal static TensorValues Of(Tensor tensor) => new(tensor.shape, Floats(tensor));

    /// <summary>Copies the values of a tensor in single precision; its temporaries belong to the caller's dispose scope.</summary>
    internal static float[] Floats(Tensor tensor) => tensor.detach().to(ScalarType.Float32).cpu().contiguous().data<float>().ToArray();
}
