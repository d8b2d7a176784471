namespace SkillLoc.Evaluators;

/// <summary>The relative gain of a graft on a task.</summary>
/// <param name="Graft">The graft's name.</param>
/// <param name="Task">The task's name.</param>
/// <param name="PreTrained">P_0, the pre-trained model's metric on the task.</param>
/// <param name="FineTuned">P_1, the fine-tuned model's metric.</param>
/// <param name="Grafted">P_gamma, the grafted model's metric.</param>
public sealed record RelativeGainEntry(string Graft, string Task, double PreTrained, double FineTuned, double Grafted)
{
    /// <summary>
    /// (P_gamma - P_0) / (P_1 - P_0): 0 for the pre-trained model, 1 for the fine-tuned one, outside this range if the graft is worse than
    /// the former or better than the latter; NaN if P_1 = P_0.
    /// </summary>
    public double RelativeGain => FineTuned == PreTrained ? double.NaN : (Grafted - PreTrained) / (FineTuned - PreTrained);

    /// <summary>Skill retention, P_gamma / P_1; NaN if P_1 is 0.</summary>
    public double Retention => FineTuned == 0 ? double.NaN : Grafted / FineTuned;
}
