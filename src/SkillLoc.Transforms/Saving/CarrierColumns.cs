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
    public const string Temperature = "SkillLoc.Temperature";
    public const string Floor = "SkillLoc.Floor";
    public const string Logits = "SkillLoc.Logits";
    public const string Highest = "SkillLoc.Highest";
    public const string LogSum = "SkillLoc.LogSum";
    public const string IsLogit = "SkillLoc.IsLogit";
    public const string Probability = "SkillLoc.Probability";
}
