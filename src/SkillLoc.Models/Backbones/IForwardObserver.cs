using TorchSharp;

namespace SkillLoc.Models.Backbones;

/// <summary>
/// Sees a model's inner values while it runs. The tensors belong to the model and are released after the call: an observer that
/// keeps one clones it.
/// </summary>
public interface IForwardObserver
{
    /// <summary>Called with the embedding output (layer 0) and with the output of each layer (1 to L).</summary>
    /// <param name="layer">0 for the embeddings, i + 1 for the output of layer i; GPT-2's last is taken after the final layer norm. How T5
    /// counts its two stacks, <see cref="T5ForConditionalGeneration"/> says.</param>
    /// <param name="hidden">Hidden states, <c>[batch, length, hidden]</c>.</param>
    void OnHidden(int layer, torch.Tensor hidden);

    /// <summary>Called with the activations of a layer's feed-forward neurons, after the non-linearity and any
    /// <see cref="LanguageModel.NeuronEditor"/>.</summary>
    /// <param name="layer">Zero-based layer.</param>
    /// <param name="activations">Activations, <c>[batch, length, feed-forward size]</c>.</param>
    void OnFeedForward(int layer, torch.Tensor activations);
}
