using SkillLoc.Models.Neurons;

namespace SkillLoc.Evaluators;

/// <summary>A point of an accuracy-drop curve.</summary>
/// <param name="Method">The name of the <see cref="PerturbationKind"/>.</param>
/// <param name="LowLayer">The first perturbed layer, zero-based.</param>
/// <param name="HighLayer">The layer after the last.</param>
/// <param name="Fraction">The share of each of these layers' neurons.</param>
/// <param name="Neurons">Number of perturbed neurons.</param>
/// <param name="Accuracy">The accuracy with the skill neurons perturbed.</param>
/// <param name="ControlAccuracy">The mean accuracy with equally many random neurons of each layer perturbed.</param>
/// <param name="ControlDeviation">The sample standard deviation of that over the draws.</param>
public sealed record NeuronDropPoint(
    string Method, int LowLayer, int HighLayer, double Fraction, int Neurons, double Accuracy, double ControlAccuracy, double ControlDeviation);
