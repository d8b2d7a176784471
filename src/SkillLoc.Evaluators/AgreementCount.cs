namespace SkillLoc.Evaluators;

/// <summary>The number of rows with a pair of labels predicted by two models.</summary>
/// <param name="First">The label predicted by the first model.</param>
/// <param name="Second">The label predicted by the second model.</param>
/// <param name="Count">Number of rows.</param>
public sealed record AgreementCount(string First, string Second, long Count);
