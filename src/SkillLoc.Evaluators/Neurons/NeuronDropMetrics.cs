using Microsoft.ML;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Neurons;
using SkillLoc.Transforms;

namespace SkillLoc.Evaluators;

/// <summary>The drop of a model's accuracy when skill neurons are perturbed, compared with random neurons (Wang et al. 2022, section
/// 4).</summary>
public sealed partial record NeuronDropMetrics
{
    /// <summary>Number of labelled rows.</summary>
    public required long Count { get; init; }

    /// <summary>The accuracy of the unperturbed model.</summary>
    public required double Accuracy { get; init; }

    /// <summary>The seed of random neurons and noise.</summary>
    public required int Seed { get; init; }

    /// <summary>The points of the curve, ordered by method, range of layers and fraction.</summary>
    public required IReadOnlyList<NeuronDropPoint> Points { get; init; }

    /// <summary>The points as rows, with the columns Method, LowLayer, HighLayer, Fraction, Neurons, Accuracy, ControlAccuracy and
    /// ControlDeviation.</summary>
    /// <param name="context">The context.</param>
    /// <returns>One row per point.</returns>
    public IDataView ToDataView(MLContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return context.Data.LoadFromEnumerable(Points);
    }
}

/// <summary>A point of an accuracy-drop curve.</summary>
/// <param name="Method">The name of the <see cref="PerturbationKind"/>.</param>
/// <param name="LowLayer">The first perturbed layer, zero-based.</param>
/// <param name="HighLayer">The layer after the last.</param>
/// <param name="Fraction">The share of each of these layers' neurons.</param>
/// <param name="Neurons">Number of perturbed neurons.</param>
/// <param name="Accuracy">The accuracy with the skill neurons perturbed.</param>
/// <param name="ControlAccuracy">The mean accuracy with equally many random neurons of each layer perturbed.</param>
/// <param name="ControlDeviation">The sample standard deviation of that over the draws.</param>
public sealed record NeuronDropPoint(
    string Method,
    int LowLayer,
    int HighLayer,
    double Fraction,
    int Neurons,
    double Accuracy,
    double ControlAccuracy,
    double ControlDeviation
);

public sealed partial record NeuronDropMetrics
{
    /// <summary>Options of accuracy-drop curves.</summary>
    public sealed class Options
    {
        /// <summary>The model, which is not changed.</summary>
        public TextScoringTransformer? Model;

        /// <summary>The probe result of the model, or of another model of the same shape.</summary>
        public NeuronProbeResult? Probe;

        /// <summary>The label column: a key, compared by value if it has values, or a text.</summary>
        public string LabelColumnName = "Label";

        /// <summary>The shares of each layer's neurons, in [0, 1].</summary>
        public IReadOnlyList<double> Fractions = [0, 0.01, 0.02, 0.05, 0.1, 0.2];

        /// <summary>The kinds of perturbation; Gaussian noise by default.</summary>
        public IReadOnlyList<PerturbationKind> Methods = [PerturbationKind.Gaussian];

        /// <summary>Ranges of layers, excluding the high one; null (default) for all layers.</summary>
        public IReadOnlyList<LayerRange>? LayerRanges;

        /// <summary>Standard deviation of the noise; 0.1 by default.</summary>
        public double Alpha = 0.1;

        /// <summary>Number of draws of random neurons per point, 5 or more (methods, D.6); 5 by default.</summary>
        public int Controls = 5;

        /// <summary>Seed of random neurons and noise; null (default) draws one from the context.</summary>
        public int? Seed;

        /// <summary>Cancels the evaluation with an <see cref="OperationCanceledException"/>, as does cancelling the context's
        /// execution.</summary>
        public CancellationToken CancellationToken;

        /// <exception cref="ArgumentException">An option is missing or out of its range.</exception>
        internal void Check()
        {
            if (Model is null || Probe is null)
            {
                throw new ArgumentException($"Options.{nameof(Model)} and Options.{nameof(Probe)} must be given.");
            }

            if (Controls < 5)
            {
                throw new ArgumentOutOfRangeException(nameof(Controls), Controls, $"Options.{nameof(Controls)} must be 5 or more draws.");
            }
        }
    }
}

/// <summary>Neighbouring layers.</summary>
/// <param name="Low">The first, from 0.</param>
/// <param name="High">The one after the last.</param>
public sealed record LayerRange(int Low, int High);

/// <summary>Measures accuracy-drop curves. Rows are encoded once and scored at every point.</summary>
internal sealed class NeuronDropCurve : IDisposable
{
    private readonly NeuronDropMetrics.Options _options;
    private readonly TextClassifier _classifier;
    private readonly EncodedDataset _rows;
    private readonly CancellationWatch _cancellation;
    private readonly int _seed;

