using SkillLoc.Models.Connectivity;
using SkillLoc.Models.NativeCalls;
using SkillLoc.Transforms;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Trainers;

/// <summary>Trains the weights of a mixture.</summary>
internal sealed class MixtureTraining(MixtureTrainer.Options options, ComponentHost host, CheckpointMixture mixture, Tensor weights)
    : PathTraining(options, host, mixture.CreateWalker(), [.. mixture.Groups.SelectMany(group => group.Parameters)], [("weights", weights)])
{
    /// <inheritdoc/>
    protected override void ValuesChanged()
    {
        mixture.SetWeights(weights.data<float>().ToArray());
        mixture.ApplyTo(Walker);
    }

    /// <inheritdoc/>
    protected override void TakeGradients()
    {
        using IDisposable noGradients = no_grad();
        using var scope = NewDisposeScope();
        Tensor part = tensor(Array.ConvertAll(mixture.Gradients(Walker), gradient => (float)gradient));
        Parameter value = Values[0].Value;
        value.grad = value.grad is { } sum ? sum.Add(part) : part;
        foreach (Parameter parameter in Walked)
        {
            parameter.grad = null!;
        }
    }

    /// <inheritdoc/>
    protected override double Judge(EncodedDataset validation) => validation.Metric(Walker);

    /// <inheritdoc/>
    public override void Report(TrainingState state) =>
        options.Progress?.Report(new(state.Step, options.MaxSteps, state.Loss, state.Metric, state.Rows / state.Seconds));
}
