using SkillLoc.Evaluators;
using SkillLoc.Transforms;

namespace SkillLoc;

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
        this SkillLocCatalog catalog, string labelColumnName = "Label", string scoreColumnName = "Score", ScoreForm form = ScoreForm.Detected)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentException.ThrowIfNullOrEmpty(labelColumnName);
        ArgumentException.ThrowIfNullOrEmpty(scoreColumnName);
        return Enum.IsDefined(form)
            ? new(catalog, labelColumnName, scoreColumnName, form)
            : throw new ArgumentOutOfRangeException(nameof(form), form, "There is no such form of scores.");
    }
}
