using Microsoft.ML;

namespace SkillLoc.Evaluators;

/// <summary>Grafts compared with their base and fine-tuned models (Panigrahi et al. 2023; methods, A.13).</summary>
public sealed record GraftReport
{
    /// <summary>One row per graft.</summary>
    public required IReadOnlyList<GraftReportRow> Rows { get; init; }

    /// <summary>Returns the rows, with one column per property of <see cref="GraftReportRow"/>.</summary>
    /// <param name="context">The context.</param>
    /// <returns>One row per graft.</returns>
    public IDataView ToDataView(MLContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return context.Data.LoadFromEnumerable(Rows);
    }

    internal static GraftReport Of(
        SetScoring preTrained, SetScoring fineTuned, IReadOnlyList<(GraftedModel Model, SetScoring Scoring)> grafted, int numberOfBins)
    {
        CalibrationMetrics before = CalibrationMetrics.Of(preTrained.Score().Rows, numberOfBins);
        ScoredSet target = fineTuned.Score();
        CalibrationMetrics after = CalibrationMetrics.Of(target.Rows, numberOfBins);
        return new() { Rows = [.. grafted.Select(each => Row(each.Model, each.Scoring))] };

        GraftReportRow Row(GraftedModel model, SetScoring scoring)
        {
            ScoredSet scored = scoring.Score();
            CalibrationMetrics metrics = CalibrationMetrics.Of(scored.Rows, numberOfBins);
            using var file = new MemoryStream();
            model.Graft.Save(file);
            return new()
            {
                Graft = scoring.Model,
                Task = model.Graft.Task,
                Sparsity = model.Graft.Sparsity,
                Scalars = model.Graft.Count,
                Share = model.Graft.Share,
                FileBytes = file.Length,
                Count = metrics.Count,
                Agreement = AgreementMetrics.Of(scored.Predictions.Zip(target.Predictions)).Agreement,
                PreTrainedAccuracy = before.Accuracy,
                FineTunedAccuracy = after.Accuracy,
                GraftedAccuracy = metrics.Accuracy,
                PreTrainedCalibrationError = before.ExpectedCalibrationError,
                FineTunedCalibrationError = after.ExpectedCalibrationError,
                GraftedCalibrationError = metrics.ExpectedCalibrationError,
            };
        }
    }
}
