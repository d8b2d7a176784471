using SkillLoc.Evaluators;

namespace SkillLoc.SkillNeuronStudy;

/// <summary>A point of an accuracy-drop curve.</summary>
/// <param name="Task">The task.</param>
/// <param name="Model">How the model was tuned.</param>
/// <param name="Unperturbed">The model's accuracy on the same rows.</param>
/// <param name="Point">The point.</param>
public sealed record CurvePoint(string Task, string Model, double Unperturbed, NeuronDropPoint Point);
