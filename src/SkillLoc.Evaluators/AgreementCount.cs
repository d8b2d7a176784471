namespace SkillLoc.Evaluators;

/// <summary>How many rows got a pair of labels from two models.</summary>
/// <param name="First">What the first model predicted.</param>
/// <param name="Second">What the second model predicted.</param>
/// <param name="Count">Number of rows.</param>
public sealed record AgreementCount(string First, string Second, long Count);
