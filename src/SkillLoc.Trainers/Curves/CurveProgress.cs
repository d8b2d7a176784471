namespace SkillLoc.Trainers;

/// <summary>The progress of training a curve.</summary>
/// <param name="Step">Number of completed updates.</param>
/// <param name="Steps">Total number of updates.</param>
/// <param name="Place">The position of the last micro-batch on the curve.</param>
/// <param name="Loss">The mean loss of that micro-batch.</param>
/// <param name="Metric">The latest mean validation metric; null before the first.</param>
public sealed record CurveProgress(int Step, int Steps, double Place, double Loss, double? Metric);
