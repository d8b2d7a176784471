namespace SkillLoc.Models.Grafts;

/// <summary>The part of a graft that lies in one parameter.</summary>
/// <param name="Name">The parameter's Hugging Face name.</param>
/// <param name="Indices">Row-major flat indices, ascending.</param>
/// <param name="Values">The fine-tuned values at those indices.</param>
public sealed record GraftPart(string Name, int[] Indices, float[] Values);
