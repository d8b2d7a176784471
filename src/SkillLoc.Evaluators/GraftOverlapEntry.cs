namespace SkillLoc.Evaluators;

/// <summary>The overlap of two grafts.</summary>
/// <param name="First">The name of graft i.</param>
/// <param name="Second">The name of graft j.</param>
/// <param name="FirstCount">|gamma_i|, the scalars of the first.</param>
/// <param name="SecondCount">|gamma_j|, the scalars of the second.</param>
/// <param name="SharedCount">|gamma_i AND gamma_j|, the number of scalars in both.</param>
public sealed record GraftOverlapEntry(string First, string Second, long FirstCount, long SecondCount, long SharedCount)
{
    /// <summary>|gamma_i AND gamma_j| / |gamma_j|: the share of the second graft that is in the first; NaN if the second is
    /// empty.</summary>
    public double Overlap => (double)SharedCount / SecondCount;
}
