using Microsoft.ML;
using SkillLoc.Evaluators;
using SkillLoc.Models.Generation;
using SkillLoc.Transforms;

namespace SkillLoc;

/// <summary>The evaluators in SkillLoc's catalog.</summary>
public static class SkillLocEvaluators
{
    /// <summary>
    /// Measures whether scores are calibrated: whether, of the predictions made with confidence 0.8, 80 % are right. The confidence of a
    /// prediction is its highest probability.
    /// </summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="data">Scored rows of any trainer. Labels go with scores by name where the label's keys have values and the score's slots
    /// have names; else, as for ML.NET's multiclass evaluator, the i-th key belongs to the i-th score. Rows without a label are left out,
    /// and a label that the scores do not know counts as wrong with probability 0.</param>
    /// <param name="labelColumnName">The true label, a key; for a binary trainer as its own evaluator has it: a boolean, a Single, which is
    /// true above 0, or a key of two, of which the one whose value says so is true, or else the second.</param>
    /// <param name="scoreColumnName">The probabilities of the labels, a float vector of known size. Of a binary trainer the probability of
    /// true, a Single; where this names its margin, <c>Score</c>, its <c>Probability</c> is taken.</param>
    /// <param name="numberOfBins">Bins of confidence; 15 as in Guo et al. (2017).</param>
    /// <returns>The measures and the bins behind them.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or of another type, or there is no bin.</exception>
    /// <exception cref="InvalidOperationException">There are no labelled rows, none of their labels is among the names of the slots, or a
    /// row's scores are no probabilities.</exception>
    public static CalibrationMetrics EvaluateCalibration(
        this SkillLocCatalog catalog, IDataView data, string labelColumnName = "Label", string scoreColumnName = "Score", int numberOfBins = 15)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(data);
        ArgumentOutOfRangeException.ThrowIfLessThan(numberOfBins, 1);
        return CalibrationMetrics.Of([.. MeasuredRow.Read(catalog.Context, data, labelColumnName, scoreColumnName)], numberOfBins);
    }

    /// <summary>Measures how often two models predict the same label, row by row.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="first">One model's predictions.</param>
    /// <param name="second">The other's predictions of the same rows in the same order.</param>
    /// <param name="predictedLabelColumnName">The prediction: a key, which is compared by its value where it has values, or a text, number
    /// or boolean, which is called True or False. A missing key is a label of its own.</param>
    /// <param name="secondPredictedLabelColumnName">The column's name in the second view; null for the same name.</param>
    /// <returns>The agreement and the counts behind it.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or of another type, or one has key values and the other has
    /// keys without values.</exception>
    /// <exception cref="InvalidOperationException">There are no rows, or the views differ in their number.</exception>
    public static AgreementMetrics EvaluateAgreement(
        this SkillLocCatalog catalog, IDataView first, IDataView second, string predictedLabelColumnName = "PredictedLabel",
        string? secondPredictedLabelColumnName = null)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(first);
        ArgumentNullException.ThrowIfNull(second);
        var one = new LabelTexts(catalog.Context, first, predictedLabelColumnName);
        var other = new LabelTexts(catalog.Context, second, secondPredictedLabelColumnName ?? predictedLabelColumnName);
        return AgreementMetrics.Of(LabelTexts.Pairs(one, other));
    }

    /// <summary>Measures how well any number of labels a row are predicted.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="data">Rows that a multi-label model scored.</param>
    /// <param name="labelColumnName">The true labels: a vector of keys with key values, or of Boolean or Single (0 or 1) with the labels as
    /// slot names. They go with the scores by name; a row may have none.</param>
    /// <param name="scoreColumnName">One probability for each label, a vector of known size with the labels as slot names.</param>
    /// <param name="predictedLabelColumnName">The predicted labels, a vector as the true ones'.</param>
    /// <returns>The measures, over all labels and for each.</returns>
    /// <exception cref="ArgumentException">A column is missing or of another type, or has a label that the scores lack.</exception>
    /// <exception cref="InvalidOperationException">There are no rows, or a score is no probability.</exception>
    public static MultiLabelMetrics EvaluateMultiLabel(
        this SkillLocCatalog catalog, IDataView data, string labelColumnName = "Label", string scoreColumnName = "Score",
        string predictedLabelColumnName = "PredictedLabel")
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(data);
        return MultiLabelMetrics.Of(data, labelColumnName, scoreColumnName, predictedLabelColumnName);
    }

    /// <summary>
    /// Measures models on the data that they were trained for and on other data: accuracy, calibration, and how much accuracy is lost.
    /// Labels are matched by name, so sets may have them in another order, or lack some.
    /// </summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="models">Models by name; each scores each set once.</param>
    /// <param name="sets">Sets by name, with the columns that the models read; each must give its rows in the same order whenever it is
    /// read.</param>
    /// <param name="inDistribution">The name of the set that the models' training data is like.</param>
    /// <param name="labelColumnName">The sets' true label: text, a number, or a key with values. It is read from the set itself, not from
    /// what a model makes of it. Rows whose label is missing or empty are left out.</param>
    /// <param name="scoreColumnName">The models' probabilities, a float vector of known size whose slots are named after the labels, or a
    /// binary trainer's, as for <see cref="EvaluateCalibration"/>, whose labels are called False and True.</param>
    /// <param name="labelMaps">By set, the models' label for the set's, such as contradiction and neutral to not_entailment. A label that
    /// its set's map lacks stands for itself. Null maps nothing.</param>
    /// <param name="numberOfBins">Bins of confidence; 15 as in Guo et al. (2017).</param>
    /// <returns>One entry a model and set.</returns>
    /// <exception cref="ArgumentException">There is no model, a set's name is unknown, or a set's label column is missing or of another
    /// type.</exception>
    /// <exception cref="InvalidOperationException">A set has no labelled rows, a model cannot score it or does not know one of its labels,
    /// or scores are no probabilities.</exception>
    public static OutOfDistributionMetrics EvaluateOutOfDistribution(
        this SkillLocCatalog catalog, IReadOnlyDictionary<string, ITransformer> models, IReadOnlyDictionary<string, IDataView> sets,
        string inDistribution, string labelColumnName = "Label", string scoreColumnName = "Score",
        IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>>? labelMaps = null, int numberOfBins = 15)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(models);
        ArgumentNullException.ThrowIfNull(sets);
        ArgumentNullException.ThrowIfNull(inDistribution);
        ArgumentOutOfRangeException.ThrowIfLessThan(numberOfBins, 1);
        if (models.Count == 0)
        {
            throw new ArgumentException("There is no model to evaluate.", nameof(models));
        }

        foreach (string name in (labelMaps?.Keys ?? []).Prepend(inDistribution).Where(name => !sets.ContainsKey(name)))
        {
            throw new ArgumentException($"There is no set '{name}'; the sets are {EvaluatedColumn.Quote(sets.Keys)}.", nameof(sets));
        }

        LabeledSet[] labeled =
        [
            .. sets.Select(set => new LabeledSet(
                catalog.Context, set.Key, set.Value, labelColumnName, labelMaps?.GetValueOrDefault(set.Key))),
        ];
        return OutOfDistributionMetrics.Of(
            [
                .. from model in models
                   from set in labeled
                   select new SetScoring(model.Key, model.Value, set, scoreColumnName),
            ],
            inDistribution,
            numberOfBins);
    }

    /// <summary>Measures how strongly a regression's scores go with the true ones: Pearson's and Spearman's correlation.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="data">Scored rows of any regression trainer; rows whose label is NaN are left out.</param>
    /// <param name="labelColumnName">The true score, a Single.</param>
    /// <param name="scoreColumnName">The predicted score, a Single.</param>
    /// <returns>The correlations.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or of another type.</exception>
    /// <exception cref="InvalidOperationException">There are no labelled rows, or a label or score is not finite.</exception>
    public static CorrelationMetrics EvaluateCorrelation(
        this SkillLocCatalog catalog, IDataView data, string labelColumnName = "Label", string scoreColumnName = "Score")
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(data);
        return CorrelationMetrics.Of(data, labelColumnName, scoreColumnName);
    }

    /// <summary>Measures how well generated texts answer, by one of the metrics of text-to-text tasks (methods, C.5).</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="data">Rows with their answers and what a model generated for them.</param>
    /// <param name="metric">The metric; see <see cref="TextMetrics.Evaluate"/> for what each one is.</param>
    /// <param name="answersColumnName">What is right to answer: a text, or a vector of texts, as <c>LoadTextToText</c> makes it. Blank texts are no answers,
    /// and rows without answers are left out.</param>
    /// <param name="predictedTextColumnName">What was generated, a text.</param>
    /// <returns>The measure, and the scores of single rows where the metric has them.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or of another type, or there is no such metric.</exception>
    /// <exception cref="InvalidOperationException">There are no rows with answers, or, for <see cref="TextMetric.PearsonCorrelation"/>, one whose first
    /// answer is no finite number.</exception>
    public static GeneratedTextMetrics EvaluateText(
        this SkillLocCatalog catalog,
        IDataView data,
        TextMetric metric,
        string answersColumnName = "Answers",
        string predictedTextColumnName = "PredictedText")
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(data);
        return Enum.IsDefined(metric)
            ? GeneratedTextMetrics.Of(data, metric, answersColumnName, predictedTextColumnName)
            : throw new ArgumentOutOfRangeException(nameof(metric), metric, "There is no such metric.");
    }
}
