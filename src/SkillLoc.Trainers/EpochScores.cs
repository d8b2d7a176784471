namespace SkillLoc.Trainers;

/// <summary>What a model makes of the training rows after an epoch (methods, C.6).</summary>
/// <param name="Right">For each row whether it is predicted right.</param>
/// <param name="Confidence">For each row the probability of its true label among the labels.</param>
internal sealed record EpochScores(bool[] Right, float[] Confidence)
{
    /// <summary>What the task gave.</summary>
    public EpochScores((bool[] Right, float[] Confidence) scores)
        : this(scores.Right, scores.Confidence)
    {
    }
}
