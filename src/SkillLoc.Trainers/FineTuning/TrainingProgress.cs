namespace SkillLoc.Trainers;

/// <summary>The progress of a training.</summary>
/// <param name="Step">Number of completed updates.</param>
/// <param name="Steps">Maximum number of updates.</param>
/// <param name="Loss">The mean training loss of the last update, in nats.</param>
/// <param name="Metric">The latest value of the selection metric; null before the first evaluation.</param>
/// <param name="RowsPerSecond">Training rows per second since the start, evaluations included.</param>
public sealed record TrainingProgress(int Step, int Steps, double Loss, double? Metric, double RowsPerSecond);
