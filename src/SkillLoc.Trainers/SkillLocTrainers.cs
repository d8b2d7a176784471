using System.Globalization;
using Microsoft.ML;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Generation;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Neurons;
using SkillLoc.Models.Prompts;
using SkillLoc.Trainers;
using SkillLoc.Transforms;

namespace SkillLoc;

/// <summary>Catalog methods for training.</summary>
public static class SkillLocTrainers
{
    /// <summary>Fine-tunes a language model with a prompt. A checkpoint that is to be downloaded is so by this call, since its configuration
    /// decides what kind of task it is.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="checkpoint">A Hugging Face checkpoint folder, or a name that <see cref="SkillLoc.Models.Hub.CheckpointHub"/>
    /// resolves.</param>
    /// <param name="task">A task of <see cref="PromptTasks"/>, such as <c>sst-2</c>; for T5, one of <see cref="TextToTextTasks"/>, such as
    /// <c>glue-sst2</c>.</param>
    /// <param name="labelColumnName">The label column: a key, for a regression a Single; for T5, also the answer as text, or a vector of
    /// answers.</param>
    /// <param name="textColumnName">The text column.</param>
    /// <param name="textPairColumnName">The second text column; null is "TextPair" for tasks on pairs.</param>
    /// <param name="validationSet">Validation rows for selecting the best state; null keeps the last.</param>
    /// <param name="epochs">Number of epochs.</param>
    /// <param name="batchSize">Rows per update.</param>
    /// <param name="learningRate">The peak learning rate.</param>
    /// <returns>The trainer.</returns>
    /// <exception cref="ArgumentException">The task is unknown, or an option is out of its range.</exception>
    /// <exception cref="InvalidDataException">The checkpoint's <c>config.json</c> is invalid.</exception>
    public static PromptFineTuneTrainer PromptFineTune(
        this SkillLocCatalog catalog,
        string checkpoint,
        string task,
        string labelColumnName = "Label",
        string textColumnName = "Text",
        string? textPairColumnName = null,
        IDataView? validationSet = null,
        int epochs = 3,
        int batchSize = 16,
        double learningRate = 2e-5
    )
    {
        ArgumentException.ThrowIfNullOrEmpty(checkpoint);

        return catalog.PromptFineTune(
            new PromptFineTuneTrainer.Options
            {
                Checkpoint = checkpoint,
                Task = Writes(catalog, checkpoint) ? TextToTextTasks.Find(task) : PromptTasks.Find(task),
                LabelColumnName = labelColumnName,
                TextColumnName = textColumnName,
                TextPairColumnName = textPairColumnName,
                ValidationSet = validationSet,
                Epochs = epochs,
                BatchSize = batchSize,
                LearningRate = learningRate,
            }
        );
    }

    /// <summary>Whether a checkpoint is one of T5. One that is not there is met when it is read.</summary>
    private static bool Writes(SkillLocCatalog catalog, string checkpoint)
    {
        try
        {
            string found = new ComponentHost(catalog.Context, nameof(PromptFineTune)).Find(checkpoint);
            return CheckpointFolder.ReadConfig(found).IsEncoderDecoder;
        }
        catch (Exception e) when (e is DirectoryNotFoundException or FileNotFoundException)
        {
            return false;
        }
    }

