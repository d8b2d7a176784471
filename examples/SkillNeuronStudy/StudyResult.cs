namespace SkillLoc.SkillNeuronStudy;

/// <summary>What a part of the study, or all of it, measured.</summary>
/// <param name="Measurements">Single numbers.</param>
/// <param name="Curves">Accuracy-drop curves.</param>
public sealed record StudyResult(IReadOnlyList<Measurement> Measurements, IReadOnlyList<CurvePoint> Curves);
