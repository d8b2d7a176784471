namespace SkillLoc.GraftingStudy;

/// <summary>What a model achieves on rows of another distribution.</summary>
/// <param name="Accuracy">The share of rows predicted right.</param>
/// <param name="CalibrationError">Expected calibration error in 15 bins.</param>
public sealed record OutOfDistribution(double Accuracy, double CalibrationError);
