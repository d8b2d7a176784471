namespace SkillLoc.Serve;

/// <summary>A skill and the queue of its model.</summary>
/// <param name="Description">What is told of it.</param>
/// <param name="Queue">The queue, which skills of one model share.</param>
public sealed record Skill(SkillDescription Description, BatchQueue<TextRow, Classification> Queue);
