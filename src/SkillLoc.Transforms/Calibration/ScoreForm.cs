namespace SkillLoc.Transforms;

/// <summary>What scores are, before a temperature divides their logits.</summary>
public enum ScoreForm
{
    /// <summary>Probabilities where every row that is fitted holds some: numbers from 0 to 1 that sum to 1. Else logits.</summary>
    Detected,

    /// <summary>Probabilities, whose logarithms are the logits.</summary>
    Probabilities,

    /// <summary>Logits: a softmax, or of a binary trainer's margin the logistic function, makes probabilities of them.</summary>
    Logits,
}
