namespace SkillLoc.ConnectivityStudy;

/// <summary>A base that the study pre-trained.</summary>
/// <param name="Steps">Updates.</param>
/// <param name="Loss">The mean cross-entropy of hidden tokens of held-out pieces at the longest length, in nats.</param>
/// <param name="Accuracy">The share of them that had the highest score.</param>
public sealed record BaseResult(int Steps, double Loss, double Accuracy);
