namespace SkillLoc.Trainers;

/// <summary>How far a training is.</summary>
/// <param name="Step">Updates done.</param>
/// <param name="Steps">Updates that will be done at most.</param>
/// <param name="Loss">The mean training loss of the last update, in nats.</param>
/// <param name="Metric">The latest value of what the best state is chosen by; null before the first evaluation.</param>
/// <param name="RowsPerSecond">Training rows per second since the start, evaluations included.</param>
public sealed record TrainingProgress(int Step, int Steps, double Loss, double? Metric, double RowsPerSecond);
