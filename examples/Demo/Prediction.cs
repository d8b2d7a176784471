namespace SkillLoc.Demo;

/// <summary>What the models add to a <see cref="Message"/>.</summary>
public sealed class Prediction
{
    public string Answer { get; set; } = "";

    public float[] Score { get; set; } = [];
}
