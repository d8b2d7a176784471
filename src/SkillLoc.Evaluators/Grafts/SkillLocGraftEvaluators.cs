using Microsoft.ML;
using SkillLoc.Evaluators;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Grafts;
using SkillLoc.Transforms;

namespace SkillLoc;

/// <summary>Catalog methods that evaluate grafts.</summary>
public static class SkillLocGraftEvaluators
{
    /// <summary>Measures the pairwise overlap of grafts: |gamma_i AND gamma_j| / |gamma_j|.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="grafts">Grafts of one base model, by name.</param>
    /// <returns>The matrix in row order.</returns>
    /// <exception cref="ArgumentException">There is no graft, or two are for different base models.</exception>
    public static GraftOverlapMetrics EvaluateGraftOverlap(this GraftCatalog catalog, IReadOnlyDictionary<string, Graft> grafts)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(grafts);
        return grafts.Count > 0
            ? GraftOverlapMetrics.Of(grafts)
            : throw new ArgumentException("There is no graft to evaluate.", nameof(grafts));
    }

    /// <summary>
    /// Computes the relative gain of grafts on tasks, between their base and the fine-tuned model. Any metric can be used that is measured
    /// in the same way for all, such as accuracy, or F1 for MRPC and QQP.
    /// </summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="preTrained">The metric of the pre-trained model by task, which determines the tasks of the matrix.</param>
    /// <param name="fineTuned">The metric of the fine-tuned (multi-task) model for each of these tasks.</param>
    /// <param name="grafted">The metrics of each graft for each of these tasks.</param>
    /// <returns>The matrix in row order.</returns>
    /// <exception cref="ArgumentException">There is no task or no graft, or a task's metric is missing.</exception>
    public static RelativeGainMetrics EvaluateRelativeGain(
        this GraftCatalog catalog,
        IReadOnlyDictionary<string, double> preTrained,
        IReadOnlyDictionary<string, double> fineTuned,
        IReadOnlyDictionary<string, IReadOnlyDictionary<string, double>> grafted
    )
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(preTrained);
        ArgumentNullException.ThrowIfNull(fineTuned);
        ArgumentNullException.ThrowIfNull(grafted);
        return preTrained.Count > 0 && grafted.Count > 0
            ? RelativeGainMetrics.Of(preTrained, fineTuned, grafted)
            : throw new ArgumentException(
                $"There are {preTrained.Count} tasks and {grafted.Count} grafts; one of each is needed.",
                nameof(grafted)
            );
    }

    /// <summary>Counts the scalars of a graft by parameter, layer and kind, with densities.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="graft">The graft.</param>
    /// <param name="model">A model of the graft's architecture; only its shapes are used.</param>
    /// <param name="considered">The names of the considered parameters, for example from <see cref="Models.Tuning.ParameterSelection.Of"/>;
    /// null for all.</param>
    /// <returns>Counts by parameter, by layer and by kind.</returns>
    /// <exception cref="ArgumentException">The graft does not fit the model, or uses a parameter that is not considered.</exception>
    public static GraftSpreadMetrics EvaluateGraftSpread(
        this GraftCatalog catalog,
        Graft graft,
        LanguageModel model,
        IEnumerable<string>? considered = null
    )
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(graft);
        ArgumentNullException.ThrowIfNull(model);
        return GraftSpreadMetrics.Of(graft, model, considered ?? model.Parameters.Keys);
    }

    /// <summary>
    /// Measures what each part of a graft is worth: its coordinates by layer and kind of weight, and the model's metric without each of
    /// these cells, one at a time. The base is loaded once and the rows are scored once for each cell.
    /// </summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="grafted">The model with the graft.</param>
    /// <param name="data">Labelled rows that the graft was not trained or chosen on.</param>
    /// <param name="labelColumnName">The true label, as for training.</param>
    /// <param name="considered">The names of the considered parameters, as for <see cref="EvaluateGraftSpread"/>; null for all.</param>
    /// <param name="cancellation">Stops between cells with an <see cref="OperationCanceledException"/>.</param>
    /// <returns>One entry for each layer and kind of weight.</returns>
    /// <exception cref="ArgumentException">The graft has zeros outside, which belong to no cell, or uses a parameter that is not
    /// considered; a label is not one of the model's.</exception>
    /// <exception cref="InvalidOperationException">There are no labelled rows, or one cannot be encoded.</exception>
    public static GraftCellMetrics EvaluateGraftCells(
        this GraftCatalog catalog,
        GraftTransformer grafted,
        IDataView data,
        string labelColumnName = "Label",
        IEnumerable<string>? considered = null,
        CancellationToken cancellation = default
    )
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(grafted);
        ArgumentNullException.ThrowIfNull(data);
        return GraftCellMetrics.Of(catalog.Context, grafted, data, labelColumnName, considered, cancellation);
    }

    /// <summary>
    /// Compares grafts with their base and fine-tuned models: size, accuracy, skill retention, agreement with the fine-tuned model, and
    /// calibration. Every model scores the test set once.
    /// </summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="preTrained">The base model.</param>
    /// <param name="fineTuned">The fine-tuned model.</param>
    /// <param name="grafted">The grafts by name, each with a model that has it applied.</param>
    /// <param name="test">The test set, with the columns that the models read; its rows must have the same order each time it is
    /// read.</param>
    /// <param name="labelColumnName">The true label: a key with values, text or a number, matched by name with the models' labels. Rows
    /// with a missing or empty label are excluded.</param>
    /// <param name="scoreColumnName">The models' probabilities, a float vector of known size whose slots are named after the
    /// labels.</param>
    /// <param name="numberOfBins">Number of confidence bins, 1 or more; 15 by default, as in Guo et al. (2017).</param>
    /// <returns>One row per graft.</returns>
    /// <exception cref="ArgumentException">There is no graft, or the label column is missing or of another type.</exception>
    /// <exception cref="InvalidOperationException">There are no labelled rows, a model cannot score them or does not know one of the
    /// labels, or scores are not probabilities.</exception>
    public static GraftReport EvaluateGrafts(
        this GraftCatalog catalog,
        ITransformer preTrained,
        ITransformer fineTuned,
        IReadOnlyDictionary<string, GraftedModel> grafted,
        IDataView test,
        string labelColumnName = "Label",
        string scoreColumnName = "Score",
        int numberOfBins = 15
    )
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
            numberOfBins
        );

        SetScoring Scoring(string name, ITransformer model) => new(name, model, set, scoreColumnName);
    }
}