    /// <summary>Fine-tunes a language model with a prompt or a classification head, or T5 for text generation.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="options">The trainer options.</param>
    /// <returns>The trainer.</returns>
    /// <exception cref="ArgumentException">An option is missing or out of its range.</exception>
    public static PromptFineTuneTrainer PromptFineTune(this SkillLocCatalog catalog, PromptFineTuneTrainer.Options options)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return new(catalog, options);
    }

    /// <summary>Fine-tunes one language model on several tasks at once (methods, A.13).</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="options">The trainer options; Task, ValidationSet, Tuning, CheckpointFolder and OutputFolder, which concern a single
    /// task, must not be set.</param>
    /// <param name="tasks">The tasks, with different names; their order only affects random draws.</param>
    /// <returns>The trainer.</returns>
    /// <exception cref="ArgumentException">There are no tasks, a name occurs twice, or an option is missing or out of its
    /// range.</exception>
    public static MultiTaskFineTuneTrainer MultiTaskFineTune(
        this GraftCatalog catalog,
        PromptFineTuneTrainer.Options options,
        params IEnumerable<PromptTask> tasks
    )
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return new(catalog.Catalog, options, tasks);
    }

    /// <summary>
    /// Learns tasks one after another, each as a sparse graft disjoint from earlier ones (methods, A.13).
    /// </summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="options">The trainer options.</param>
    /// <returns>The sequence.</returns>
    /// <exception cref="ArgumentException">An option is missing, out of its range, or set by the sequence itself.</exception>
    public static ContinualGraft GraftContinually(this GraftCatalog catalog, Trainers.ContinualGraft.Options options)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return new(catalog.Catalog, options);
    }

    /// <summary>Finds the few parameters that carry a fine-tuned skill.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="fineTuned">A transformer fitted by
    /// <see cref="PromptFineTune(SkillLocCatalog, PromptFineTuneTrainer.Options)"/>.</param>
    /// <param name="sparsity">Size of the base patch as a share of the considered scalars, in [0, 1].</param>
    /// <param name="labelColumnName">The label column: a key, for a regression a Single.</param>
    /// <param name="validationSet">Validation rows for selecting the best epoch.</param>
    /// <param name="epochs">Number of updates of the mask.</param>
    /// <param name="learningRate">The learning rate of the mask's scores.</param>
    /// <returns>The estimator.</returns>
    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    public static GraftMaskEstimator GraftMask(
        this SkillLocCatalog catalog,
        TextScoringTransformer fineTuned,
        double sparsity = 1e-4,
        string labelColumnName = "Label",
        IDataView? validationSet = null,
        int epochs = 100,
        double learningRate = 1e7
    ) =>
        catalog.GraftMask(
            new GraftMaskEstimator.Options
            {
                FineTuned = fineTuned,
                Sparsity = sparsity,
                LabelColumnName = labelColumnName,
                ValidationSet = validationSet,
                Epochs = epochs,
                LearningRate = learningRate,
            }
        );

    /// <summary>Finds the few parameters that carry a fine-tuned skill.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="options">The trainer options.</param>
    /// <returns>The estimator.</returns>
    /// <exception cref="ArgumentException">An option is missing or out of its range.</exception>
    public static GraftMaskEstimator GraftMask(this SkillLocCatalog catalog, GraftMaskEstimator.Options options)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return new(catalog, options);
    }

    /// <summary>Finds grafts of several sparsities, and evaluates them together with the pre-trained and the fine-tuned model.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="options">The trainer options; <see cref="GraftMaskEstimator.Options.Sparsity"/> is not used.</param>
    /// <param name="sparsities">Sizes of the base patches as shares of the considered scalars, in [0, 1].</param>
    /// <returns>The sweep.</returns>
    /// <exception cref="ArgumentException">An option is missing or out of its range.</exception>
    public static GraftSweep SweepSparsity(
        this GraftCatalog catalog,
        GraftMaskEstimator.Options options,
        params IEnumerable<double> sparsities
    )
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return new(catalog.Catalog, options, sparsities);
    }

    /// <summary>
    /// Localises the skill of each of several fine-tuned models of one base on a few rows of its task, so that the grafts can be stitched
    /// into one (Localize-and-Stitch, He et al. 2025; methods, E.7).
    /// </summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="tasks">The models and their rows.</param>
    /// <param name="options">How each graft is found; null for <see cref="GraftMaskEstimator.Options.LocalizeAndStitch"/>. FineTuned,
    /// ValidationSet and BaseGrafts are those of each task; StateFolder gets a folder per task.</param>
    /// <returns>The grafts.</returns>
    /// <exception cref="ArgumentException">There is no task, an option is out of its range, or the models' bases differ.</exception>
    public static StitchedGrafts LocalizeAndStitch(
        this MergingCatalog catalog,
        IReadOnlyList<StitchTask> tasks,
        GraftMaskEstimator.Options? options = null
    )
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(tasks);
        if (tasks.Count == 0)
        {
            throw new ArgumentException("There is no task.", nameof(tasks));
        }

        options ??= GraftMaskEstimator.Options.LocalizeAndStitch();
        var grafts = new List<Graft>();
        foreach ((int number, StitchTask task) in tasks.Index())
        {
            string state = string.Create(CultureInfo.InvariantCulture, $"{number}-{task.FineTuned.Classifier.Settings.Task}");
            GraftMaskEstimator.Options own = options.For(task.FineTuned, options.LabelColumnName, task.ValidationSet, [], state, null);
            using GraftTransformer graft = catalog.Catalog.GraftMask(own).Fit(task.Rows);
            if (grafts.Count > 0 && grafts[0].BaseFingerprint != graft.Graft.BaseFingerprint)
            {
                throw new ArgumentException(
                    $"The model of task {number} comes from another base than that of task 0; a stitched graft has one.",
                    nameof(tasks)
                );
            }

            grafts.Add(graft.Graft);
        }

        return new(grafts);
    }
}

