using Microsoft.ML;
using SkillLoc.Evaluators;
using SkillLoc.Models.Merging;

namespace SkillLoc;

/// <summary>Catalog methods that evaluate merges.</summary>
public static class SkillLocMergeEvaluators
{
    /// <summary>Measures a merged model on several tasks beside the models that it was made of: accuracy, what share that is of the single
    /// model's, calibration, agreement, and beside them what the weights said.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="tasks">The tasks. A merged checkpoint scores a task after
    /// <c>PromptFineTune(new() { Checkpoint = merged, Task = task, Epochs = 0 }).Fit(rows)</c>.</param>
    /// <param name="forecast">What <see cref="ForecastMerge(MergingCatalog, MergeRecipe)"/> gave of this merge, its models in the order of
    /// the tasks; null leaves interference and forecast NaN.</param>
    /// <param name="labelColumnName">The rows' true label: text, a number, or a key with values. Rows without one are excluded.</param>
    /// <param name="scoreColumnName">The models' probabilities, a float vector of known size whose slots are named after the labels.</param>
    /// <param name="numberOfBins">Number of confidence bins of the calibration, 1 or more; 15 by default.</param>
    /// <returns>One entry per task.</returns>
    /// <exception cref="ArgumentException">There is no task, a name occurs twice, the forecast is of another number of models, or a label column
    /// is missing or of another type.</exception>
    /// <exception cref="InvalidOperationException">A task has no labelled rows, a model cannot score it or does not know one of its labels,
    /// or scores are not probabilities.</exception>
    public static MergeMetrics EvaluateMerge(
        this MergingCatalog catalog,
        IReadOnlyList<MergeTask> tasks,
        MergeForecast? forecast = null,
        string labelColumnName = "Label",
        string scoreColumnName = "Score",
        int numberOfBins = 15
    )
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(tasks);
        ArgumentOutOfRangeException.ThrowIfLessThan(numberOfBins, 1);
        if (tasks.Count == 0)
        {
            throw new ArgumentException("There is no task to evaluate the merge on.", nameof(tasks));
        }

        if (tasks.GroupBy(task => task.Name, StringComparer.Ordinal).FirstOrDefault(group => group.Count() > 1) is { } twice)
        {
            throw new ArgumentException($"The task '{twice.Key}' occurs twice.", nameof(tasks));
        }

        if (forecast is not null && forecast.Models.Count != tasks.Count)
        {
            throw new ArgumentException(
                $"The forecast is of {forecast.Models.Count} models beside the base, and there are {tasks.Count} tasks; each task is that of one "
                    + "model, in the same order.",
                nameof(forecast)
            );
        }

        // All is checked before the first row is scored.
        (SetScoring Single, SetScoring Merged)[] scorings =
        [
            .. tasks.Select(task =>
            {
                var set = new LabeledSet(catalog.Context, task.Name, task.Data, labelColumnName, null);
                return (
                    new SetScoring("single", task.Single, set, scoreColumnName),
                    new SetScoring("merged", task.Merged, set, scoreColumnName)
                );
            }),
        ];
        return MergeMetrics.Of(tasks, scorings, forecast, numberOfBins);
    }

    /// <summary>Says from weights alone, before a merge is written or evaluated, how much the models' changes are in each other's way, and
    /// how much of what each does the merge will lose.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="recipe">What would be merged and how, with a base and without slices.</param>
    /// <returns>The forecast: losses that order methods and tasks, not accuracies.</returns>
    /// <exception cref="InvalidDataException">There is no base, or the recipe cannot be followed.</exception>
    /// <exception cref="FileNotFoundException">A model's file is missing.</exception>
    public static MergeForecast ForecastMerge(this MergingCatalog catalog, MergeRecipe recipe)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(recipe);
        return MergeForecast.Of(recipe);
    }

    /// <summary>Says from weights alone what a merge that exists, however it was made, loses of the models that it was made of.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="baseModel">The model that all were tuned from.</param>
    /// <param name="models">The models that were merged.</param>
    /// <param name="merged">The result, such as its folder, or a base with a stitched graft.</param>
    /// <returns>The forecast: losses that order methods and tasks, not accuracies.</returns>
    /// <exception cref="ArgumentException">There is no model.</exception>
    /// <exception cref="InvalidDataException">The models do not fit one another.</exception>
    /// <exception cref="FileNotFoundException">A model's file is missing.</exception>
    public static MergeForecast ForecastMerge(
        this MergingCatalog catalog,
        MergeModel baseModel,
        IReadOnlyList<MergeModel> models,
        MergeModel merged
    )
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return MergeForecast.Of(baseModel, models, merged);
    }
}
