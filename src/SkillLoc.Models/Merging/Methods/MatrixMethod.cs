using SkillLoc.Models.NativeCalls;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Merging.Methods;

/// <summary>What methods that look at task vectors as matrices share: theta = theta_0 + lambda tau, with a tau of their own for each matrix
/// and the mean of the models' differences for all other tensors.</summary>
internal abstract class MatrixMethod : MergeMethod
{
    // Larger matrices are computed in float32, which takes half the memory.
    private const int LargestInDouble = 1 << 22;

    internal override void Merge(MergeTensor tensor)
    {
        tensor.SubtractBase();
        float lambda = (float)tensor.Number("lambda");
        if (tensor.Shape.Length == 2 && tensor.Length > 0)
        {
            using DisposeScope scope = NewDisposeScope();
            using IDisposable noGradients = no_grad();
            ScalarType type = tensor.Length <= LargestInDouble ? ScalarType.Float64 : ScalarType.Float32;
            Tensor[] differences =
            [
                .. Enumerable
                    .Range(0, tensor.Count)
                    .Select(i => torch.tensor(tensor[i].ToArray(), tensor.Shape, dtype: ScalarType.Float32).to(type)),
            ];
            Tensor merged = Merge(differences, tensor).to(ScalarType.Float32).contiguous();
            merged.data<float>().CopyTo(tensor.Output);
        }
        else
        {
            tensor.Output.Clear();
            for (int i = 0; i < tensor.Count; i++)
            {
                VectorMath.Add(tensor.Output, tensor[i], tensor.Output);
            }

            VectorMath.Divide(tensor.Output, tensor.Count, tensor.Output);
        }

        VectorMath.Multiply(tensor.Output, lambda, tensor.Output);
        tensor.AddBase();
    }

    /// <summary>Merges the models' differences from the base of a matrix.</summary>
    private protected abstract Tensor Merge(Tensor[] differences, MergeTensor tensor);

    private protected static Tensor Sum(Tensor[] differences) =>
        differences.Skip(1).Aggregate(differences[0].clone(), (sum, one) => sum.Add_(one));
}
