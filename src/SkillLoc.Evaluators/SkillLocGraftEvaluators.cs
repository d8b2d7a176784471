using Microsoft.ML;
using SkillLoc.Evaluators;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Grafts;

namespace SkillLoc;

/// <summary>The evaluators of grafts in SkillLoc's catalog.</summary>
public static class SkillLocGraftEvaluators
{
    /// <summary>Measures how much of each graft lies in each other: |gamma_i AND gamma_j| / |gamma_j|.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="grafts">Grafts of one base model, by name.</param>
    /// <returns>The matrix, row by row.</returns>
    /// <exception cref="ArgumentException">There is no graft, or two are for different base models.</exception>
    public static GraftOverlapMetrics EvaluateGraftOverlap(this SkillLocCatalog catalog, IReadOnlyDictionary<string, Graft> grafts)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(grafts);
        return grafts.Count > 0
            ? GraftOverlapMetrics.Of(grafts)
            : throw new ArgumentException("There is no graft to evaluate.", nameof(grafts));
    }

    /// <summary>
    /// Sets what grafts achieve on tasks in relation to their base and to the fine-tuned model. Any metric serves that is measured alike
    /// for all, such as accuracy, or F1 for MRPC and QQP.
    /// </summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="preTrained">The pre-trained model's metric by task; its tasks are the matrix's.</param>
    /// <param name="fineTuned">The fine-tuned (multi-task) model's metric, for each of these tasks.</param>
    /// <param name="grafted">By graft, its metric for each of these tasks.</param>
    /// <returns>The matrix, row by row.</returns>
    /// <exception cref="ArgumentException">There is no task or no graft, or a task's metric is missing.</exception>
    public static RelativeGainMetrics EvaluateRelativeGain(
        this SkillLocCatalog catalog, IReadOnlyDictionary<string, double> preTrained, IReadOnlyDictionary<string, double> fineTuned,
        IReadOnlyDictionary<string, IReadOnlyDictionary<string, double>> grafted)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(preTrained);
        ArgumentNullException.ThrowIfNull(fineTuned);
        ArgumentNullException.ThrowIfNull(grafted);
        return preTrained.Count > 0 && grafted.Count > 0
            ? RelativeGainMetrics.Of(preTrained, fineTuned, grafted)
            : throw new ArgumentException($"There are {preTrained.Count} tasks and {grafted.Count} grafts; one of each is needed.", nameof(grafted));
    }

    /// <summary>Counts where in the model a graft lives, and how densely.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="graft">The graft.</param>
    /// <param name="model">Any model of the graft's architecture; only its shapes are read.</param>
    /// <param name="considered">The names of the parameters that the graft could use, such as
    /// <see cref="Models.Tuning.ParameterSelection.Of"/> gives; null for all of the model's.</param>
    /// <returns>Counts by parameter, by layer and by kind.</returns>
    /// <exception cref="ArgumentException">The graft does not fit the model, or uses a parameter that is not considered.</exception>
    public static GraftSpreadMetrics EvaluateGraftSpread(
        this SkillLocCatalog catalog, Graft graft, LanguageModel model, IEnumerable<string>? considered = null)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(graft);
        ArgumentNullException.ThrowIfNull(model);
        return GraftSpreadMetrics.Of(graft, model, considered ?? model.Parameters.Keys);
    }

    /// <summary>
    /// Measures what grafts cost and what they keep: size, accuracy, skill retention, agreement with the fine-tuned model, and
    /// calibration. Every model scores the test set once.
    /// </summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="preTrained">The base model.</param>
    /// <param name="fineTuned">The fine-tuned model.</param>
    /// <param name="grafted">The grafts by name, each with the model that carries it.</param>
    /// <param name="test">The test set, with the columns that the models read; it must give its rows in the same order whenever it is
    /// read.</param>
    /// <param name="labelColumnName">The true label: a key with values, text or a number, matched by name with the models' labels. Rows
    /// whose label is missing or empty are left out.</param>
    /// <param name="scoreColumnName">The models' probabilities, a float vector of known size whose slots are named after the labels.</param>
    /// <param name="numberOfBins">Bins of confidence; 15 as in Guo et al. (2017).</param>
    /// <returns>One row a graft.</returns>
    /// <exception cref="ArgumentException">There is no graft, or the label column is missing or of another type.</exception>
    /// <exception cref="InvalidOperationException">There are no labelled rows, a model cannot score them or does not know one of the
    /// labels, or scores are no probabilities.</exception>
    public static GraftReport EvaluateGrafts(
        this SkillLocCatalog catalog, ITransformer preTrained, ITransformer fineTuned, IReadOnlyDictionary<string, GraftedModel> grafted,
        IDataView test, string labelColumnName = "Label", string scoreColumnName = "Score", int numberOfBins = 15)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(preTrained);
        ArgumentNullException.ThrowIfNull(fineTuned);
        ArgumentNullException.ThrowIfNull(grafted);
        ArgumentNullException.ThrowIfNull(test);
        ArgumentOutOfRangeException.ThrowIfLessThan(numberOfBins, 1);
        if (grafted.Count == 0)
        {
            throw new ArgumentException("There is no graft to evaluate.", nameof(grafted));
        }

        var set = new LabeledSet(catalog.Context, "test", test, labelColumnName);
        return GraftReport.Of(
            Scoring("pre-trained", preTrained),
            Scoring("fine-tuned", fineTuned),
            [.. grafted.Select(each => (each.Value, Scoring(each.Key, each.Value.Model)))],
            numberOfBins);

        SetScoring Scoring(string name, ITransformer model) => new(name, model, set, scoreColumnName);
    }
}
