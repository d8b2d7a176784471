using Microsoft.ML;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Connectivity;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Runtime;
using SkillLoc.Transforms;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Evaluators;

/// <summary>
/// Evaluates models over a plane in parameter space: through three models, or around one along two random, filter-normalised directions
/// (methods, C.10). Rows are encoded and batched once, and one model is moved over the plane in place.
/// </summary>
public sealed class LossPlaneEvaluator
{
    private static readonly string[] UsualNames = ["first", "second", "third"];

    private readonly ComponentHost _host;
    private readonly Options _options;

    /// <summary>Creates an evaluator.</summary>
    /// <param name="context">The context.</param>
    /// <param name="options">The options.</param>
    /// <exception cref="ArgumentException">An option is missing, out of its range, or does not go with another.</exception>
    public LossPlaneEvaluator(MLContext context, Options options)
    {
        ArgumentNullException.ThrowIfNull(context);
        ArgumentNullException.ThrowIfNull(options);
        options.Check();
        _host = new(context, nameof(LossPlaneEvaluator));
        _options = options;
    }

    /// <summary>Evaluates the plane.</summary>
    /// <returns>The points, and the models that it was made of.</returns>
    /// <exception cref="ArgumentException">The models differ in more than weights (the first five differences are named), they lie on a
    /// line, or a label is not one of the first model's.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or of another type.</exception>
    /// <exception cref="InvalidOperationException">There are no labelled rows, or a row cannot be encoded.</exception>
    /// <exception cref="OperationCanceledException">The operation was cancelled.</exception>
    public LossPlaneMetrics Evaluate()
    {
        using DisposeScope scope = NewDisposeScope();
        using CancellationWatch cancellation = _host.Watch(_options.CancellationToken);
        TextScoringTransformer first = _options.First!;
        using ParameterPlane plane = _options.Second is null
            ? ParameterPlane.Around(first.Classifier, _options.Seed)
            : ParameterPlane.Through(first.Classifier, _options.Second.Classifier, _options.Third!.Classifier);
        using EvaluationRows rows = Read(first);
        using TextClassifier walker = plane.CreateWalker(_options.Precision);
        (double X, double Y)[] models = plane.Models == 1 ? [(0, 0)] : [(0, 0), (plane.Length, 0), (plane.ThirdX, plane.ThirdY)];
        double[] xs = Axis(models.Select(model => model.X)),
            ys = Axis(models.Select(model => model.Y));
        int done = 0,
            all = models.Length + (xs.Length * ys.Length);
        var marks = new List<LossPlaneMark>();
        foreach ((int i, (double x, double y)) in models.Index())
        {
            plane.MoveToModel(walker, i);
            RowsEvaluation here = Evaluate();
            marks.Add(new((_options.Names ?? UsualNames)[i], x, y, here.Loss, here.Metric));
        }

        var points = new List<LossPlanePoint>();
        foreach (double y in ys)
        {
            foreach (double x in xs)
            {
                plane.MoveTo(walker, x, y);
                RowsEvaluation here = Evaluate();
                double accuracy = here.Scores.Length > 0 ? here.Scores.Count(score => score == 1) / (double)here.Scores.Length : double.NaN;
                points.Add(new(x, y, here.Loss, here.Metric, accuracy));
            }
        }

        ClassifierSettings settings = first.Classifier.Settings;
        return new()
        {
            Task = settings.Task.Length > 0 ? settings.Task : settings.TextToText?.Name ?? "",
            Metric = rows.MetricName,
            Axes = plane.Models == 1 ? LossPlaneAxes.Random : LossPlaneAxes.Models,
            Seed = plane.Models == 1 ? _options.Seed : null,
            Count = rows.Numbers.Length,
            X = xs,
            Y = ys,
            Points = points,
            Marks = marks,
        };

        RowsEvaluation Evaluate()
        {
            cancellation.ThrowIfRequested();
            RowsEvaluation evaluation = rows.Evaluate(walker, cancellation.Token);
            _options.Progress?.Report((double)++done / all);
            return evaluation;
        }
    }

    /// <summary>Places from the margin before the first model to that after the last, or from minus to plus the radius.</summary>
    private double[] Axis(IEnumerable<double> models)
    {
        double[] places = [.. models];
        double margin = places.Length == 1 ? _options.Radius : _options.Margin * (places.Max() - places.Min()),
            low = places.Min() - margin,
            high = places.Max() + margin;
        int last = _options.NumberOfPoints - 1;
        return [.. Enumerable.Range(0, last + 1).Select(i => ((low * (last - i)) + (high * i)) / last)];
    }

