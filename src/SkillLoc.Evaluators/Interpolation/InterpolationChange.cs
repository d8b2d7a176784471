namespace SkillLoc.Evaluators;

/// <summary>One row at one place of a path.</summary>
/// <param name="Set">The set: Validation, Test or Training.</param>
/// <param name="X">The place.</param>
/// <param name="Row">The row's zero-based number in its view.</param>
/// <param name="Score">Its score from 0 to 1.</param>
/// <param name="IsRight">Whether it is predicted right: whether its score is 1.</param>
/// <param name="IsLearnt">Whether it is right and was not at the previous point; false at the first.</param>
/// <param name="IsForgotten">Whether it is not right and was at the previous point; false at the first.</param>
public sealed record InterpolationChange(string Set, double X, int Row, float Score, bool IsRight, bool IsLearnt, bool IsForgotten);
