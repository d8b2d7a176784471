namespace SkillLoc.Evaluators;

/// <summary>The rows forgotten from one point of a path to the next, and their training dynamics (methods, C.6).</summary>
/// <param name="From">The earlier point as in the analysis files, such as 0.04; <c>start</c> before the first, which counts as nothing
/// forgotten.</param>
/// <param name="To">The later point.</param>
/// <param name="Forgotten">Number of rows that are wrong at the later point but not at the earlier one.</param>
/// <param name="Relearnt">Number of rows that are wrong at the earlier point but not at the later one.</param>
/// <param name="Correctness">The mean correctness of the forgotten rows; NaN, like the following, if there are none.</param>
/// <param name="Confidence">Their mean confidence.</param>
/// <param name="Variability">Their mean variability.</param>
/// <param name="Turns">Their mean number of turns.</param>
public sealed record ForgettingEntry(
    string From, string To, int Forgotten, int Relearnt, double Correctness, double Confidence, double Variability, double Turns);