    private EvaluationRows Read(TextScoringTransformer first)
    {
        try
        {
            return new(_options.Data!, first, _options.LabelColumnName, _options.Metric, numberOfBins: 0);
        }
        catch (InvalidOperationException error)
        {
            throw new InvalidOperationException($"Options.{nameof(Options.Data)}: {error.Message}", error);
        }
    }

    /// <summary>Options for <see cref="LossPlaneEvaluator"/>.</summary>
    public sealed class Options
    {
        /// <summary>The model at the origin, whose task is evaluated: fine-tuned, tuned by a method, or grafted. It is not
        /// changed.</summary>
        public TextScoringTransformer? First;

        /// <summary>The model that the first axis leads to, of the same architecture, kind of tokenizer and tuning method; null (default)
        /// for a plane of random directions. It is not changed.</summary>
        public TextScoringTransformer? Second;

        /// <summary>The third model of the plane, off the line of the other two; null with <see cref="Second"/>. It is not
        /// changed.</summary>
        public TextScoringTransformer? Third;

        /// <summary>The labelled rows, with the text columns of the first model.</summary>
        public IDataView? Data;

        /// <summary>What the marks call the models, as many as there are; null (default) for first, second and third.</summary>
        public IReadOnlyList<string>? Names;

        /// <summary>Number of places along each axis, 2 or more; 21 by default, which are 441 points.</summary>
        public int NumberOfPoints = 21;

        /// <summary>How far a plane through models goes beyond them on each side, as a share of their extent, 0 or more; 0.25 by
        /// default.</summary>
        public double Margin = 0.25;

        /// <summary>How far a plane of random directions goes to each side, in multiples of them, above 0; 1 by default: rows of weights
        /// are moved by as much as they are long.</summary>
        public double Radius = 1;

        /// <summary>Seed of random directions; 1 by default.</summary>
        public int Seed = 1;

        /// <summary>The true label, as for <see cref="CheckpointInterpolationEvaluator.Options.LabelColumnName"/>.</summary>
        public string LabelColumnName = "Label";

        /// <summary>The metric, as for <see cref="CheckpointInterpolationEvaluator.Options.Metric"/>; null (default) for that of the
        /// task.</summary>
        public PromptMetric? Metric;

        /// <summary>The arithmetic of the passes; float32 by default.</summary>
        public Precision Precision;

        /// <summary>Receives the completed share of the work, from 0 to 1.</summary>
        public IProgress<double>? Progress;

        /// <summary>Cancels the evaluation with an <see cref="OperationCanceledException"/>, as does cancelling the context's
        /// execution.</summary>
        public CancellationToken CancellationToken;

        /// <exception cref="ArgumentException">An option is missing, out of its range, or does not go with another.</exception>
        internal void Check()
        {
            if (First is null || Data is null)
            {
                throw new ArgumentException($"Options.{nameof(First)} and Options.{nameof(Data)} must be given.");
            }

            if (Second is null != Third is null)
            {
                throw new ArgumentException(
                    $"Options.{nameof(Second)} and Options.{nameof(Third)} go together: a plane is through three models, or around one."
                );
            }

            if (NumberOfPoints < 2)
            {
                throw new ArgumentOutOfRangeException(
                    nameof(NumberOfPoints),
                    NumberOfPoints,
                    $"Options.{nameof(NumberOfPoints)} must be 2 or more."
                );
            }

            if (!(Margin >= 0 && double.IsFinite(Margin)))
            {
                throw new ArgumentOutOfRangeException(nameof(Margin), Margin, $"Options.{nameof(Margin)} must be 0 or more.");
            }

            if (!(Radius > 0 && double.IsFinite(Radius)))
            {
                throw new ArgumentOutOfRangeException(nameof(Radius), Radius, $"Options.{nameof(Radius)} must be above 0.");
            }

            int models = Second is null ? 1 : 3;
            if (Names is not null && Names.Count != models)
            {
                throw new ArgumentException(
                    FormattableString.Invariant($"Options.{nameof(Names)} has {Names.Count} names, and there are {models} models.")
                );
            }

            _ = Precision.ToScalarType();
        }
    }
}
