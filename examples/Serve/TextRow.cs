namespace SkillLoc.Serve;

/// <summary>A row as models read it.</summary>
public sealed class TextRow
{
    /// <summary>Unknown; a pipeline that was saved with its training's first steps asks for the column.</summary>
    public string Label { get; set; } = "";

    /// <summary>The text.</summary>
    public string Text { get; set; } = "";

    /// <summary>The second text of a pair.</summary>
    public string TextPair { get; set; } = "";

    /// <summary>The skill, which a model with several reads.</summary>
    public string Skill { get; set; } = "";
}
