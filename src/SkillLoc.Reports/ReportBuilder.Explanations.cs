using SkillLoc.Evaluators;
using SkillLoc.Models.Explanations;
using SkillLoc.Reports.Pictures;

namespace SkillLoc.Reports;

public sealed partial class ReportBuilder
{
    /// <summary>
    /// Texts with the scores of their tokens, as the transformer of <c>ExplainText</c> explains them, and the coordinates and neurons that
    /// carried the outputs. At most 30 texts are shown.
    /// </summary>
    /// <param name="title">The section's heading.</param>
    /// <param name="explanations">The explanations.</param>
    /// <param name="provenance">Where the numbers come from; what it leaves out is the report's.</param>
    /// <returns>This report.</returns>
    /// <exception cref="ArgumentException">There is no explanation.</exception>
    public ReportBuilder Add(string title, IReadOnlyList<TextExplanation> explanations, Provenance? provenance = null)
    {
        ArgumentNullException.ThrowIfNull(explanations);
        return Add(title, ExplanationPictures.Of(explanations), provenance);
    }

    /// <summary>Whether token scores are faithful: comprehensiveness and sufficiency against random tokens.</summary>
    /// <param name="title">The section's heading.</param>
    /// <param name="metrics">The metrics.</param>
    /// <param name="provenance">Where the numbers come from; what it leaves out is the report's.</param>
    /// <returns>This report.</returns>
    /// <exception cref="ArgumentException">There is no point.</exception>
    public ReportBuilder Add(string title, ExplanationMetrics metrics, Provenance? provenance = null)
    {
        ArgumentNullException.ThrowIfNull(metrics);
        return Add(title, ExplanationPictures.Of(metrics), provenance);
    }
}
