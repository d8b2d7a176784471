namespace SkillLoc.SkillNeuronStudy;

/// <summary>One number.</summary>
/// <param name="Task">The task that it is of.</param>
/// <param name="Measure">What was measured; the constants of <see cref="Measures"/>.</param>
/// <param name="Value">The number.</param>
/// <param name="Seed">The run; null where it is of all runs.</param>
/// <param name="Other">For a measure of two tasks the other one.</param>
/// <param name="Layer">For a measure of one layer that layer, zero-based.</param>
public sealed record Measurement(string Task, string Measure, double Value, int? Seed = null, string? Other = null, int? Layer = null);
