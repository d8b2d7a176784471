using Microsoft.ML;
using SkillLoc.Models.Connectivity;
using SkillLoc.Models.NativeCalls;
using static TorchSharp.torch;

namespace SkillLoc.Trainers;

/// <summary>
/// Trains a mixture of two checkpoints with one mixing weight per group of parameters (methods, C.8, "weight find").
/// </summary>
public sealed partial class MixtureTrainer
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
        using var scope = NewDisposeScope();
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
}
