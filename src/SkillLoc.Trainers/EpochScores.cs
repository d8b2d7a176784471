namespace SkillLoc.Trainers;

/// <summary>Correctness and confidence of the training rows after an epoch (methods, C.6).</summary>
/// <param name="Right">Whether each row is predicted correctly.</param>
/// <param name="Confidence">The probability of each row's true label.</param>
internal sealed record EpochScores(bool[] Right, float[] Confidence)
{
    /// <summary>Creates the scores from the task's result.</summary>
    public EpochScores((bool[] Right, float[] Confidence) scores)
        : this(scores.Right, scores.Confidence)
    {
    }
}
