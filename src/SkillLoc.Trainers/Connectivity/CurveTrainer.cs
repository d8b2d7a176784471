using Microsoft.ML;
using SkillLoc.Models.Connectivity;
using SkillLoc.Models.Tuning;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Trainers;

/// <summary>
/// Finds a curve of low loss between two checkpoints: the control points of a Bezier curve between fixed endpoints are trained for low loss
/// at random positions (Garipov et al. 2018; methods, C.8).
/// </summary>
public sealed partial class CurveTrainer
{
    private readonly ComponentHost _host;
    private readonly Options _options;

    /// <summary>Creates a trainer.</summary>
    /// <param name="context">The context: its seed and its log are used.</param>
    /// <param name="options">The options.</param>
    /// <exception cref="ArgumentException">An option is missing or out of its range.</exception>
    public CurveTrainer(MLContext context, Options options)
    {
        ArgumentNullException.ThrowIfNull(context);
        ArgumentNullException.ThrowIfNull(options);
        options.Check();
        _host = new(context, nameof(CurveTrainer));
        _options = options;
    }

    /// <summary>Trains a curve.</summary>
    /// <param name="trainData">Rows with the label column and the text columns of the evaluated task's model.</param>
    /// <returns>The curve, for <c>EvaluateInterpolation</c>; the caller disposes it before the endpoints.</returns>
    /// <exception cref="ArgumentException">The ends differ in more than weights (the first five differences are named) or do not differ at
    /// all, a column is missing or of another type, or a label is not one of the task's.</exception>
    /// <exception cref="InvalidOperationException">There are no rows, a row cannot be encoded, training diverged, or the state file is of
    /// another run.</exception>
    /// <exception cref="InvalidDataException">The state file is damaged, or holds something else.</exception>
    /// <exception cref="IOException">An output cannot be written; nothing was trained.</exception>
    public ParameterPath Fit(IDataView trainData)
    {
        ArgumentNullException.ThrowIfNull(trainData);
        var options = (Options)_options.WithSeed(_host);
        using var scope = NewDisposeScope();
        var path = new ParameterPath(_options.First!.Classifier, _options.Second!.Classifier, _options.Task, _options.Bends);
        try
        {
            if (path.Names.Count == 0)
            {
                throw new ArgumentException("The two ends have the same weights, so there is no curve between them.");
            }

            Start(path, options.Seed!.Value);
            using var training = new CurveTraining(options, _host, path);
            training.Run(trainData);
            return path;
        }
        catch
        {
            path.Dispose();
            throw;
        }
    }

    private void Start(ParameterPath path, int seed)
    {
        if (_options.Start == ControlStart.Midpoint || _options.TaskEnd.Classifier.Backbone is not { Adaptation: { } adaptation } backbone)
        {
            return;
        }

        using IDisposable noGradients = no_grad();
        for (int i = 0; i < path.Bends; i++)
        {
            using Adaptation drawn = adaptation.Options.Create(backbone, (int)BatchGradients.Derive(seed, 4, i))!;
            foreach (string name in path.Names.Where(drawn.Parameters.ContainsKey))
            {
                path.Controls(name)[i].copy_(drawn.Parameters[name]);
            }
        }
    }
}
