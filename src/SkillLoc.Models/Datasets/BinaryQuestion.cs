namespace SkillLoc.Models.Datasets;

/// <summary>A binary question about a task with three or four labels (methods, B.6).</summary>
public enum BinaryQuestion
{
    /// <summary><c>pn</c>: negative (0) or positive (1); rows with other labels are excluded.</summary>
    PositiveNegative,

    /// <summary><c>neu</c>: neutral (1) or not (0).</summary>
    Neutral,
}
