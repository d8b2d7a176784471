using SkillLoc.Models.Grafts;
using SkillLoc.Transforms;

namespace SkillLoc;

/// <summary>The transformers in SkillLoc's catalog that need no training.</summary>
public static class SkillLocTransforms
{
    /// <summary>One base model in memory with many grafted skills, on the context's device.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="baseCheckpoint">The base checkpoint folder.</param>
    /// <param name="grafts">The grafts by the names of their skills.</param>
    /// <param name="columns">The columns it reads and adds; by default Text (and TextPair where a skill needs it), PredictedLabel and Score.</param>
    /// <param name="skillColumnName">The column that names each row's skill.</param>
    /// <returns>The set; the caller disposes it.</returns>
    /// <exception cref="ArgumentException">There are no grafts, or one scores pairs and no second text column is named.</exception>
    /// <exception cref="InvalidDataException">A graft is for another base, or carries no task.</exception>
    public static GraftedModelSet GraftedModelSet(
        this SkillLocCatalog catalog, string baseCheckpoint, IReadOnlyDictionary<string, Graft> grafts, ScoringColumns? columns = null,
        string skillColumnName = "Skill")
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return Transforms.GraftedModelSet.Create(baseCheckpoint, grafts, columns, skillColumnName, catalog.Device());
    }
}
