using Microsoft.ML;
using SkillLoc.Models.Connectivity;
using SkillLoc.Models.NativeCalls;
using SkillLoc.Transforms;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Trainers;

/// <summary>
/// Trains a mixture of two checkpoints with one mixing weight per group of parameters (methods, C.8, "weight find").
/// </summary>
public sealed class MixtureTrainer
{
    private readonly ComponentHost _host;
    private readonly Options _options;

    /// <summary>Creates a trainer.</summary>
    /// <param name="context">The context: its seed and its log are used.</param>
    /// <param name="options">The options.</param>
    /// <exception cref="ArgumentException">An option is missing or out of its range.</exception>
    public MixtureTrainer(MLContext context, Options options)
    {
        ArgumentNullException.ThrowIfNull(context);
        ArgumentNullException.ThrowIfNull(options);
        options.Check();
        _host = new(context, nameof(MixtureTrainer));
        _options = options;
    }

    /// <summary>Trains mixing weights.</summary>
    /// <param name="trainData">Rows with the label column and the text columns of the evaluated task's model.</param>
    /// <returns>The mixture, which needs the endpoints as long as it is applied to models.</returns>
    /// <exception cref="ArgumentException">The ends differ in more than weights (the first five differences are named) or do not differ at
    /// all, a column is missing or of another type, or a label is not one of the task's.</exception>
    /// <exception cref="InvalidOperationException">There are no rows, a row cannot be encoded, training diverged, or the state file is of
    /// another run.</exception>
    /// <exception cref="InvalidDataException">The state file is damaged, or holds something else.</exception>
    /// <exception cref="IOException">An output cannot be written; nothing was trained.</exception>
    public CheckpointMixture Fit(IDataView trainData)
    {
        ArgumentNullException.ThrowIfNull(trainData);
        var options = (Options)_options.WithSeed(_host);
        using DisposeScope scope = NewDisposeScope();
        var mixture = new CheckpointMixture(_options.First!.Classifier, _options.Second!.Classifier, _options.Granularity, _options.Task);
        if (mixture.Groups.Count == 0)
        {
            throw new ArgumentException("The two ends have the same weights, so there is nothing to mix.");
        }

        using var generator = new Generator((ulong)(uint)options.Seed!.Value);
        Tensor weights = randn(mixture.Groups.Count, generator: generator).Mul_(_options.InitialDeviation);
        using var training = new MixtureTraining(options, _host, mixture, weights);
        training.Run(trainData);
        return mixture;
    }

    /// <summary>Options for <see cref="MixtureTrainer"/> (methods, C.8).</summary>
    public sealed class Options : ConnectivityTrainerOptions
    {
        /// <summary>The groups of parameters that share a weight; blocks by default.</summary>
        public MixtureGranularity Granularity;

        /// <summary>Standard deviation of the initial weights around 0, 0 or more; 10 by default, as in the paper, where most groups start
        /// near one endpoint and leave a wrong one only after many updates. 0 starts with equal shares.</summary>
        public double InitialDeviation = 10;

        /// <summary>Receives a report after each update.</summary>
        public IProgress<TrainingProgress>? Progress;

        /// <summary>Creates options with the paper's learning rate and batch size.</summary>
        public Options()
        {
            LearningRate = 0.1;
            BatchSize = 8;
        }

        /// <inheritdoc/>
        internal override void Check()
        {
            base.Check();
            if (!(InitialDeviation >= 0) || !double.IsFinite(InitialDeviation))
            {
                throw new ArgumentOutOfRangeException(
                    nameof(InitialDeviation),
                    InitialDeviation,
                    $"Options.{nameof(InitialDeviation)} must be 0 or more."
                );
            }
        }
    }
}

/// <summary>Trains the weights of a mixture.</summary>
internal sealed class MixtureTraining(MixtureTrainer.Options options, ComponentHost host, CheckpointMixture mixture, Tensor weights)
    : PathTraining(options, host, mixture.CreateWalker(), [.. mixture.Groups.SelectMany(group => group.Parameters)], [("weights", weights)])
{
    /// <inheritdoc/>
    protected override void ValuesChanged()
    {
        mixture.SetWeights(weights.data<float>().ToArray());
        mixture.ApplyTo(Interpolated);
    }

    /// <inheritdoc/>
    protected override void AccumulateGradients()
    {
        using IDisposable noGradients = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Tensor part = tensor(Array.ConvertAll(mixture.Gradients(Interpolated), gradient => (float)gradient));
        Parameter value = Values[0].Value;
        value.grad = value.grad is { } sum ? sum.Add(part) : part;
        foreach (Parameter parameter in Walked)
        {
            parameter.grad = null!;
        }
    }

    /// <inheritdoc/>
    protected override double Judge(EncodedDataset validation) => validation.Metric(Interpolated);

    /// <inheritdoc/>
    public override void Report(TrainingState state) =>
        options.Progress?.Report(new(state.Step, options.MaxSteps, state.Loss, state.Metric, state.Rows / state.Seconds));
}
