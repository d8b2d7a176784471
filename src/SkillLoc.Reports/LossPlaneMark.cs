namespace SkillLoc.Reports;

/// <summary>A model in a <see cref="LossPlane"/>.</summary>
/// <param name="Name">Its name.</param>
/// <param name="X">Its place along u.</param>
/// <param name="Y">Its place along v.</param>
public sealed record LossPlaneMark(string Name, double X, double Y);
