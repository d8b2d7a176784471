namespace SkillLoc.Evaluators;

/// <summary>A row at a point of a path.</summary>
/// <param name="Set">The set: Validation, Test or Training.</param>
/// <param name="X">The position on the path.</param>
/// <param name="Row">The row's zero-based number in its view.</param>
/// <param name="Score">Its score from 0 to 1.</param>
/// <param name="IsRight">Whether the prediction is correct, that is, the score is 1.</param>
/// <param name="IsLearnt">Whether it is correct here but not at the previous point; false at the first.</param>
/// <param name="IsForgotten">Whether it is incorrect here but not at the previous point; false at the first.</param>
public sealed record InterpolationChange(string Set, double X, int Row, float Score, bool IsRight, bool IsLearnt, bool IsForgotten);
