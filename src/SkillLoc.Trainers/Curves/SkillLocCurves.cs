using SkillLoc.Trainers;

namespace SkillLoc;

/// <summary>The trainers of curves and mixtures between checkpoints in SkillLoc's catalog.</summary>
public static class SkillLocCurves
{
    /// <summary>Finds a curve of low loss between two checkpoints.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="options">The ends, and how the curve is trained.</param>
    /// <returns>The trainer.</returns>
    /// <exception cref="ArgumentException">An option is missing or out of its range.</exception>
    public static CurveTrainer FindCurve(this SkillLocCatalog catalog, CurveTrainer.Options options)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return new(catalog.Context, options);
    }

    /// <summary>Finds which groups of parameters to take from which of two checkpoints.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="options">The ends, and how the mixing weights are trained.</param>
    /// <returns>The trainer.</returns>
    /// <exception cref="ArgumentException">An option is missing or out of its range.</exception>
    public static MixtureTrainer FindMixture(this SkillLocCatalog catalog, MixtureTrainer.Options options)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return new(catalog.Context, options);
    }
}
