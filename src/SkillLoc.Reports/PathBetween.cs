using SkillLoc.Evaluators;

namespace SkillLoc.Reports;

/// <summary>The path between two of several models, for a basin map.</summary>
/// <param name="First">The name of the model at 0, such as its seed.</param>
/// <param name="Second">The name of the model at 1.</param>
/// <param name="Path">The metrics along the path.</param>
public sealed record PathBetween(string First, string Second, InterpolationMetrics Path);
