namespace SkillLoc.Serve;

/// <summary>The results for the texts of a request, in their order.</summary>
/// <param name="Skill">The skill.</param>
/// <param name="Results">One result for each text.</param>
public sealed record ClassifyResponse(string Skill, IReadOnlyList<Classification> Results);
