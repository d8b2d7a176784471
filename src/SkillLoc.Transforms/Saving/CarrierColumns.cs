namespace SkillLoc.Transforms;

/// <summary>Columns that a saved model uses between its transformers and drops at its end.</summary>
internal static class CarrierColumns
{
    public const string Text = "SkillLoc.Text";
    public const string TextPair = "SkillLoc.TextPair";
    public const string Skill = "SkillLoc.Skill";
    public const string Key = "SkillLoc.Key";
    public const string State = "SkillLoc.State";
    public const string Scores = "SkillLoc.Scores";
    public const string Label = "SkillLoc.Label";
    public const string Labels = "SkillLoc.Labels";
    public const string Slot = "SkillLoc.Slot";
    public const string SlotScore = "SkillLoc.SlotScore";
    public const string Written = "SkillLoc.Written";
}
