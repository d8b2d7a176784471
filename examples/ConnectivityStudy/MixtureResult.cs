using SkillLoc.Models.Connectivity;

namespace SkillLoc.ConnectivityStudy;

/// <summary>A mixture of two ends, measured on the first end's test rows.</summary>
/// <param name="Experiment">The experiment.</param>
/// <param name="Method">How the ends were tuned.</param>
/// <param name="Pair">The ends.</param>
/// <param name="Task">The task that was measured.</param>
/// <param name="Granularity">Which parameters share a weight.</param>
/// <param name="Groups">Number of weights.</param>
/// <param name="FirstShare">The first end's mean share over the groups.</param>
/// <param name="Accuracy">The share of rows predicted right.</param>
/// <param name="Loss">The mean of -ln(probability of the true label), in nats.</param>
public sealed record MixtureResult(
    string Experiment,
    string Method,
    string Pair,
    string Task,
    MixtureGranularity Granularity,
    int Groups,
    double FirstShare,
    double Accuracy,
    double Loss
);
