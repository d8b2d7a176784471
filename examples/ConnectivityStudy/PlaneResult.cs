using SkillLoc.Evaluators;

namespace SkillLoc.ConnectivityStudy;

/// <summary>A plane, measured on the test rows of its first end's task.</summary>
/// <param name="Experiment">The experiment.</param>
/// <param name="Method">How the ends were tuned.</param>
/// <param name="Name">The plane.</param>
/// <param name="Plane">What was measured.</param>
public sealed record PlaneResult(string Experiment, string Method, string Name, LossPlaneMetrics Plane);
