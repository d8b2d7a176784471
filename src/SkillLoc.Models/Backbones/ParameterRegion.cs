namespace SkillLoc.Models.Backbones;

/// <summary>A region of the parameters of a language model.</summary>
public enum ParameterRegion
{
    /// <summary>Token, position and segment embeddings and their normalisation.</summary>
    Embeddings,

    /// <summary>A layer of the encoder, of GPT-2's stack, or of T5's decoder.</summary>
    Layer,

    /// <summary>Everything after the layers: GPT-2's and T5's last layer norms, pooler, language-model head, classifier.</summary>
    Head,
}
