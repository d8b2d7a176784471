namespace SkillLoc.Models.Backbones;

/// <summary>Where in a language model a parameter lives.</summary>
public enum ParameterRegion
{
    /// <summary>Token, position and segment embeddings and their normalisation.</summary>
    Embeddings,

    /// <summary>A layer of the encoder, or of GPT-2's stack.</summary>
    Layer,

    /// <summary>Everything after the layers: GPT-2's last layer norm, pooler, language-model head, classifier.</summary>
    Head,
}
