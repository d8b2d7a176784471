using SkillLoc.Models.Connectivity;
using SkillLoc.Models.NativeCalls;
using SkillLoc.Transforms;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Trainers;

/// <summary>Trains the control points of a curve at uniformly drawn positions.</summary>
internal sealed class CurveTraining(CurveTrainer.Options options, ComponentHost host, ParameterPath path)
    : PathTraining(options, host, path.CreateWalker(), path.Names, Controls(path))
{
    private double _place;

    /// <inheritdoc/>
    protected override void Move(Random places)
    {
        _place = places.NextDouble();
        path.MoveTo(Walker, _place);
    }

    /// <summary>By the chain rule, the gradient of a control point is that of the model times the point's weight.</summary>
    protected override void TakeGradients()
    {
        using IDisposable noGradients = no_grad();
        using var scope = NewDisposeScope();
        double[] weights = ParameterPath.Weights(path.Bends, _place);
        for (int i = 0; i < Values.Count; i++)
        {
            (int parameter, int control) = Math.DivRem(i, path.Bends);
            if (Walked[parameter].grad is not { } gradient)
            {
                continue;
            }

            Parameter value = Values[i].Value;
            if (value.grad is { } sum)
            {
                sum.Add_(gradient, weights[control + 1]);
            }
            else
            {
                value.grad = gradient.to(ScalarType.Float32).Mul(weights[control + 1]);
            }
        }

        foreach (Parameter parameter in Walked)
        {
            parameter.grad = null!;
        }
    }

    /// <inheritdoc/>
    protected override double Judge(EncodedDataset validation) => options.ValidationPlaces.Average(place =>
    {
        path.MoveTo(Walker, place);
        return validation.Metric(Walker);
    });

    /// <inheritdoc/>
    public override void Report(TrainingState state) =>
        options.Progress?.Report(new(state.Step, options.MaxSteps, _place, state.Loss, state.Metric));

    /// <summary>All control points of a parameter, then those of the next.</summary>
    private static IEnumerable<(string Name, Tensor Value)> Controls(ParameterPath path) =>
        path.Names.SelectMany(name => path.Controls(name).Select((control, i) => (ParameterPath.ControlName(name, i), control)));
}
