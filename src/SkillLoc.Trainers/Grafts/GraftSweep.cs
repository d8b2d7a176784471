using Microsoft.ML;
using Microsoft.ML.Runtime;
using SkillLoc.Models.Grafts;

namespace SkillLoc.Trainers;

/// <summary>
/// Finds grafts of several sparsities (the paper's figures over sparsity). Models are loaded, rows encoded, movements ranked and the
/// pre-trained and fine-tuned models evaluated once; grafts are exchanged in place. Each graft equals, bit for bit, the one that
/// <see cref="GraftMaskEstimator"/> finds for its sparsity. Each mask is trained separately, so with epochs, the cost is proportional to
/// the number of sparsities.
/// </summary>
public sealed class GraftSweep
{
    private readonly ComponentHost _host;
    private readonly GraftMaskEstimator.Options _options;
    private readonly double[] _sparsities;

    internal GraftSweep(SkillLocCatalog catalog, GraftMaskEstimator.Options options, IEnumerable<double> sparsities)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(sparsities);
        options.Check();
        _sparsities = [.. sparsities];
        if (_sparsities.Length == 0 || _sparsities.Any(sparsity => sparsity is not (>= 0 and <= 1)))
        {
            throw new ArgumentOutOfRangeException(
                nameof(sparsities),
                string.Join(", ", _sparsities),
                "A sweep needs one sparsity or more, each of them in [0, 1]."
            );
        }

        if (options.BasePatch is BasePatchKind.Biases or BasePatchKind.Layer or BasePatchKind.Loaded or BasePatchKind.Empty)
        {
            throw new ArgumentException(
                $"With Options.BasePatch = {options.BasePatch} the sparsity does not matter; there is nothing to sweep.",
                nameof(options)
            );
        }

        _host = new(catalog.Context, nameof(GraftSweep));
        _options = options;
    }

    /// <summary>Finds and evaluates the grafts.</summary>
    /// <param name="input">The training view, as for <see cref="GraftMaskEstimator.Fit"/>.</param>
    /// <returns>The grafts in the order of the sparsities; fewer if cancelled.</returns>
    /// <exception cref="ArgumentException">A column is missing or of another type, or a label is not one of the task's.</exception>
    /// <exception cref="InvalidOperationException">There are no rows, or a row cannot be encoded.</exception>
    /// <exception cref="InvalidDataException">The base checkpoint is damaged, or of another architecture than the fine-tuned
    /// model.</exception>
    /// <exception cref="IOException">An output cannot be written; nothing was trained.</exception>
    public GraftSweepResult Run(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        using CancellationWatch cancellation = _host.Watch(_options.CancellationToken);
        using IChannel channel = _host.Start("Training");
        using var training = new GraftTraining(_host, channel, _options, _sparsities, input);
        GraftQuality preTrained = training.MeasureBase(),
            fineTuned = training.MeasureFineTuned();
        training.Rank(_sparsities.Max());
        var points = new List<GraftSweepPoint>();
        foreach (double sparsity in _sparsities)
        {
            if (cancellation.IsRequested)
            {
                break;
            }

            Models.Grafts.Graft graft = training.Find(sparsity);
            points.Add(new(sparsity, graft, training.Measure(graft)));
        }

        return new(preTrained, fineTuned, points);
    }
}

/// <summary>The result of a sweep over sparsities.</summary>
/// <param name="PreTrained">The base model's metrics, with the fine-tuned head if there is one.</param>
/// <param name="FineTuned">The fine-tuned model's metrics.</param>
/// <param name="Points">The grafts, in the order of the requested sparsities.</param>
public sealed record GraftSweepResult(GraftQuality PreTrained, GraftQuality FineTuned, IReadOnlyList<GraftSweepPoint> Points)
{
    /// <summary>Returns the results as rows: the pre-trained model, the grafts, the fine-tuned model.</summary>
    /// <param name="context">The context that the view belongs to.</param>
    /// <returns>
    /// Columns Model (text: pre-trained, graft or fine-tuned), Sparsity, Parameters (the graft's scalars), Share (of those considered),
    /// Training and Validation (the task's metric; NaN without a validation set).
    /// </returns>
    public IDataView ToDataView(MLContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return context.Data.LoadFromEnumerable<Row>([
            Of("pre-trained", 0, 0, 0, PreTrained),
            .. Points.Select(point => Of("graft", point.Sparsity, point.Graft.Count, point.Graft.Share, point.Quality)),
            Of("fine-tuned", 1, Points.Count > 0 ? Points[0].Graft.ConsideredCount : 0, 1, FineTuned),
        ]);

        static Row Of(string model, double sparsity, long parameters, double share, GraftQuality quality) =>
            new()
            {
                Model = model,
                Sparsity = sparsity,
                Parameters = parameters,
                Share = share,
                Training = quality.Training,
                Validation = quality.Validation ?? double.NaN,
            };
    }

    private sealed class Row
    {
        public string Model { get; set; } = "";

        public double Sparsity { get; set; }

        public long Parameters { get; set; }

        public double Share { get; set; }

        public double Training { get; set; }

        public double Validation { get; set; }
    }
}

/// <summary>The result for one sparsity of a sweep.</summary>
/// <param name="Sparsity">The base patch's share of the considered parameters.</param>
/// <param name="Graft">The graft.</param>
/// <param name="Quality">The grafted model's metrics, on the same rows as for other sparsities.</param>
public sealed record GraftSweepPoint(double Sparsity, Graft Graft, GraftQuality Quality);

/// <summary>The metrics of a model.</summary>
/// <param name="Training">The metric on as many training rows as an epoch of mask training uses, the same for every model.</param>
/// <param name="Validation">The metric on the validation set; null if there is none.</param>
public sealed record GraftQuality(double Training, double? Validation)
{
    /// <summary>The measures as a graft carries them.</summary>
    /// <param name="epoch">The epoch of the mask's training after which they were taken.</param>
    internal IReadOnlyDictionary<string, double> Metrics(int epoch)
    {
        var metrics = new Dictionary<string, double>(StringComparer.Ordinal) { ["epoch"] = epoch, ["train"] = Training };
        if (Validation is { } validation)
        {
            metrics["validation"] = validation;
        }

        return metrics;
    }
}
