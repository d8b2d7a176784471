using SkillLoc.Evaluators;

namespace SkillLoc.ConnectivityStudy;

/// <summary>What a straight line forgets of its first end's training rows.</summary>
/// <param name="Experiment">The experiment.</param>
/// <param name="Method">How the ends were tuned.</param>
/// <param name="Pair">The ends.</param>
/// <param name="Rows">Number of training rows.</param>
/// <param name="Confidence">Their mean confidence while the first end was trained.</param>
/// <param name="Variability">Their mean variability.</param>
/// <param name="Correctness">Their mean correctness.</param>
/// <param name="Turns">Their mean number of turns.</param>
/// <param name="Entries">One entry a point: what was forgotten since the point before.</param>
public sealed record ForgettingResult(
    string Experiment,
    string Method,
    string Pair,
    int Rows,
    double Confidence,
    double Variability,
    double Correctness,
    double Turns,
    IReadOnlyList<ForgettingEntry> Entries
);
