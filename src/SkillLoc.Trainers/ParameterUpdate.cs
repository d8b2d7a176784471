using static TorchSharp.torch;

namespace SkillLoc.Trainers;

/// <summary>
/// One update of the parameters (grafting reference, A.9). These are TorchSharp's own SGD and AdamW to rounding; written out here, their
/// state is plain tensors that a file holds exactly, whichever version of TorchSharp wrote it.
/// </summary>
internal static class ParameterUpdate
{
    private const double Beta1 = 0.9;
    private const double Beta2 = 0.999;
    private const double Epsilon = 1e-8;

    /// <summary>The learning rate: SGD's is constant; AdamW's rises linearly from 0 and falls linearly to 0.</summary>
    /// <param name="options">The options.</param>
    /// <param name="step">Updates done.</param>
    /// <param name="steps">Updates of the whole training.</param>
    public static double Rate(PromptFineTuneTrainer.Options options, int step, int steps)
    {
        if (options.Optimizer == OptimizerKind.Sgd)
        {
            return options.LearningRate;
        }

        double factor = step < options.WarmupSteps
            ? (double)step / options.WarmupSteps
            : (double)(steps - step) / Math.Max(1, steps - options.WarmupSteps);
        return factor * options.LearningRate;
    }

    /// <summary>Plain gradient descent; decay is part of the gradient. Uses the gradients up.</summary>
    public static void Sgd(IEnumerable<TrainedParameter> parameters, double rate, double decay)
    {
        using IDisposable noGradients = no_grad();
        foreach (TrainedParameter parameter in parameters)
        {
            using var scope = NewDisposeScope();
            if (parameter.Value.grad is not { } gradient)
            {
                continue;
            }

            if (decay > 0 && parameter.Decays)
            {
                gradient.add_(parameter.Value, decay);
            }

            parameter.Value.add_(gradient, -rate);
        }
    }

    /// <summary>AdamW (Loshchilov and Hutter 2019); the bias corrections are taken into the rate and into epsilon.</summary>
    /// <param name="parameters">Parameters with moments.</param>
    /// <param name="rate">The learning rate.</param>
    /// <param name="decay">The decoupled weight decay.</param>
    /// <param name="update">This update's number, from 1.</param>
    public static void AdamW(IEnumerable<TrainedParameter> parameters, double rate, double decay, int update)
    {
        using IDisposable noGradients = no_grad();
        double correction = Math.Sqrt(1 - Math.Pow(Beta2, update));
        double pace = rate * correction / (1 - Math.Pow(Beta1, update));
        foreach (TrainedParameter parameter in parameters)
        {
            using var scope = NewDisposeScope();
            if (parameter.Value.grad is not { } gradient)
            {
                continue;
            }

            (Tensor first, Tensor second) = parameter.Moments!.Value;
            if (decay > 0 && parameter.Decays)
            {
                parameter.Value.mul_(1 - (rate * decay));
            }

            first.mul_(Beta1).add_(gradient, 1 - Beta1);
            second.mul_(Beta2).addcmul_(gradient, gradient, 1 - Beta2);
            parameter.Value.addcdiv_(first, second.sqrt().add_(Epsilon * correction), -pace);
        }
    }
}