/// <summary>Catalog methods that train curves and mixtures between checkpoints.</summary>
public static class SkillLocCurves
{
    /// <summary>Finds a curve of low loss between two checkpoints.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="options">The options.</param>
    /// <returns>The trainer.</returns>
    /// <exception cref="ArgumentException">An option is missing or out of its range.</exception>
    public static CurveTrainer FindCurve(this ConnectivityCatalog catalog, CurveTrainer.Options options)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return new(catalog.Context, options);
    }

    /// <summary>Trains a mixture of two checkpoints with one mixing weight per group of parameters.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="options">The options.</param>
    /// <returns>The trainer.</returns>
    /// <exception cref="ArgumentException">An option is missing or out of its range.</exception>
    public static MixtureTrainer FindMixture(this ConnectivityCatalog catalog, MixtureTrainer.Options options)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return new(catalog.Context, options);
    }
}

/// <summary>Catalog methods that probe neurons.</summary>
public static class SkillLocProbes
{
    /// <summary>Finds the neurons that predict a task's label, and uses their activations as features.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="model">A transformer fitted by <c>PromptFineTune</c>.</param>
    /// <param name="kind">The positions at which neurons are read.</param>
    /// <param name="fraction">The share of each layer's neurons to use as features, above 0 and at most 1.</param>
    /// <param name="labelColumnName">The key-typed label column.</param>
    /// <param name="outputColumnName">The output column.</param>
    /// <param name="validationSet">Validation rows for the accuracies of neurons; null uses the training rows.</param>
    /// <returns>The estimator.</returns>
    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    public static SkillNeuronProbeEstimator ProbeSkillNeurons(
        this SkillLocCatalog catalog,
        TextScoringTransformer model,
        NeuronProbeKind kind = NeuronProbeKind.Prompt,
        double fraction = 0.01,
        string labelColumnName = "Label",
        string outputColumnName = "Neurons",
        IDataView? validationSet = null
    ) =>
        catalog.ProbeSkillNeurons(
            new SkillNeuronProbeEstimator.Options
            {
                Model = model,
                Kind = kind,
                Fraction = fraction,
                LabelColumnName = labelColumnName,
                OutputColumnName = outputColumnName,
                ValidationSet = validationSet,
            }
        );

    /// <summary>Finds the neurons that predict a task's label, and uses their activations as features.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="options">The options.</param>
    /// <returns>The estimator.</returns>
    /// <exception cref="ArgumentException">An option is missing or out of its range.</exception>
    public static SkillNeuronProbeEstimator ProbeSkillNeurons(this SkillLocCatalog catalog, SkillNeuronProbeEstimator.Options options)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return new(catalog, options);
    }
}
