using SkillLoc.Evaluators;
using SkillLoc.Models.Merging;
using SkillLoc.Reports.Pictures;

namespace SkillLoc.Reports;

public sealed partial class ReportBuilder
{
    /// <summary>A merged model on the tasks of the models that it was made of: accuracy, share of the single models', calibration; and, with
    /// a forecast, how it fits and where the models are in each other's way.</summary>
    /// <param name="title">The section's heading.</param>
    /// <param name="metrics">What <c>EvaluateMerge</c> measured.</param>
    /// <param name="provenance">Where the numbers come from; what it leaves out is the report's.</param>
    /// <returns>This report.</returns>
    /// <exception cref="ArgumentException">There is no task, or a forecast without cells.</exception>
    public ReportBuilder Add(string title, MergeMetrics metrics, Provenance? provenance = null)
    {
        ArgumentNullException.ThrowIfNull(metrics);
        return Add(title, new Dictionary<string, IReadOnlyList<MergeMetrics>>(StringComparer.Ordinal) { [""] = [metrics] }, provenance);
    }

    /// <summary>Several merges of the same models beside one another, as means over their runs.</summary>
    /// <param name="title">The section's heading.</param>
    /// <param name="merges">What <c>EvaluateMerge</c> measured of each merge, by its name: one for each run, such as one a seed.</param>
    /// <param name="provenance">Where the numbers come from; what it leaves out is the report's.</param>
    /// <returns>This report.</returns>
    /// <exception cref="ArgumentException">There is no merge, one has no task, or a forecast has no cells.</exception>
    public ReportBuilder Add(string title, IReadOnlyDictionary<string, IReadOnlyList<MergeMetrics>> merges, Provenance? provenance = null)
    {
        ArgumentNullException.ThrowIfNull(merges);
        return Add(title, MergePictures.Of(merges), provenance);
    }

    /// <summary>The interference board: where the changes of models that are to be merged clash, and which of them lose there.</summary>
    /// <param name="title">The section's heading.</param>
    /// <param name="forecast">What <c>ForecastMerge</c> says of the weights.</param>
    /// <param name="provenance">Where the numbers come from; what it leaves out is the report's.</param>
    /// <returns>This report.</returns>
    /// <exception cref="ArgumentException">There is no model or no cell, or a cell is of another number of models.</exception>
    public ReportBuilder Add(string title, MergeForecast forecast, Provenance? provenance = null)
    {
        ArgumentNullException.ThrowIfNull(forecast);
        return Add(title, MergePictures.Of(forecast), provenance);
    }
}
