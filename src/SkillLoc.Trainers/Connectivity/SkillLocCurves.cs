using SkillLoc.Trainers;

namespace SkillLoc;

/// <summary>Catalog methods that train curves and mixtures between checkpoints.</summary>
public static class SkillLocCurves
{
    /// <summary>Finds a curve of low loss between two checkpoints.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="options">The options.</param>
    /// <returns>The trainer.</returns>
    /// <exception cref="ArgumentException">An option is missing or out of its range.</exception>
    public static CurveTrainer FindCurve(this ConnectivityCatalog catalog, CurveTrainer.Options options)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return new(catalog.Context, options);
    }

    /// <summary>Trains a mixture of two checkpoints with one mixing weight per group of parameters.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="options">The options.</param>
    /// <returns>The trainer.</returns>
    /// <exception cref="ArgumentException">An option is missing or out of its range.</exception>
    public static MixtureTrainer FindMixture(this ConnectivityCatalog catalog, MixtureTrainer.Options options)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return new(catalog.Context, options);
    }
}
