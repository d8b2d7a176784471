namespace SkillLoc.Models.Interpolation;

/// <summary>An endpoint of a path between two checkpoints.</summary>
public enum PathEnd
{
    /// <summary>The endpoint at t = 0.</summary>
    First,

    /// <summary>The endpoint at t = 1.</summary>
    Second,
}
