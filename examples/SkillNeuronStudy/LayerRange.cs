namespace SkillLoc.SkillNeuronStudy;

/// <summary>A range of layers.</summary>
/// <param name="Low">The first, zero-based.</param>
/// <param name="High">The layer after the last.</param>
public sealed record LayerRange(int Low, int High);
