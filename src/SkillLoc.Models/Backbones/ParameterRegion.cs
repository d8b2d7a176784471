namespace SkillLoc.Models.Backbones;

/// <summary>Where in a language model a parameter lives.</summary>
public enum ParameterRegion
{
    /// <summary>Token, position and segment embeddings and their normalisation.</summary>
    Embeddings,

    /// <summary>An encoder layer.</summary>
    Layer,

    /// <summary>Everything after the encoder: pooler, language-model head, classifier.</summary>
    Head,
}
