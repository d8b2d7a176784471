using SkillLoc.Reports;

namespace SkillLoc;

/// <summary>Adds reports to the catalog.</summary>
public static class SkillLocReports
{
    /// <summary>Begins a report: one HTML file with pictures of results, and the same pictures as files.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="title">The report's title.</param>
    /// <param name="text">A paragraph below it; empty by default.</param>
    /// <param name="provenance">Where the numbers come from, for all pictures whose own provenance leaves it out.</param>
    /// <returns>The report, to which results are added.</returns>
    public static ReportBuilder Report(this SkillLocCatalog catalog, string title, string text = "", Provenance? provenance = null)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentException.ThrowIfNullOrEmpty(title);
        ArgumentNullException.ThrowIfNull(text);
        return new(catalog, title, text, provenance ?? new());
    }
}
