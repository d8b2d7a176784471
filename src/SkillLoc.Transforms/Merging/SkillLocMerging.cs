using SkillLoc.Models.Classification;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Merging;
using SkillLoc.Models.Peft;
using SkillLoc.Transforms;

namespace SkillLoc;

/// <summary>Merging models, stitching grafts, and adapters of PEFT, in SkillLoc's catalog.</summary>
public static class SkillLocMerging
{
    /// <summary>Merges what a recipe file says, in mergekit's vocabulary, into a checkpoint folder.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="recipe">The YAML file.</param>
    /// <param name="folder">The folder, made with its parents where missing; an older checkpoint is replaced when the new one is
    /// complete.</param>
    /// <returns>What was merged.</returns>
    /// <exception cref="FileNotFoundException">The recipe or a model's file is missing.</exception>
    /// <exception cref="InvalidDataException">The recipe does not fit its method, or the models do not fit one another: the message names
    /// the file, line and key, or the first five differences. Nothing is written.</exception>
    /// <exception cref="ArgumentException">The folder is that of a model that is merged.</exception>
    /// <exception cref="IOException">The folder could not be written; an existing one is unchanged.</exception>
    public static MergeReport MergeModels(this MergingCatalog catalog, string recipe, string folder)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentException.ThrowIfNullOrEmpty(recipe);
        var file = MergeRecipeFile.Load(recipe);
        return Run(catalog, options => file.Run(folder, options));
    }

    /// <summary>Merges models into a checkpoint folder.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="recipe">What is merged and how. Methods that drop at random take the recipe's seed.</param>
    /// <param name="folder">The folder, made with its parents where missing; an older checkpoint is replaced when the new one is
    /// complete.</param>
    /// <returns>What was merged.</returns>
    /// <inheritdoc cref="MergeModels(MergingCatalog, string, string)" path="/exception"/>
    public static MergeReport MergeModels(this MergingCatalog catalog, MergeRecipe recipe, string folder)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(recipe);
        return Run(catalog, options => ModelMerge.Run(recipe, folder, options));
    }

    /// <summary>Stitches grafts of one base into one graft: what one graft changes stays whole, what several change is their
    /// mean.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="grafts">The grafts.</param>
    /// <param name="scoring">The graft whose task the result scores; null for none.</param>
    /// <returns>The graft.</returns>
    /// <exception cref="ArgumentException">There is no graft, their bases differ, or one has zeros outside.</exception>
    public static Graft StitchGrafts(this MergingCatalog catalog, IReadOnlyCollection<Graft> grafts, Graft? scoring = null)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return Graft.Stitch(grafts, scoring);
    }

    /// <summary>Loads a base with an adapter that PEFT wrote as a scorer of texts.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="baseCheckpoint">The base's folder.</param>
    /// <param name="adapter">The adapter's folder.</param>
    /// <param name="settings">The task: labels in the order of the adapter's head, and the prompt.</param>
    /// <param name="columns">The columns to read and add; null for Text, PredictedLabel and Score.</param>
    /// <returns>The scorer; the caller disposes it.</returns>
    /// <exception cref="FileNotFoundException">A file is missing.</exception>
    /// <exception cref="InvalidDataException">The adapter does not fit the base; the message names file and key.</exception>
    /// <exception cref="NotSupportedException">The tuner is not supported; the message names it.</exception>
    public static TextScoringTransformer LoadAdapter(
        this MergingCatalog catalog,
        string baseCheckpoint,
        string adapter,
        ClassifierSettings settings,
        ScoringColumns? columns = null
    )
    {
        ArgumentNullException.ThrowIfNull(catalog);
        TextClassifier classifier = PeftAdapter.Load(adapter).LoadClassifier(baseCheckpoint, settings, catalog.Device());
        TextScoringTransformer scorer = ScorerFiles.Of(classifier, columns);
        scorer.Host = new(catalog.Context, nameof(LoadAdapter));
        return scorer;
    }

    /// <summary>Writes what a tuning method learnt as an adapter that Python's PEFT loads.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="model">The fine-tuned model: LoRA, or T5's soft prompt.</param>
    /// <param name="baseModel">The base's name or path, for who loads the adapter.</param>
    /// <param name="folder">The adapter's folder.</param>
    /// <exception cref="NotSupportedException">PEFT has no tuner for the tuning method; the message says why.</exception>
    /// <exception cref="IOException">The folder could not be written; an existing one is unchanged.</exception>
    public static void SaveAdapter(this MergingCatalog catalog, TextScoringTransformer model, string baseModel, string folder)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(model);
        PeftAdapter.Of(model.Classifier, baseModel).Save(folder);
    }

    /// <summary>Writes a graft as a SHiRA adapter that Python's PEFT loads.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="graft">The graft.</param>
    /// <param name="baseCheckpoint">The base's folder.</param>
    /// <param name="folder">The adapter's folder.</param>
    /// <exception cref="InvalidDataException">The graft is for another base.</exception>
    /// <exception cref="NotSupportedException">The base is GPT-2, or the graft has zeros outside.</exception>
    /// <exception cref="IOException">The folder could not be written; an existing one is unchanged.</exception>
    public static void SaveAdapter(this MergingCatalog catalog, Graft graft, string baseCheckpoint, string folder)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        PeftAdapter.Of(graft, baseCheckpoint).Save(folder);
    }

    private static MergeReport Run(MergingCatalog catalog, Func<MergeOptions, MergeReport> merge)
    {
        var host = new ComponentHost(catalog.Context, nameof(MergeModels));
        using var watch = new CancellationWatch(host, default);
        return merge(new() { CancellationToken = watch.Token });
    }
}
