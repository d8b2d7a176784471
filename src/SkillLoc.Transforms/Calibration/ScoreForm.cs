namespace SkillLoc.Transforms;

/// <summary>The form of scores before calibration.</summary>
public enum ScoreForm
{
    /// <summary><see cref="Probabilities"/> if the scores of every fitted row are from 0 to 1 and sum to 1, else
    /// <see cref="Logits"/>.</summary>
    Detected,

    /// <summary>Probabilities, whose logarithms are the logits.</summary>
    Probabilities,

    /// <summary>Logits, from which a softmax, or for a binary trainer's margin the logistic function, gives probabilities.</summary>
    Logits,
}
