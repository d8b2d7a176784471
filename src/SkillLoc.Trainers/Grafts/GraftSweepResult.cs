using Microsoft.ML;
using SkillLoc.Models.Grafts;

namespace SkillLoc.Trainers;

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
        return context.Data.LoadFromEnumerable<Row>(
        [
            Of("pre-trained", 0, 0, 0, PreTrained),
            .. Points.Select(point => Of("graft", point.Sparsity, point.Graft.Count, point.Graft.Share, point.Quality)),
            Of("fine-tuned", 1, Points.Count > 0 ? Points[0].Graft.ConsideredCount : 0, 1, FineTuned),
        ]);

        static Row Of(string model, double sparsity, long parameters, double share, GraftQuality quality) => new()
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
