namespace SkillLoc.NeuronFeatures;

/// <summary>What a trainer makes of a kind of features.</summary>
/// <param name="Features">What the trees saw.</param>
/// <param name="Count">How many features that is.</param>
/// <param name="Trainer">Whose trees they are.</param>
/// <param name="Test">The rows that were measured on.</param>
/// <param name="Accuracy">Share of rows predicted right.</param>
/// <param name="CalibrationError">Expected calibration error in 15 bins.</param>
public sealed record FeatureResult(string Features, int Count, string Trainer, string Test, double Accuracy, double CalibrationError);
