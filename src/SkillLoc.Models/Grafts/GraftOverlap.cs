namespace SkillLoc.Models.Grafts;

/// <summary>The overlap of two grafts of one base model (Panigrahi et al. 2023; methods, A.13).</summary>
public static class GraftOverlap
{
    /// <summary>|gamma_1 AND gamma_2|: the number of scalars in both grafts, regardless of their values.</summary>
    /// <param name="first">A graft.</param>
    /// <param name="second">Another graft of the same base model.</param>
    /// <returns>The number of scalars.</returns>
    /// <exception cref="ArgumentException">The grafts are for different base models.</exception>
    public static long Count(Graft first, Graft second)
    {
        ArgumentNullException.ThrowIfNull(first);
        ArgumentNullException.ThrowIfNull(second);
        CheckBase(first, second);
        var others = second.Parts.ToDictionary(part => part.Name, part => part.Indices, StringComparer.Ordinal);
        return first.Parts.Sum(part => others.TryGetValue(part.Name, out int[]? indices) ? Shared(part.Indices, indices) : 0);
    }

    /// <exception cref="ArgumentException">The grafts are for different base models.</exception>
    internal static void CheckBase(Graft first, Graft second)
    {
        if (first.BaseFingerprint != second.BaseFingerprint)
        {
            throw new ArgumentException(
                $"The grafts are for different base models, with fingerprints {first.BaseFingerprint} and {second.BaseFingerprint}: "
                    + "only grafts of one base model have coordinates in common.",
                nameof(second)
            );
        }
    }

    /// <summary>The size of the intersection of two ascending lists.</summary>
    private static long Shared(int[] first, int[] second)
    {
        long shared = 0;
        for (int i = 0, j = 0; i < first.Length && j < second.Length; )
        {
            int order = first[i].CompareTo(second[j]);
            shared += order == 0 ? 1 : 0;
            i += order <= 0 ? 1 : 0;
            j += order >= 0 ? 1 : 0;
        }

        return shared;
    }
}
