namespace SkillLoc.Models.Cartography;

/// <summary>The training dynamics of a row over the epochs.</summary>
/// <param name="Row">The row's zero-based number in the training data.</param>
/// <param name="Confidence">The mean probability of its true label.</param>
/// <param name="Variability">Population standard deviation of that probability.</param>
/// <param name="Correctness">The share of epochs after which it was predicted right.</param>
/// <param name="Turns">The number of changes between right and wrong from one epoch to the next.</param>
public sealed record CartographyRow(int Row, double Confidence, double Variability, double Correctness, int Turns);
