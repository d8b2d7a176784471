using Microsoft.ML;

namespace SkillLoc;

/// <summary>Adds SkillLoc to ML.NET's context.</summary>
public static class SkillLocExtensions
{
    /// <summary>SkillLoc's components for this context.</summary>
    /// <param name="context">The context.</param>
    /// <returns>The catalog.</returns>
    public static SkillLocCatalog SkillLoc(this MLContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return new(context);
    }
}
