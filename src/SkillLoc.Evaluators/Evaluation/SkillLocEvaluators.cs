using Microsoft.ML;
using SkillLoc.Evaluators;
using SkillLoc.Models.Generation;
using SkillLoc.Transforms;

namespace SkillLoc;

/// <summary>Catalog methods that evaluate scored data.</summary>
public static class SkillLocEvaluators
{
    /// <summary>
    /// Measures whether scores are calibrated: whether, of the predictions made with confidence 0.8, 80 % are right. The confidence of a
    /// prediction is its highest probability.
    /// </summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="data">Scored rows of any trainer. Labels are matched with scores by name if keys have values and slots have names;
    /// otherwise, as in ML.NET's multiclass evaluator, the i-th key belongs to the i-th score. Unlabelled rows are excluded; a label that
    /// the scores lack counts as wrong with probability 0.</param>
    /// <param name="labelColumnName">The true label, a key; for a binary trainer as its own evaluator has it: a boolean, a Single, which is
    /// true above 0, or a key of two, of which the one whose value says so is true, or else the second.</param>
    /// <param name="scoreColumnName">The probabilities of the labels, a float vector of known size. Of a binary trainer the probability of
    /// true, a Single; where this names its margin, <c>Score</c>, its <c>Probability</c> is taken.</param>
    /// <param name="numberOfBins">Number of confidence bins, 1 or more; 15 by default, as in Guo et al. (2017).</param>
    /// <returns>The metrics and their bins.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or of another type, or there is no bin.</exception>
    /// <exception cref="InvalidOperationException">There are no labelled rows, none of their labels is among the names of the slots, or
    /// scores are not probabilities.</exception>
    public static CalibrationMetrics EvaluateCalibration(
        this SkillLocCatalog catalog,
        IDataView data,
        string labelColumnName = "Label",
        string scoreColumnName = "Score",
        int numberOfBins = 15
    )
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(data);
        ArgumentOutOfRangeException.ThrowIfLessThan(numberOfBins, 1);
        return CalibrationMetrics.Of([.. MeasuredRow.Read(catalog.Context, data, labelColumnName, scoreColumnName)], numberOfBins);
    }

    /// <summary>
    /// Measures calibration without bins: smECE with its bootstrap interval, and the smooth curve of a reliability diagram.
    /// </summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="data">Scored rows, as for <see cref="EvaluateCalibration"/>.</param>
    /// <param name="labelColumnName">The true label, as for <see cref="EvaluateCalibration"/>.</param>
    /// <param name="scoreColumnName">The probabilities, as for <see cref="EvaluateCalibration"/>.</param>
    /// <param name="resamples">Number of resamples of the rows for the 95 % intervals; 1000 by default, 0 for none.</param>
    /// <param name="seed">Seed of the resamples; null (default) draws one from the context.</param>
    /// <returns>The error, its interval and the curve.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or of another type, or the number of resamples is
    /// negative.</exception>
    /// <exception cref="InvalidOperationException">As for <see cref="EvaluateCalibration"/>.</exception>
    public static SmoothCalibrationMetrics EvaluateSmoothCalibration(
        this EvaluationCatalog catalog,
        IDataView data,
        string labelColumnName = "Label",
        string scoreColumnName = "Score",
        int resamples = 1000,
        int? seed = null
    )
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(data);
        ArgumentOutOfRangeException.ThrowIfNegative(resamples);
        return SmoothCalibrationMetrics.Of(
            [.. MeasuredRow.Read(catalog.Context, data, labelColumnName, scoreColumnName)],
            resamples,
            seed ?? new ComponentHost(catalog.Context, nameof(EvaluateSmoothCalibration)).DrawSeed()
        );
    }

    /// <summary>Measures the agreement of two models' predictions.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="first">The predictions of one model.</param>
    /// <param name="second">The predictions of the other model for the same rows in the same order.</param>
    /// <param name="predictedLabelColumnName">The prediction: a key, compared by value if it has values, or a text, number or boolean (True
    /// or False). A missing key is a separate label.</param>
    /// <param name="secondPredictedLabelColumnName">The column's name in the second view; null for the same name.</param>
    /// <returns>The agreement and the counts of all pairs of labels.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or of another type, or only one has keys with values.</exception>
    /// <exception cref="InvalidOperationException">There are no rows, or the numbers of rows differ.</exception>
    public static AgreementMetrics EvaluateAgreement(
        this EvaluationCatalog catalog,
        IDataView first,
        IDataView second,
        string predictedLabelColumnName = "PredictedLabel",
        string? secondPredictedLabelColumnName = null
    )
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(first);
        ArgumentNullException.ThrowIfNull(second);
        var one = new LabelTexts(catalog.Context, first, predictedLabelColumnName);
        var other = new LabelTexts(catalog.Context, second, secondPredictedLabelColumnName ?? predictedLabelColumnName);
        return AgreementMetrics.Of(LabelTexts.Pairs(one, other));
    }

    /// <summary>Measures the quality of multi-label predictions.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="data">Rows scored by a multi-label model.</param>
    /// <param name="labelColumnName">The true labels: a vector of keys with key values, or of Boolean or Single (0 or 1) with the labels as
    /// slot names. They are matched with the scores by name; a row may have none.</param>
    /// <param name="scoreColumnName">One probability for each label, a vector of known size with the labels as slot names.</param>
    /// <param name="predictedLabelColumnName">The predicted labels, a vector of the same kind as the true ones.</param>
    /// <returns>The metrics over all labels and for each label.</returns>
    /// <exception cref="ArgumentException">A column is missing or of another type, or has a label that the scores lack.</exception>
    /// <exception cref="InvalidOperationException">There are no rows, or a score is not a probability.</exception>
    public static MultiLabelMetrics EvaluateMultiLabel(
        this EvaluationCatalog catalog,
        IDataView data,
        string labelColumnName = "Label",
        string scoreColumnName = "Score",
        string predictedLabelColumnName = "PredictedLabel"
    )
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(data);
        return MultiLabelMetrics.Of(data, labelColumnName, scoreColumnName, predictedLabelColumnName);
    }

    /// <summary>
    /// Measures models on in-distribution and out-of-distribution data: accuracy, calibration, and the loss of accuracy. Labels are matched
    /// by name, so sets may have them in another order, or lack some.
    /// </summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="models">The models by name; each scores each set once.</param>
    /// <param name="sets">Sets by name, with the columns that the models read; rows must have the same order each time a set is
    /// read.</param>
    /// <param name="inDistribution">The name of the in-distribution set.</param>
    /// <param name="labelColumnName">The sets' true label: text, a number, or a key with values. It is read from the set itself, not from
    /// the output of a model. Rows with a missing or empty label are excluded.</param>
    /// <param name="scoreColumnName">The models' probabilities, a float vector of known size whose slots are named after the labels, or
    /// those of a binary trainer, as for <see cref="EvaluateCalibration"/>, with the labels False and True.</param>
    /// <param name="labelMaps">For each set, a map from its labels to the models' labels, such as contradiction and neutral to
    /// not_entailment. Labels that are not in the map are unchanged. Null (default) maps nothing.</param>
    /// <param name="numberOfBins">Number of confidence bins, 1 or more; 15 by default, as in Guo et al. (2017).</param>
    /// <returns>One entry per model and set.</returns>
    /// <exception cref="ArgumentException">There is no model, a set's name is unknown, or a set's label column is missing or of another
    /// type.</exception>
    /// <exception cref="InvalidOperationException">A set has no labelled rows, a model cannot score it or does not know one of its labels,
    /// or scores are not probabilities.</exception>
    public static OutOfDistributionMetrics EvaluateOutOfDistribution(
        this EvaluationCatalog catalog,
        IReadOnlyDictionary<string, ITransformer> models,
        IReadOnlyDictionary<string, IDataView> sets,
        string inDistribution,
        string labelColumnName = "Label",
        string scoreColumnName = "Score",
        IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>>? labelMaps = null,
        int numberOfBins = 15
    )
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
                catalog.Context,
                set.Key,
                set.Value,
                labelColumnName,
                labelMaps?.GetValueOrDefault(set.Key)
            )),
        ];
        return OutOfDistributionMetrics.Of(
            [.. from model in models from set in labeled select new SetScoring(model.Key, model.Value, set, scoreColumnName)],
            inDistribution,
            numberOfBins
        );
    }

    /// <summary>Measures Pearson's and Spearman's correlation of predicted and true scores.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="data">Scored rows of any regression trainer; rows whose label is NaN are excluded.</param>
    /// <param name="labelColumnName">The true score, a Single.</param>
    /// <param name="scoreColumnName">The predicted score, a Single.</param>
    /// <returns>The correlations.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or of another type.</exception>
    /// <exception cref="InvalidOperationException">There are no labelled rows, or a label or score is not finite.</exception>
    public static CorrelationMetrics EvaluateCorrelation(
        this EvaluationCatalog catalog,
        IDataView data,
        string labelColumnName = "Label",
        string scoreColumnName = "Score"
    )
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(data);
        return CorrelationMetrics.Of(data, labelColumnName, scoreColumnName);
    }

    /// <summary>Measures generated texts by a metric of text-to-text tasks (methods, C.5).</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="data">Rows with answers and generated texts.</param>
    /// <param name="metric">The metric; see <see cref="TextMetrics.Evaluate"/> for definitions.</param>
    /// <param name="answersColumnName">The correct answers: a text, or a vector of texts, as from <c>LoadTextToText</c>. Blank texts are
    /// ignored, and rows without answers are excluded.</param>
    /// <param name="predictedTextColumnName">The generated text.</param>
    /// <returns>The metric, and scores of single rows if the metric has them.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or of another type, or the metric is undefined.</exception>
    /// <exception cref="InvalidOperationException">There are no rows with answers, or, for <see cref="TextMetric.PearsonCorrelation"/>, a
    /// first answer is not a finite number.</exception>
    public static GeneratedTextMetrics EvaluateGeneratedText(
        this EvaluationCatalog catalog,
        IDataView data,
        TextMetric metric,
        string answersColumnName = "Answers",
        string predictedTextColumnName = "PredictedText"
    )
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(data);
        return Enum.IsDefined(metric)
            ? GeneratedTextMetrics.Of(data, metric, answersColumnName, predictedTextColumnName)
            : throw new ArgumentOutOfRangeException(nameof(metric), metric, "There is no such metric.");
    }
}