    public NeuronDropCurve(MLContext context, IDataView data, NeuronDropMetrics.Options options)
    {
        _options = options;
        var host = new ComponentHost(context, nameof(SkillLocNeuronEvaluators.EvaluateNeuronDrop));
        _cancellation = host.Watch(options.CancellationToken);
        _seed = options.Seed ?? host.DrawSeed();
        _classifier = options.Model!.Classifier;
        if (!_classifier.Task.HasOneLabel)
        {
            throw new ArgumentException("Options.Model does not predict one label per row, which the accuracy needs.");
        }

        _rows = EncodedDataset.Read(data, options.Model.Columns, options.LabelColumnName, _classifier, "data");
    }

    public void Dispose() => _cancellation.Dispose();

    public NeuronDropMetrics Measure()
    {
        double plain = Accuracy(null);
        IReadOnlyList<LayerRange> ranges = _options.LayerRanges ?? [new(0, _classifier.Backbone.Config.Layers)];
        var points = new List<NeuronDropPoint>();
        foreach (PerturbationKind method in _options.Methods)
        {
            foreach ((int low, int high) in ranges)
            {
                points.AddRange(_options.Fractions.Select(fraction => Point(method, low, high, fraction, plain)));
            }
        }

        return new()
        {
            Count = _rows.Count,
            Accuracy = plain,
            Seed = _seed,
            Points = points,
        };
    }

    private NeuronDropPoint Point(PerturbationKind method, int low, int high, double fraction, double plain)
    {
        NeuronSet skill = _options.Probe!.Select(fraction).Within(low, high);
        if (skill.Count == 0)
        {
            return new(method.ToString(), low, high, fraction, 0, plain, plain, 0);
        }

        double accuracy = Perturbed(method, skill, _seed);
        double[] controls =
        [
            .. Enumerable.Range(1, _options.Controls).Select(draw => Perturbed(method, skill.RandomControl(_seed + draw), _seed + draw)),
        ];
        var random = DrawStatistics.Of(controls);
        return new(method.ToString(), low, high, fraction, skill.Count, accuracy, random.Mean, random.StandardDeviation);
    }

    private double Perturbed(PerturbationKind method, NeuronSet neurons, int seed)
    {
        // Thresholds of several subtasks are means over different rows of one model; the first does.
        using NeuronPerturbation perturbation = method switch
        {
            PerturbationKind.Zero => NeuronPerturbation.Zero(_classifier.Backbone, neurons),
            PerturbationKind.Mean => NeuronPerturbation.Mean(_classifier.Backbone, neurons, _options.Probe!.Thresholds[0]),
            _ => NeuronPerturbation.Gaussian(_classifier.Backbone, neurons, seed, _options.Alpha),
        };
        return Accuracy(perturbation);
    }

    private double Accuracy(NeuronPerturbation? perturbation)
    {
        _cancellation.ThrowIfRequested();

        // The same weights in a model of its own: other passes of the given one stay unperturbed.
        using TextClassifier own = _classifier.Clone(_ => true);
        perturbation?.AddTo(own.Backbone.Hooks);
        float[][] scores = own.Score(_rows.Texts, _cancellation.Token);
        return scores.Index().Count(row => TextClassifier.MostProbable(row.Item) == _rows.Targets[row.Index].Label) / (double)_rows.Count;
    }
}

/// <summary>Statistics of a metric over several draws of a random control, such as random masks; use at least 5 (methods, D.6).</summary>
/// <param name="Mean">The mean.</param>
/// <param name="StandardDeviation">The sample standard deviation, over n - 1; NaN for a single draw.</param>
/// <param name="Count">n, the number of draws.</param>
public sealed record DrawStatistics(double Mean, double StandardDeviation, int Count)
{
    /// <summary>Computes the statistics of draws.</summary>
    /// <param name="values">The metric of each draw.</param>
    /// <returns>Mean and standard deviation.</returns>
    /// <exception cref="ArgumentException">There are no draws.</exception>
    public static DrawStatistics Of(IReadOnlyCollection<double> values)
    {
        ArgumentNullException.ThrowIfNull(values);
        if (values.Count == 0)
        {
            throw new ArgumentException("There are no draws.", nameof(values));
        }

        double mean = values.Average();
        return new(mean, Math.Sqrt(values.Sum(value => (value - mean) * (value - mean)) / (values.Count - 1)), values.Count);
    }
}
