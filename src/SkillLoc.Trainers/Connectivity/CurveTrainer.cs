using System.Globalization;
using Microsoft.ML;
using SkillLoc.Models.Connectivity;
using SkillLoc.Models.NativeCalls;
using SkillLoc.Models.Tuning;
using SkillLoc.Transforms;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Trainers;

/// <summary>
/// Finds a curve of low loss between two checkpoints: the control points of a Bezier curve between fixed endpoints are trained for low loss
/// at random positions (Garipov et al. 2018; methods, C.8).
/// </summary>
public sealed class CurveTrainer
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
        using DisposeScope scope = NewDisposeScope();
        var path = new ParameterPath(_options.First!.Classifier, _options.Second!.Classifier, _options.Task, _options.ControlPoints);
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
        if (_options.Start == ControlStart.Midpoint || _options.TaskEnd.Classifier.Backbone is not { PeftModule: { } adaptation } backbone)
        {
            return;
        }

        using IDisposable noGradients = no_grad();
        for (int i = 0; i < path.ControlPoints; i++)
        {
            using PeftModule drawn = adaptation.Options.Create(backbone, (int)BatchGradients.Derive(seed, 4, i))!;
            foreach (string name in path.Names.Where(drawn.Parameters.ContainsKey))
            {
                path.Controls(name)[i].copy_(drawn.Parameters[name]);
            }
        }
    }

    /// <summary>Options for <see cref="CurveTrainer"/> (methods, C.8). The first endpoint is at 0, the second at 1; one position is drawn
    /// per micro-batch.</summary>
    public sealed class Options : ConnectivityTrainerOptions
    {
        /// <summary>Number of control points, 1 or more; 1 by default.</summary>
        public int ControlPoints = 1;

        /// <summary>The initialisation of control points for the parameters of tuning methods; drawn by default.</summary>
        public ControlStart Start;

        /// <summary>The positions at which <see cref="ConnectivityTrainerOptions.ValidationSet"/> is evaluated, from 0 to 1; the mean
        /// metric selects the best state. For tuning methods, the paper's code uses 0.7725638477843416, 0.3729565378240084 and
        /// 0.5129354059597470 instead.</summary>
        public IReadOnlyList<double> ValidationPlaces = [0.25, 0.5, 0.75];

        /// <summary>Receives a report after each update.</summary>
        public IProgress<CurveProgress>? Progress;

        /// <inheritdoc/>
        internal override RunDescription Describe()
        {
            RunDescription run = base.Describe();
            run.Put(
                nameof(ValidationPlaces),
                string.Join(' ', ValidationPlaces.Select(place => place.ToString("R", CultureInfo.InvariantCulture)))
            );
            return run;
        }

        /// <inheritdoc/>
        internal override void Check()
        {
            base.Check();
            Positive(ControlPoints, nameof(ControlPoints));
            if (ValidationPlaces.Count == 0 || ValidationPlaces.Any(place => place is not (>= 0 and <= 1)))
            {
                throw new ArgumentException($"Options.{nameof(ValidationPlaces)} must be one or more places from 0 to 1.");
            }
        }
    }
}

/// <summary>The initialisation of control points for the parameters of tuning methods; those of other parameters start at the midpoint of
/// the endpoints.</summary>
public enum ControlStart
{
    /// <summary>Drawn like the method's initial parameters, such as a uniform A and a zero B in LoRA (methods, C.8; for adapters, the paper
    /// draws both projections: set <c>AdapterOptions.InitialUpDeviation</c>).</summary>
    Drawn,

    /// <summary>At the midpoint of the endpoints.</summary>
    Midpoint,
}

/// <summary>The progress of training a curve.</summary>
/// <param name="Step">Number of completed updates.</param>
/// <param name="Steps">Total number of updates.</param>
/// <param name="Place">The position of the last micro-batch on the curve.</param>
/// <param name="Loss">The mean loss of that micro-batch.</param>
/// <param name="Metric">The latest mean validation metric; null before the first.</param>
public sealed record CurveProgress(int Step, int Steps, double Place, double Loss, double? Metric);

/// <summary>Trains the control points of a curve at uniformly drawn positions.</summary>
internal sealed class CurveTraining(CurveTrainer.Options options, ComponentHost host, ParameterPath path)
    : PathTraining(options, host, path.CreateWalker(), path.Names, Controls(path))
{
    private double _place;

    /// <inheritdoc/>
    protected override void Move(Random places)
    {
        _place = places.NextDouble();
        path.MoveTo(Interpolated, _place);
    }

    /// <summary>By the chain rule, the gradient of a control point is that of the model times the point's weight.</summary>
    protected override void AccumulateGradients()
    {
        using IDisposable noGradients = no_grad();
        using DisposeScope scope = NewDisposeScope();
        double[] weights = ParameterPath.Weights(path.ControlPoints, _place);
        for (int i = 0; i < Values.Count; i++)
        {
            (int parameter, int control) = Math.DivRem(i, path.ControlPoints);
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
    protected override double Judge(EncodedDataset validation) =>
        options.ValidationPlaces.Average(place =>
        {
            path.MoveTo(Interpolated, place);
            return validation.Metric(Interpolated);
        });

    /// <inheritdoc/>
    public override void Report(TrainingState state) =>
        options.Progress?.Report(new(state.Step, options.MaxSteps, _place, state.Loss, state.Metric));

    /// <summary>All control points of a parameter, then those of the next.</summary>
    private static IEnumerable<(string Name, Tensor Value)> Controls(ParameterPath path) =>
        path.Names.SelectMany(name => path.Controls(name).Select((control, i) => (ParameterPath.ControlName(name, i), control)));
}