/// <summary>Extensions of <see cref="SkillLocCatalog"/> that calibrate scores.</summary>
public static class SkillLocCalibration
{
    /// <summary>
    /// Scales the scores of any classifier by one temperature T, which is fitted on validation rows: it minimises their negative
    /// log-likelihood under softmax(z / T) (Guo et al., 2017, On Calibration of Modern Neural Networks, section 4.2). The fitted
    /// transformer is appended to the model, <c>model.Append(calibrated)</c>, and saved with it. Predicted labels stay the same.
    /// </summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="labelColumnName">The true label, as <see cref="SkillLocEvaluators.EvaluateCalibration"/> takes it; labels go with
    /// scores by name where both have names.</param>
    /// <param name="scoreColumnName">The scores: a float vector of known size, which is replaced. Of a binary trainer its probability of
    /// true, a Single, is replaced, also where this names the margin beside it; where there is a margin alone, that is the logit, and a
    /// column <c>Probability</c> is added.</param>
    /// <param name="form">Whether scores are probabilities or logits.</param>
    /// <returns>The estimator.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The form is not defined.</exception>
    public static TemperatureCalibrationEstimator CalibrateTemperature(
        this SkillLocCatalog catalog,
        string labelColumnName = "Label",
        string scoreColumnName = "Score",
        ScoreForm form = ScoreForm.Detected
    )
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentException.ThrowIfNullOrEmpty(labelColumnName);
        ArgumentException.ThrowIfNullOrEmpty(scoreColumnName);
        return Enum.IsDefined(form)
            ? new(catalog, labelColumnName, scoreColumnName, form)
            : throw new ArgumentOutOfRangeException(nameof(form), form, "There is no such form of scores.");
    }
}
