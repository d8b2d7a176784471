namespace SkillLoc.Trainers;

/// <summary>The task's metric of one model.</summary>
/// <param name="Training">On training rows: as many as an epoch of mask training takes, the same for every model.</param>
/// <param name="Validation">On the whole validation set; null where there is none.</param>
public sealed record GraftQuality(double Training, double? Validation);
