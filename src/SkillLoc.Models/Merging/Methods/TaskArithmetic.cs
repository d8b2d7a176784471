namespace SkillLoc.Models.Merging.Methods;

/// <summary>theta = theta_0 + lambda sum w_i tau_i (Ilharco et al. 2023). Negative weights forget.</summary>
internal sealed class TaskArithmetic : TaskVectorMethod
{
    public override string Name => "task_arithmetic";

    public override string Summary => "Adds the weighted differences from the base; a negative weight makes a model forget a task.";

    public override string Origin => "Ilharco et al. 2023, arXiv:2212.04089";

    public override IReadOnlyList<MergeParameter> Parameters { get; } =
    [MergeParameter.Weight(), MergeParameter.Lambda(), Normalize(false)];
}
