namespace SkillLoc.Models.Merging.Methods;

/// <summary>One model's tensors as they are, or scaled: with slices, a model of other models' layers.</summary>
internal sealed class Passthrough : MergeMethod
{
    public override string Name => "passthrough";

    public override string Summary => "Copies tensors, for models that are put together from slices.";

    public override string Origin => "mergekit";

    public override MergeBase Base => MergeBase.Unused;

    public override int MostModels => 1;

    public override IReadOnlyList<MergeParameter> Parameters { get; } = [new("scale", new(1), true, "What the tensor is multiplied by.")];

    internal override void Merge(MergeTensor tensor) => VectorMath.Multiply(tensor[0], (float)tensor.Number("scale", 0), tensor.Output);
}
