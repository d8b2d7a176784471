using SkillLoc.Models.Classification;
using SkillLoc.Models.Embeddings;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Neurons;
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
    /// <param name="adapterOrGraft">A file for the base from <c>SaveGraft</c> or <c>SaveTuned</c>; null for the folder alone.</param>
    /// <param name="settings">Classifier settings, for folders without settings (such as pre-trained models) or to override them; null uses
    /// those of the folder or file. Cannot be combined with <paramref name="adapterOrGraft"/>, which has its own. A missing head is
    /// initialised.</param>
    /// <param name="columns">The columns to read and add; by default Text (and TextPair), PredictedLabel and Score.</param>
    /// <param name="shareWeightsWith">A loaded model of the same architecture, whose memory is shared by equal backbone parameters, such as those of a
    /// common base. Neither model may be trained then.</param>
    /// <returns>The model; the caller disposes it.</returns>
    /// <exception cref="FileNotFoundException">The folder is not a classifier, or a file is missing.</exception>
    /// <exception cref="DirectoryNotFoundException">The folder does not exist.</exception>
    /// <exception cref="InvalidDataException">A file is damaged, is neither a graft nor tuned weights, has no task, or was made for another
    /// base.</exception>
    /// <exception cref="ArgumentException">Settings are given together with a file, or settings, checkpoint and columns do not
    /// match.</exception>
    public static TextScoringTransformer LoadTextScorer(
        this ConnectivityCatalog catalog,
        string checkpoint,
        string? adapterOrGraft = null,
        ClassifierSettings? settings = null,
        ScoringColumns? columns = null,
        TextScoringTransformer? shareWeightsWith = null
    )
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentException.ThrowIfNullOrEmpty(checkpoint);
        TextScoringTransformer scorer =
            adapterOrGraft is null ? ScorerFiles.Load(checkpoint, settings, columns, catalog.Device(), shareWeightsWith)
            : settings is null ? ScorerFiles.LoadAdapterOrGraft(checkpoint, adapterOrGraft, columns, catalog.Device(), shareWeightsWith)
            : throw new ArgumentException(
                "`settings` cannot be combined with `adapterOrGraft`, which carries its own; leave them out.",
                nameof(settings)
            );
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
        this GraftCatalog catalog,
        string baseCheckpoint,
        IReadOnlyDictionary<string, Graft> grafts,
        ScoringColumns? columns = null,
        string skillColumnName = "Skill"
    )
    {
        ArgumentNullException.ThrowIfNull(catalog);
        var set = Transforms.GraftedModelSet.Create(baseCheckpoint, grafts, columns, skillColumnName, catalog.Device());
        set.Host = new(catalog.Context, nameof(GraftedModelSet));
        return set;
    }
}

/// <summary>Reading activations, in SkillLoc's catalog.</summary>
public static class SkillLocActivations
{
    /// <summary>Makes features of texts from what a checkpoint's model computes at a hook point.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="checkpoint">A Hugging Face checkpoint folder, or a name that <see cref="SkillLoc.Models.Hub.CheckpointHub"/>
    /// resolves.</param>
    /// <param name="point">The hook point's name, such as <c>blocks.3.mlp.hook_post</c>.</param>
    /// <param name="pooling">How a text's activations become one vector.</param>
    /// <param name="outputColumnName">The column that is added: a vector of Single.</param>
    /// <param name="textColumnName">The text column; null for "Text".</param>
    /// <param name="template">A prompt template; null for plain text.</param>
    /// <returns>The estimator.</returns>
    public static ReadActivationsEstimator ReadActivations(
        this SkillLocCatalog catalog,
        string checkpoint,
        string point,
        TextPooling pooling = TextPooling.Mean,
        string outputColumnName = "Activations",
        string? textColumnName = null,
        string? template = null
    ) =>
        catalog.ReadActivations(
            new ReadActivationsEstimator.Options
            {
                Checkpoint = checkpoint,
                Point = point,
                Pooling = pooling,
                OutputColumnName = outputColumnName,
                TextColumnName = textColumnName,
                Template = template,
            }
        );

    /// <summary>Makes features of texts from what a fitted model computes at a hook point.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="model">The model, which is read with its prompt and its tuning; it stays as it is.</param>
    /// <param name="point">The hook point's name, such as <c>blocks.3.mlp.hook_post</c>.</param>
    /// <param name="pooling">How a text's activations become one vector.</param>
    /// <param name="outputColumnName">The column that is added: a vector of Single.</param>
    /// <returns>The estimator.</returns>
    public static ReadActivationsEstimator ReadActivations(
        this SkillLocCatalog catalog,
        TextScoringTransformer model,
        string point,
        TextPooling pooling = TextPooling.Mean,
        string outputColumnName = "Activations"
    ) =>
        catalog.ReadActivations(
            new ReadActivationsEstimator.Options
            {
                Model = model,
                Point = point,
                Pooling = pooling,
                OutputColumnName = outputColumnName,
            }
        );

    /// <summary>Makes features of texts from what a model computes at a hook point.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="options">The options.</param>
    /// <returns>The estimator.</returns>
    /// <exception cref="ArgumentException">An option is missing, or one is there too many.</exception>
    public static ReadActivationsEstimator ReadActivations(this SkillLocCatalog catalog, ReadActivationsEstimator.Options options)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return new(catalog, options);
    }
}

