using Microsoft.ML;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Generation;
using SkillLoc.Models.Prompts;
using SkillLoc.Trainers;
using SkillLoc.Transforms;

namespace SkillLoc;

/// <summary>The trainers in SkillLoc's catalog.</summary>
public static class SkillLocTrainers
{
    /// <summary>Fine-tunes a language model with a prompt.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="checkpoint">A Hugging Face checkpoint folder.</param>
    /// <param name="task">A task that <see cref="PromptTasks"/> knows, such as <c>sst-2</c>; of a T5 one that <see cref="TextToTextTasks"/>
    /// knows, such as <c>glue-sst2</c>.</param>
    /// <param name="labelColumnName">The label column: a key, for a regression a Single; of a T5 also the answer as text, or a vector of
    /// several.</param>
    /// <param name="textColumnName">The text column.</param>
    /// <param name="textPairColumnName">The second text column; for tasks on pairs it is "TextPair" unless named.</param>
    /// <param name="validationSet">Rows that choose the best state; null keeps the last.</param>
    /// <param name="epochs">Passes over the data.</param>
    /// <param name="batchSize">Rows of an update.</param>
    /// <param name="learningRate">The peak learning rate.</param>
    /// <returns>The trainer.</returns>
    /// <exception cref="ArgumentException">The task is unknown, or an option is out of its range.</exception>
    /// <exception cref="InvalidDataException">The checkpoint's <c>config.json</c> is not valid.</exception>
    public static PromptFineTuneTrainer PromptFineTune(
        this SkillLocCatalog catalog, string checkpoint, string task, string labelColumnName = "Label", string textColumnName = "Text",
        string? textPairColumnName = null, IDataView? validationSet = null, int epochs = 3, int batchSize = 16, double learningRate = 2e-5)
    {
        ArgumentException.ThrowIfNullOrEmpty(checkpoint);

        // A folder that is not there is met when it is read.
        bool writes = File.Exists(Path.Combine(checkpoint, "config.json")) && CheckpointFolder.ReadConfig(checkpoint).IsEncoderDecoder;
        return catalog.PromptFineTune(new PromptFineTuneTrainer.Options
        {
            Checkpoint = checkpoint,
            Task = writes ? TextToTextTasks.Find(task) : PromptTasks.Find(task),
            LabelColumnName = labelColumnName,
            TextColumnName = textColumnName,
            TextPairColumnName = textPairColumnName,
            ValidationSet = validationSet,
            Epochs = epochs,
            BatchSize = batchSize,
            LearningRate = learningRate,
        });
    }

    /// <summary>Fine-tunes a language model with a prompt or a classification head, or T5 to write its answers.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="options">Everything that can be told.</param>
    /// <returns>The trainer.</returns>
    /// <exception cref="ArgumentException">An option is missing or out of its range.</exception>
    public static PromptFineTuneTrainer PromptFineTune(this SkillLocCatalog catalog, PromptFineTuneTrainer.Options options)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return new(catalog, options);
    }

    /// <summary>Fine-tunes one language model on several tasks at once (methods, A.13).</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="options">Everything that can be told of the training; its Task, ValidationSet, Tuning, CheckpointFolder and OutputFolder,
    /// which are of one task, must be left out.</param>
    /// <param name="tasks">The tasks, with different names; order matters for the draws alone.</param>
    /// <returns>The trainer.</returns>
    /// <exception cref="ArgumentException">There is no task, one is given twice, or an option is missing or out of its range.</exception>
    public static MultiTaskFineTuneTrainer MultiTaskFineTune(
        this SkillLocCatalog catalog, PromptFineTuneTrainer.Options options, params IEnumerable<PromptTask> tasks)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return new(catalog, options, tasks);
    }

    /// <summary>
    /// Learns tasks one after another, each in a sparse graft beside the earlier ones' (methods, A.13).
    /// </summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="options">Everything that can be told.</param>
    /// <returns>The sequence.</returns>
    /// <exception cref="ArgumentException">An option is missing, out of its range, or set by the sequence itself.</exception>
    public static ContinualGraft ContinualGraft(this SkillLocCatalog catalog, Trainers.ContinualGraft.Options options)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return new(catalog, options);
    }

    /// <summary>Finds the few parameters that carry a fine-tuned skill.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="fineTuned">What <see cref="PromptFineTune(SkillLocCatalog, PromptFineTuneTrainer.Options)"/> fitted.</param>
    /// <param name="sparsity">The size of the base patch, as a share of the considered parameters.</param>
    /// <param name="labelColumnName">The label column: a key, for a regression a Single.</param>
    /// <param name="validationSet">Rows that help choose the best epoch.</param>
    /// <param name="epochs">Updates of the mask.</param>
    /// <param name="learningRate">The learning rate of the mask's scores.</param>
    /// <returns>The estimator.</returns>
    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    public static GraftMaskEstimator GraftMask(
        this SkillLocCatalog catalog, TextScoringTransformer fineTuned, double sparsity = 1e-4, string labelColumnName = "Label",
        IDataView? validationSet = null, int epochs = 100, double learningRate = 1e7) =>
        catalog.GraftMask(new GraftMaskEstimator.Options
        {
            FineTuned = fineTuned,
            Sparsity = sparsity,
            LabelColumnName = labelColumnName,
            ValidationSet = validationSet,
            Epochs = epochs,
            LearningRate = learningRate,
        });

    /// <summary>Finds the few parameters that carry a fine-tuned skill.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="options">Everything that can be told.</param>
    /// <returns>The estimator.</returns>
    /// <exception cref="ArgumentException">An option is missing or out of its range.</exception>
    public static GraftMaskEstimator GraftMask(this SkillLocCatalog catalog, GraftMaskEstimator.Options options)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return new(catalog, options);
    }

    /// <summary>Finds grafts of several sparsities in one go, and measures them beside the pre-trained and the fine-tuned model.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="options">Everything that can be told; <see cref="GraftMaskEstimator.Options.Sparsity"/> is not used.</param>
    /// <param name="sparsities">The sizes of the base patches, as shares of the considered parameters.</param>
    /// <returns>The sweep.</returns>
    /// <exception cref="ArgumentException">An option is missing or out of its range.</exception>
    public static GraftSweep GraftSweep(this SkillLocCatalog catalog, GraftMaskEstimator.Options options, params IEnumerable<double> sparsities)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return new(catalog, options, sparsities);
    }
}
