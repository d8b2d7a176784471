using TorchSharp;

namespace SkillLoc.Models.Backbones;

/// <summary>Changes the activations of feed-forward neurons while a model runs, for example to perturb them (methods, B.9).</summary>
public interface INeuronEditor
{
    /// <summary>Called in every layer of every pass, after the activation function and before the down-projection.</summary>
    /// <param name="layer">Zero-based layer.</param>
    /// <param name="activations">Activations, <c>[batch, positions, feed-forward size of the layer]</c>: all positions of the row, or only
    /// the scored one in the last layer of <see cref="LanguageModel.EncodeAt"/>. The model owns the tensor.</param>
    /// <returns>The activations to continue with, of the same shape and type: the same tensor, possibly changed in place, or a new one,
    /// which the model then owns. Gradients are correct only with a new tensor.</returns>
    torch.Tensor Edit(int layer, torch.Tensor activations);
}
