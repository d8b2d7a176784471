namespace SkillLoc.Evaluators;

/// <summary>The quality of a model on a data set.</summary>
/// <param name="Model">The model's name.</param>
/// <param name="Set">The set's name.</param>
/// <param name="Count">Number of labelled rows.</param>
/// <param name="Accuracy">The share of rows whose label has the highest score; ties go to the first.</param>
/// <param name="MacroF1">The mean of the labels' F1, over the model's labels that some row has or is predicted to have.</param>
/// <param name="ExpectedCalibrationError">See <see cref="CalibrationMetrics.ExpectedCalibrationError"/>.</param>
/// <param name="LogLoss">The mean of -ln(probability of the true label), in nats.</param>
/// <param name="MeanConfidence">The mean of the highest probability.</param>
/// <param name="AccuracyDrop">Accuracy on the in-distribution set minus the accuracy here; 0 for that set itself.</param>
public sealed record OutOfDistributionEntry(
    string Model, string Set, long Count, double Accuracy, double MacroF1, double ExpectedCalibrationError, double LogLoss,
    double MeanConfidence, double AccuracyDrop);
