namespace SkillLoc.Models.Classification;

/// <summary>Scores of the labels of one row.</summary>
internal static class LabelScores
{
    /// <summary>Returns the index of the highest score; ties resolve to the lowest index.</summary>
    /// <param name="scores">At least one score.</param>
    public static int MostProbable(ReadOnlySpan<float> scores)
    {
        int best = 0;
        for (int i = 1; i < scores.Length; i++)
        {
            best = scores[i] > scores[best] ? i : best;
        }

        return best;
    }
}
