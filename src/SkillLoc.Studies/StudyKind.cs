namespace SkillLoc.Studies;

/// <summary>A kind of study that a program knows.</summary>
/// <param name="Name">The name that plans give it in their property <c>study</c>.</param>
/// <param name="Open">Reads a plan; throws an <see cref="InvalidDataException"/> where it is none of this kind.</param>
public sealed record StudyKind(string Name, Func<StudyRequest, IStudy> Open);
