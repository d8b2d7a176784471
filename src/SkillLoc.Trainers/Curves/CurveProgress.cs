namespace SkillLoc.Trainers;

/// <summary>What training a curve tells on its way.</summary>
/// <param name="Step">Updates done.</param>
/// <param name="Steps">Updates in all.</param>
/// <param name="Place">The place on the curve that the last micro-batch was drawn at.</param>
/// <param name="Loss">The mean loss of that micro-batch at that place.</param>
/// <param name="Metric">The latest mean validation metric; null before the first.</param>
public sealed record CurveProgress(int Step, int Steps, double Place, double Loss, double? Metric);
