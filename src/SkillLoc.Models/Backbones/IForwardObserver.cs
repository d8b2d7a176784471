using TorchSharp;

namespace SkillLoc.Models.Backbones;

/// <summary>
/// Receives intermediate values of a forward pass. The tensors belong to the model and are released after the call; clone those that are
/// kept.
/// </summary>
public interface IForwardObserver
{
    /// <summary>Called with the embedding output (layer 0) and with the output of each layer (1 to L).</summary>
    /// <param name="layer">0 for the embeddings, i + 1 for the output of layer i; in GPT-2, the last one is taken after the final layer
    /// norm. <see cref="T5ForConditionalGeneration"/> documents the numbering of T5's two stacks.</param>
    /// <param name="hidden">Hidden states, <c>[batch, length, hidden]</c>.</param>
    void OnHidden(int layer, torch.Tensor hidden);

    /// <summary>Called with the activations of a layer's feed-forward neurons, after the non-linearity and any
    /// <see cref="LanguageModel.NeuronEditor"/>.</summary>
    /// <param name="layer">Zero-based layer.</param>
    /// <param name="activations">Activations, <c>[batch, length, feed-forward size]</c>.</param>
    void OnFeedForward(int layer, torch.Tensor activations);
}
