namespace SkillLoc.Trainers;

/// <summary>The metrics of a model.</summary>
/// <param name="Training">The metric on as many training rows as an epoch of mask training uses, the same for every model.</param>
/// <param name="Validation">The metric on the validation set; null if there is none.</param>
public sealed record GraftQuality(double Training, double? Validation);
