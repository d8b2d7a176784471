namespace SkillLoc.ConnectivityStudy;

/// <summary>What a part of the study, or all of it, measured.</summary>
/// <param name="Paths">Lines, then curves.</param>
/// <param name="Forgetting">What lines forget.</param>
/// <param name="Mixtures">Mixtures of ends.</param>
/// <param name="Bases">What was pre-trained.</param>
/// <param name="Planes">Planes through three ends.</param>
public sealed record StudyResult(
    IReadOnlyList<PathResult> Paths,
    IReadOnlyList<ForgettingResult> Forgetting,
    IReadOnlyList<MixtureResult> Mixtures,
    IReadOnlyList<BaseResult> Bases,
    IReadOnlyList<PlaneResult> Planes
);