/// <summary>Catalog methods for text embeddings.</summary>
public static class SkillLocEmbeddings
{
    /// <summary>Computes features of texts from the hidden states of any layer of a checkpoint.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="checkpoint">A Hugging Face checkpoint folder, or a name that <see cref="SkillLoc.Models.Hub.CheckpointHub"/>
    /// resolves.</param>
    /// <param name="outputColumnName">The output column, a vector of Single.</param>
    /// <param name="textColumnName">The text column.</param>
    /// <param name="layer">0 for the embeddings, i for layer i from 1; null (default) for the last.</param>
    /// <param name="pooling">How hidden states are pooled into one vector; null (default) as the folder's <c>modules.json</c> says
    /// (sentence-transformers), else the mean.</param>
    /// <param name="template">A prompt template, required for pooling at the mask.</param>
    /// <returns>The estimator.</returns>
    public static EmbedTextEstimator EmbedText(
        this SkillLocCatalog catalog,
        string checkpoint,
        string outputColumnName = "Features",
        string textColumnName = "Text",
        int? layer = null,
        TextPooling? pooling = null,
        string? template = null
    ) =>
        catalog.EmbedText(
            new EmbedTextEstimator.Options
            {
                Checkpoint = checkpoint,
                OutputColumnName = outputColumnName,
                TextColumnName = textColumnName,
                Layer = layer,
                Pooling = pooling,
                Template = template,
            }
        );

    /// <summary>Computes features of texts from the hidden states of any layer of a checkpoint.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="options">The options.</param>
    /// <returns>The estimator.</returns>
    /// <exception cref="ArgumentException">No checkpoint is named.</exception>
    public static EmbedTextEstimator EmbedText(this SkillLocCatalog catalog, EmbedTextEstimator.Options options)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return new(catalog, options);
    }
}

/// <summary>Catalog methods that perturb and prune neurons.</summary>
public static class SkillLocNeurons
{
    /// <summary>Perturbs feed-forward neurons of a fitted model (Wang et al. 2022, section 4).</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="model">The model, which is not changed.</param>
    /// <param name="neurons">The neurons to perturb.</param>
    /// <param name="kind">The kind of perturbation.</param>
    /// <param name="alpha">Standard deviation of the noise, 0 or more; 0.1 by default.</param>
    /// <param name="means">The values for <see cref="PerturbationKind.Mean"/>.</param>
    /// <param name="lowLayer">The first perturbed layer, zero-based.</param>
    /// <param name="highLayer">The layer after the last; null for the end.</param>
    /// <param name="seed">Seed of the noise; null draws one from the context.</param>
    /// <returns>A scoring transformer with the perturbation; the caller disposes it.</returns>
    /// <exception cref="ArgumentException">An argument is missing, or its shape differs from the model's neurons.</exception>
    public static NeuronPerturbationTransformer PerturbNeurons(
        this NeuronCatalog catalog,
        TextScoringTransformer model,
        NeuronSet neurons,
        PerturbationKind kind = PerturbationKind.Gaussian,
        double alpha = 0.1,
        NeuronValues? means = null,
        int lowLayer = 0,
        int? highLayer = null,
        int? seed = null
    ) =>
        catalog.PerturbNeurons(
            new NeuronPerturbationTransformer.Options
            {
                Model = model,
                Neurons = neurons,
                Kind = kind,
                Alpha = alpha,
                Means = means,
                LowLayer = lowLayer,
                HighLayer = highLayer,
                Seed = seed,
            }
        );

    /// <summary>Perturbs feed-forward neurons of a fitted model (Wang et al. 2022, section 4).</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="options">The options.</param>
    /// <returns>A scoring transformer with the perturbation; the caller disposes it.</returns>
    /// <exception cref="ArgumentException">An argument is missing, or its shape differs from the model's neurons.</exception>
    public static NeuronPerturbationTransformer PerturbNeurons(this NeuronCatalog catalog, NeuronPerturbationTransformer.Options options)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return new(catalog.Context, options);
    }

    /// <summary>Removes neurons from a fitted model and freezes them at their mean (<see cref="NeuronPruning.Prune"/>).</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="model">The model, which is not changed.</param>
    /// <param name="keep">The neurons to keep.</param>
    /// <param name="means">Mean activations such as a probe's thresholds.</param>
    /// <param name="lowLayer">The first pruned layer, zero-based; the paper uses 3 of 12.</param>
    /// <param name="highLayer">The layer after the last; null for the end.</param>
    /// <param name="fraction">The share of each layer's neurons to keep; null keeps exactly <paramref name="keep"/>.</param>
    /// <returns>A scoring transformer with the smaller model; the caller disposes it.</returns>
    /// <exception cref="ArgumentException">A shape does not fit the model, or a layer keeps too many neurons or none.</exception>
    public static TextScoringTransformer PruneNeurons(
        this NeuronCatalog catalog,
        TextScoringTransformer model,
        NeuronSet keep,
        NeuronValues means,
        int lowLayer = 0,
        int? highLayer = null,
        double? fraction = null
    )
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(model);
        TextClassifier pruned = NeuronPruning.Prune(model.Classifier, keep, means, lowLayer, highLayer, fraction);
        return new(pruned, model.Columns) { Host = new(catalog.Context, nameof(PruneNeurons)) };
    }
}
