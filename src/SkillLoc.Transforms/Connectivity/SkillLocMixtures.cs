using SkillLoc.Models.Connectivity;
using SkillLoc.Transforms;

namespace SkillLoc;

/// <summary>Models of mixtures as transformers.</summary>
public static class SkillLocMixtures
{
    /// <summary>Creates a scoring transformer of a mixture as it is now, which shares nothing with the ends.</summary>
    /// <param name="mixture">The mixture.</param>
    /// <param name="columns">The columns it reads and adds; by default Text, PredictedLabel and Score.</param>
    /// <returns>The transformer; the caller disposes it.</returns>
    /// <exception cref="ArgumentException">The task scores pairs and no second text column is named, or the other way round.</exception>
    public static TextScoringTransformer ToTransformer(this CheckpointMixture mixture, ScoringColumns? columns = null)
    {
        ArgumentNullException.ThrowIfNull(mixture);
        return new(mixture.CreateModel(), columns ?? new());
    }
}
