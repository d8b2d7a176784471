namespace SkillLoc.Benchmarks;

/// <summary>A row of the benchmarks' data.</summary>
public sealed class Review
{
    /// <summary>The text.</summary>
    public string Text { get; set; } = "";

    /// <summary>"0" or "1".</summary>
    public string Label { get; set; } = "";

    /// <summary>Which of several skills scores the text; empty for one.</summary>
    public string Skill { get; set; } = "";
}
