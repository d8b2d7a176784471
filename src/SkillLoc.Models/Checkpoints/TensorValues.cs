namespace SkillLoc.Models.Checkpoints;

/// <summary>The values of a tensor as an array.</summary>
/// <param name="Shape">Its shape.</param>
/// <param name="Values">Its values, row-major: as many as the shape has places.</param>
public sealed record TensorValues(long[] Shape, float[] Values);
