namespace SkillLoc.Evaluators;

/// <summary>What is forgotten from one point of a path to the next, and what training made of those rows (methods, C.6).</summary>
/// <param name="From">The earlier point as in the analysis files, such as 0.04; <c>start</c> before the first, where nothing is forgotten yet.</param>
/// <param name="To">The later point.</param>
/// <param name="Forgotten">The number of rows that are wrong at the later point and were not at the earlier one.</param>
/// <param name="Relearnt">The number of rows that were wrong at the earlier point and are not at the later one.</param>
/// <param name="Correctness">The mean correctness of the forgotten rows; NaN where there are none, as the others.</param>
/// <param name="Confidence">Their mean confidence.</param>
/// <param name="Variability">Their mean variability.</param>
/// <param name="Turns">Their mean number of turns.</param>
public sealed record ForgettingEntry(
    string From, string To, int Forgotten, int Relearnt, double Correctness, double Confidence, double Variability, double Turns);
