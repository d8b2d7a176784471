namespace SkillLoc.Models.Interpolation;

/// <summary>An end of a path between two checkpoints.</summary>
public enum PathEnd
{
    /// <summary>Where t is 0.</summary>
    First,

    /// <summary>Where t is 1.</summary>
    Second,
}
