using Microsoft.ML;

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
