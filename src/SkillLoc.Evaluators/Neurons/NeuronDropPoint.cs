using SkillLoc.Models.Neurons;

namespace SkillLoc.Evaluators;

/// <summary>One point of an accuracy-drop curve.</summary>
/// <param name="Method">What was done to neurons: the name of a <see cref="PerturbationKind"/>.</param>
/// <param name="LowLayer">The first layer perturbed, zero-based.</param>
/// <param name="HighLayer">The layer after the last.</param>
/// <param name="Fraction">The share of each of these layers' neurons.</param>
/// <param name="Neurons">The number of neurons perturbed.</param>
/// <param name="Accuracy">The accuracy with the skill neurons perturbed.</param>
/// <param name="ControlAccuracy">The mean accuracy with as many random neurons of each layer perturbed instead.</param>
/// <param name="ControlDeviation">The standard deviation of that over the draws (n - 1 in the denominator).</param>
public sealed record NeuronDropPoint(
    string Method, int LowLayer, int HighLayer, double Fraction, int Neurons, double Accuracy, double ControlAccuracy, double ControlDeviation);
