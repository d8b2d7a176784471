namespace SkillLoc.Models.Neurons;

/// <summary>The positions at which a probe reads feed-forward neurons (methods, B.7).</summary>
public enum NeuronProbeKind
{
    /// <summary><c>acc</c>: at each slot of the soft prompt, the mask slot included.</summary>
    Prompt,

    /// <summary><c>acc_mean</c>: the mean over the row's own tokens, start and end tokens included and padding excluded.</summary>
    TextMean,

    /// <summary><c>acc_max</c>: the maximum over the same tokens.</summary>
    TextMax,
}
