using SkillLoc.Models.Classification;
using SkillLoc.Models.Grafts;
using SkillLoc.Transforms;

namespace SkillLoc;

/// <summary>Catalog methods that load transformers without training.</summary>
public static class SkillLocTransforms
{
    /// <summary>
    /// Loads a text scorer on the context's device: a classifier's checkpoint folder (from <c>SaveCheckpoint</c>, <c>OutputFolder</c> or
    /// <c>CheckpointFolder</c>, or a Hugging Face classifier), or a base checkpoint with the file of a graft or of tuned weights.
    /// </summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="checkpoint">The folder of the classifier, or of the base.</param>
    /// <param name="learnt">A file for the base from <c>SaveGraft</c> or <c>SaveTuned</c>; null for the folder alone.</param>
    /// <param name="settings">Classifier settings, for folders without settings (such as pre-trained models) or to override them; null uses
    /// those of the folder or file. Cannot be combined with <paramref name="learnt"/>, which has its own. A missing head is
    /// initialised.</param>
    /// <param name="columns">The columns to read and add; by default Text (and TextPair), PredictedLabel and Score.</param>
    /// <param name="twin">A loaded model of the same architecture, whose memory is shared by equal backbone parameters, such as those of a
    /// common base. Neither model may be trained then.</param>
    /// <returns>The model; the caller disposes it.</returns>
    /// <exception cref="FileNotFoundException">The folder is not a classifier, or a file is missing.</exception>
    /// <exception cref="DirectoryNotFoundException">The folder does not exist.</exception>
    /// <exception cref="InvalidDataException">A file is damaged, is neither a graft nor tuned weights, has no task, or was made for another
    /// base.</exception>
    /// <exception cref="ArgumentException">Settings are given together with a file, or settings, checkpoint and columns do not
    /// match.</exception>
    public static TextScoringTransformer LoadTextScorer(
        this ConnectivityCatalog catalog, string checkpoint, string? learnt = null, ClassifierSettings? settings = null,
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

    /// <summary>Loads one base model with many grafted skills, on the context's device.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="baseCheckpoint">The base checkpoint folder.</param>
    /// <param name="grafts">The grafts by skill.</param>
    /// <param name="columns">The columns to read and add; by default Text (and TextPair if a skill needs it), PredictedLabel and
    /// Score.</param>
    /// <param name="skillColumnName">The column that names each row's skill.</param>
    /// <returns>The set; the caller disposes it.</returns>
    /// <exception cref="ArgumentException">There are no grafts, or one scores pairs without a second text column.</exception>
    /// <exception cref="InvalidDataException">A graft was made for another base, or has no task.</exception>
    public static GraftedModelSet CreateModelSet(
        this GraftCatalog catalog, string baseCheckpoint, IReadOnlyDictionary<string, Graft> grafts, ScoringColumns? columns = null,
        string skillColumnName = "Skill")
    {
        ArgumentNullException.ThrowIfNull(catalog);
        GraftedModelSet set = Transforms.GraftedModelSet.Create(baseCheckpoint, grafts, columns, skillColumnName, catalog.Device());
        set.Host = new(catalog.Context, nameof(GraftedModelSet));
        return set;
    }
}
