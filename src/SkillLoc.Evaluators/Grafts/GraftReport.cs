using Microsoft.ML;
using SkillLoc.Models.Grafts;

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
        SetScoring preTrained,
        SetScoring fineTuned,
        IReadOnlyList<(GraftedModel Model, SetScoring Scoring)> grafted,
        int numberOfBins
    )
    {
        var before = CalibrationMetrics.Of(preTrained.Score().Rows, numberOfBins);
        ScoredSet target = fineTuned.Score();
        var after = CalibrationMetrics.Of(target.Rows, numberOfBins);
        return new() { Rows = [.. grafted.Select(each => Row(each.Model, each.Scoring))] };

        GraftReportRow Row(GraftedModel model, SetScoring scoring)
        {
            ScoredSet scored = scoring.Score();
            var metrics = CalibrationMetrics.Of(scored.Rows, numberOfBins);
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

/// <summary>Size and quality of a graft.</summary>
public sealed record GraftReportRow
{
    /// <summary>The graft's name in the report.</summary>
    public required string Graft { get; init; }

    /// <summary>The graft's task.</summary>
    public required string Task { get; init; }

    /// <summary>The requested sparsity, as a share of the considered scalars.</summary>
    public required double Sparsity { get; init; }

    /// <summary>Number of scalars in the graft.</summary>
    public required long Scalars { get; init; }

    /// <summary>The scalars in the graft as a share of the considered scalars.</summary>
    public required double Share { get; init; }

    /// <summary>The size of the graft's file in bytes.</summary>
    public required long FileBytes { get; init; }

    /// <summary>Number of labelled test rows.</summary>
    public required long Count { get; init; }

    /// <summary>The share of rows for which the grafted and the fine-tuned model predict the same label.</summary>
    public required double Agreement { get; init; }

    /// <summary>The pre-trained model's accuracy.</summary>
    public required double PreTrainedAccuracy { get; init; }

    /// <summary>The fine-tuned model's accuracy.</summary>
    public required double FineTunedAccuracy { get; init; }

    /// <summary>The grafted model's accuracy.</summary>
    public required double GraftedAccuracy { get; init; }

    /// <summary>Skill retention: the grafted model's accuracy over the fine-tuned one's; NaN if that is 0.</summary>
    public double Retention => FineTunedAccuracy == 0 ? double.NaN : GraftedAccuracy / FineTunedAccuracy;

    /// <summary>The pre-trained model's expected calibration error.</summary>
    public required double PreTrainedCalibrationError { get; init; }

    /// <summary>The fine-tuned model's expected calibration error.</summary>
    public required double FineTunedCalibrationError { get; init; }

    /// <summary>The grafted model's expected calibration error.</summary>
    public required double GraftedCalibrationError { get; init; }

    /// <summary>
    /// Relative reduction of the calibration error, (ECE_1 - ECE_gamma) / ECE_1; negative if it increased, NaN if that of the fine-tuned
    /// model is 0.
    /// </summary>
    public double CalibrationErrorReduction =>
        FineTunedCalibrationError == 0 ? double.NaN : (FineTunedCalibrationError - GraftedCalibrationError) / FineTunedCalibrationError;
}

/// <summary>A graft and a model with it applied, such as a <see cref="SkillLoc.Transforms.GraftTransformer"/> or a loaded chain.</summary>
/// <param name="Graft">The graft.</param>
/// <param name="Model">The model that scores rows.</param>
public sealed record GraftedModel(Graft Graft, ITransformer Model);
