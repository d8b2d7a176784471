using TorchSharp;

namespace SkillLoc.Models.Backbones;

/// <summary>Changes the activations of feed-forward neurons while a model runs, for example to perturb them (methods, B.9).</summary>
public interface INeuronEditor
{
    /// <summary>Called in every layer of every pass, after the non-linearity and before the down-projection.</summary>
    /// <param name="layer">Zero-based layer.</param>
    /// <param name="activations">Activations, <c>[batch, positions, feed-forward size of the layer]</c>: every position of the row, or
    /// the scored one only in the last layer of <see cref="LanguageModel.EncodeAt"/>. They belong to the model.</param>
    /// <returns>What the layer goes on with, of the same shape and type: the same tensor, changed in place or not, or a new one, which
    /// the model then owns. Only a new one keeps gradients right.</returns>
    torch.Tensor Edit(int layer, torch.Tensor activations);
}
