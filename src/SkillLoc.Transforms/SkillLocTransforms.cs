using SkillLoc.Models.Classification;
using SkillLoc.Models.Grafts;
using SkillLoc.Transforms;

namespace SkillLoc;

/// <summary>The transformers in SkillLoc's catalog that need no training.</summary>
public static class SkillLocTransforms
{
    /// <summary>
    /// Loads a model that scores text, on the context's device: a classifier's checkpoint folder (as <c>SaveCheckpoint</c>,
    /// <c>OutputFolder</c> and <c>CheckpointFolder</c> write it, or a Hugging Face classifier), or a base checkpoint with one file of what
    /// was learnt on it, a graft or a tuning method's weights.
    /// </summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="checkpoint">The folder of the classifier, or of the base.</param>
    /// <param name="learnt">A file for the base that <c>SaveGraft</c> or <c>SaveTuned</c> wrote; null where the folder is all.</param>
    /// <param name="settings">What the folder's model shall do, where it does not say so itself, such as a pre-trained model, or shall do
    /// something else; null takes the folder's or the file's. A head that the folder lacks is initialised.</param>
    /// <param name="columns">The columns it reads and adds; by default Text (and TextPair), PredictedLabel and Score.</param>
    /// <param name="twin">A model of the same architecture that was loaded before: backbone parameters that are equal, such as those of a
    /// common base, share its memory. Neither may train then.</param>
    /// <returns>The model; the caller disposes it.</returns>
    /// <exception cref="FileNotFoundException">The folder holds no classifier, or a file is missing.</exception>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="InvalidDataException">A file is damaged, is neither a graft nor tuned weights, carries no task, or is for another
    /// base.</exception>
    /// <exception cref="ArgumentException">There are settings beside a file, which has its own, they do not fit the checkpoint, or the
    /// columns do not fit them.</exception>
    public static TextScoringTransformer LoadTextScorer(
        this SkillLocCatalog catalog, string checkpoint, string? learnt = null, ClassifierSettings? settings = null,
        ScoringColumns? columns = null, TextScoringTransformer? twin = null)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentException.ThrowIfNullOrEmpty(checkpoint);
        TextScoringTransformer scorer = learnt is null
            ? ScorerFiles.Load(checkpoint, settings, columns, catalog.Device(), twin)
            : settings is null
                ? ScorerFiles.LoadLearnt(checkpoint, learnt, columns, catalog.Device(), twin)
                : throw new ArgumentException("What was learnt brings its own settings; leave them out.", nameof(settings));
        scorer.Host = new(catalog.Context, nameof(LoadTextScorer));
        return scorer;
    }

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
        GraftedModelSet set = Transforms.GraftedModelSet.Create(baseCheckpoint, grafts, columns, skillColumnName, catalog.Device());
        set.Host = new(catalog.Context, nameof(GraftedModelSet));
        return set;
    }
}
