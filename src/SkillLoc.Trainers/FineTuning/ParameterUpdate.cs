using SkillLoc.Models.NativeCalls;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Trainers;

/// <summary>
/// One update of the parameters (methods, A.9, C.2). Equal to TorchSharp's SGD and AdamW, and to Adafactor in transformers, except for
/// rounding. Implemented here so that their state is plain tensors, which files store exactly, independent of TorchSharp's version.
/// </summary>
internal static class ParameterUpdate
{
    private const double Beta1 = 0.9;
    private const double Beta2 = 0.999;
    private const double Epsilon = 1e-8;
    private const double SquareFloor = 1e-30;
    private const double SquareDecay = -0.8;

    /// <summary>Applies one update of an optimiser. May overwrite the gradients.</summary>
    /// <param name="kind">The optimiser.</param>
    /// <param name="parameters">Parameters with its <see cref="TrainedParameter.AddMoments">moments</see>.</param>
    /// <param name="rate">The learning rate.</param>
    /// <param name="decay">The weight decay.</param>
    /// <param name="update">This update's number, from 1.</param>
    public static void Apply(OptimizerKind kind, IEnumerable<TrainedParameter> parameters, double rate, double decay, int update)
    {
        switch (kind)
        {
            case OptimizerKind.Sgd:
                Sgd(parameters, rate, decay);
                break;
            case OptimizerKind.Adafactor:
                Adafactor(parameters, rate, decay, update);
                break;
            default:
                AdamW(parameters, rate, decay, update);
                break;
        }
    }

    /// <summary>Returns the learning rate: SGD's and Adafactor's are constant; AdamW's rises linearly from 0 and falls linearly to
    /// 0.</summary>
    /// <param name="options">The options.</param>
    /// <param name="step">Number of completed updates.</param>
    /// <param name="steps">Total number of updates.</param>
    public static double Rate(PromptFineTuneTrainer.Options options, int step, int steps)
    {
        if (options.Optimizer != OptimizerKind.AdamW)
        {
            return options.LearningRate;
        }

        double factor =
            step < options.WarmupSteps
                ? (double)step / options.WarmupSteps
                : (double)(steps - step) / Math.Max(1, steps - options.WarmupSteps);
        return factor * options.LearningRate;
    }

    /// <summary>Plain gradient descent; decay is part of the gradient. Overwrites the gradients.</summary>
    public static void Sgd(IEnumerable<TrainedParameter> parameters, double rate, double decay)
    {
        using IDisposable noGradients = no_grad();
        foreach (TrainedParameter parameter in parameters)
        {
            using DisposeScope scope = NewDisposeScope();
            if (parameter.Value.grad is not { } gradient)
            {
                continue;
            }

            if (decay > 0 && parameter.Decays)
            {
                gradient.Add_(parameter.Value, decay);
            }

            parameter.Value.Add_(gradient, -rate);
        }
    }

    /// <summary>AdamW (Loshchilov and Hutter 2019).</summary>
    /// <param name="parameters">Parameters with moments.</param>
    /// <param name="rate">The learning rate.</param>
    /// <param name="decay">The decoupled weight decay.</param>
    /// <param name="update">This update's number, from 1.</param>
    /// <param name="beta2">The decay rate of the mean of squares.</param>
    public static void AdamW(IEnumerable<TrainedParameter> parameters, double rate, double decay, int update, double beta2 = Beta2)
    {
        using IDisposable noGradients = no_grad();
        using DisposeScope scope = NewDisposeScope();
        foreach (
            IGrouping<bool, TrainedParameter> group in parameters
                .Where(parameter => parameter.Value.grad is not null)
                .GroupBy(parameter => parameter.Decays)
        )
        {
            TrainedParameter[] some = [.. group];
            FusedAdamW.Update(
                [.. some.Select(parameter => parameter.Value)],
                [.. some.Select(parameter => parameter.Value.grad!)],
                [.. some.Select(parameter => parameter.Moments!.Value.First)],
                [.. some.Select(parameter => parameter.Moments!.Value.Second)],
                update,
                rate,
                group.Key ? decay : 0,
                Beta1,
                beta2,
                Epsilon
            );
        }
    }

    /// <summary>
    /// Adafactor (Shazeer and Stern 2018, algorithms 4 and 5) with a given rate, no momentum and decoupled decay. Overwrites the gradients.
    /// </summary>
    /// <remarks>Our own since TorchSharp 0.107 has none among its optimizers.</remarks>
    /// <param name="parameters">Parameters with squares.</param>
    /// <param name="rate">The absolute learning rate.</param>
    /// <param name="decay">The decoupled weight decay.</param>
    /// <param name="update">This update's number, from 1.</param>
    public static void Adafactor(IEnumerable<TrainedParameter> parameters, double rate, double decay, int update)
    {
        using IDisposable noGradients = no_grad();

        // The first update's is 1: the means start from its squares, and need no correction.
        double share = Math.Pow(update, SquareDecay);
        foreach (TrainedParameter parameter in parameters)
        {
            using DisposeScope scope = NewDisposeScope();
            if (parameter.Value.grad is not { } gradient)
            {
                continue;
            }

            (Tensor rows, Tensor? columns) = parameter.Squares!.Value;
            Tensor squares = gradient.Square().Add_(SquareFloor);
            if (columns is null)
            {
                rows.Mul_(1 - share).Add_(squares, share);
                gradient.mul_(rows.rsqrt());
            }
            else
            {
                rows.Mul_(1 - share).Add_(squares.mean([-1]), share);
                columns.Mul_(1 - share).Add_(squares.mean([-2]), share);
                gradient.mul_((rows / rows.mean([-1], keepdim: true)).rsqrt_().unsqueeze_(-1)).mul_(columns.rsqrt().unsqueeze_(-2));
            }

            // The update's root mean square is at most 1.
            gradient.div_(gradient.norm().Div_(Math.Sqrt(gradient.numel())).ClampMin_(1));
            if (decay > 0 && parameter.Decays)
            {
                parameter.Value.Mul_(1 - (rate * decay));
            }

            parameter.Value.Add_(gradient, -rate);
        }
    }
}
