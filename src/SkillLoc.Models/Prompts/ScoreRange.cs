namespace SkillLoc.Models.Prompts;

/// <summary>
/// The range of a regression's scores. The task's two label words are its ends, and a score is predicted by how probable the second word
/// is (methods, A.1).
/// </summary>
public sealed record ScoreRange
{
    /// <summary>Makes a range.</summary>
    /// <param name="lowest">The score that the first label word stands for.</param>
    /// <param name="highest">The score that the second label word stands for.</param>
    /// <exception cref="ArgumentOutOfRangeException">The ends are not finite, or not in order.</exception>
    public ScoreRange(float lowest, float highest)
    {
        if (!float.IsFinite(highest - lowest) || lowest >= highest)
        {
            throw new ArgumentOutOfRangeException(
                nameof(highest), highest, $"A score range needs a finite highest score above the lowest, which is {lowest}.");
        }

        Lowest = lowest;
        Highest = highest;
    }

    /// <summary>The score that the first label word stands for.</summary>
    public float Lowest { get; }

    /// <summary>The score that the second label word stands for.</summary>
    public float Highest { get; }

    /// <summary>Whether a score lies in the range.</summary>
    /// <param name="score">A score.</param>
    /// <returns>False for NaN too.</returns>
    public bool Contains(float score) => score >= Lowest && score <= Highest;

    /// <summary>The share of the range that lies below a score: the probability that the second label word should have.</summary>
    /// <param name="score">A score in the range.</param>
    /// <returns>0 at <see cref="Lowest"/>, 1 at <see cref="Highest"/>.</returns>
    public float ShareOf(float score) => (score - Lowest) / (Highest - Lowest);

    /// <summary>The score that probabilities predict.</summary>
    /// <param name="probabilities">Those of the two label words.</param>
    /// <returns>A score in the range.</returns>
    public float Predict(ReadOnlySpan<float> probabilities) => (probabilities[1] * (Highest - Lowest)) + Lowest;

    /// <inheritdoc/>
    public override string ToString() => FormattableString.Invariant($"[{Lowest}, {Highest}]");
}
