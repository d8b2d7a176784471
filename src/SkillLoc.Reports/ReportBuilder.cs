using System.Globalization;
using Microsoft.ML;
using SkillLoc.Evaluators;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Reports.Drawing;
using SkillLoc.Reports.Page;
using SkillLoc.Reports.Pictures;

namespace SkillLoc.Reports;

/// <summary>
/// A report: results are added to it, and it is written as one HTML file without scripts and without anything from elsewhere, for light
/// and dark screens, phones and paper. The same results give the same bytes on machines with the same fonts.
/// </summary>
public sealed partial class ReportBuilder
{
    private readonly SkillLocCatalog _catalog;
    private readonly string _title,
        _text;
    private readonly Provenance _provenance;
    private readonly List<Section> _sections = [];
    private int _pictures;

    internal ReportBuilder(SkillLocCatalog catalog, string title, string text, Provenance provenance)
    {
        (_catalog, _title, _text, _provenance) = (catalog, title, text, provenance);
    }

    /// <summary>Adds a paragraph under a heading.</summary>
    /// <param name="title">The heading.</param>
    /// <param name="text">The paragraph.</param>
    /// <returns>This report.</returns>
    public ReportBuilder AddText(string title, string text)
    {
        ArgumentException.ThrowIfNullOrEmpty(title);
        ArgumentNullException.ThrowIfNull(text);
        _sections.Add(new(title, text, []));
        return this;
    }

    /// <summary>Measures the calibration of scored rows, with and without bins, and adds it.</summary>
    /// <param name="title">The section's heading.</param>
    /// <param name="scored">Scored rows of any trainer, as for <see cref="SkillLocEvaluators.EvaluateCalibration"/>.</param>
    /// <param name="labelColumnName">The true label.</param>
    /// <param name="scoreColumnName">The probabilities.</param>
    /// <param name="seed">Seed of the resamples; 1 by default, so that a report is the same each time.</param>
    /// <param name="provenance">Where the numbers come from; what it leaves out is the report's.</param>
    /// <returns>This report.</returns>
    /// <inheritdoc cref="SkillLocEvaluators.EvaluateCalibration" path="/exception"/>
    public ReportBuilder AddCalibration(
        string title,
        IDataView scored,
        string labelColumnName = "Label",
        string scoreColumnName = "Score",
        int seed = 1,
        Provenance? provenance = null
    ) =>
        Add(
            title,
            _catalog.EvaluateCalibration(scored, labelColumnName, scoreColumnName),
            _catalog.Evaluation.EvaluateSmoothCalibration(scored, labelColumnName, scoreColumnName, seed: seed),
            provenance
        );

    /// <summary>The report as a page.</summary>
    /// <returns>HTML.</returns>
    /// <exception cref="InvalidOperationException">Nothing was added, or the page would be larger than 2 MB.</exception>
    public string ToHtml() => System.Text.Encoding.UTF8.GetString(Page());

    /// <summary>Writes the report as one HTML file.</summary>
    /// <param name="path">The file, whose folder is created if missing; an existing file is replaced once the new one is complete.</param>
    /// <exception cref="InvalidOperationException">Nothing was added, or the page would be larger than 2 MB.</exception>
    /// <exception cref="IOException">It could not be written; an existing file is unchanged.</exception>
    public void Save(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        AtomicFile.CheckWritable(path);
        byte[] page = Page();
        AtomicFile.Write(path, stream => stream.Write(page));
    }

    /// <summary>Writes each picture as SVG and PNG, with its foot, and its numbers as CSV; names are numbered as on the page.</summary>
    /// <param name="folder">The folder; created if missing. Files of the same names are replaced.</param>
    /// <returns>The files that were written.</returns>
    /// <exception cref="IOException">A file could not be written.</exception>
    public IReadOnlyList<string> SaveFiles(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        Directory.CreateDirectory(folder);
        var files = new List<string>();
        foreach (Picture picture in _sections.SelectMany(section => section.Pictures))
        {
            Write(picture.Name + ".csv", picture.Table.Csv());
            if (picture.Draw is not null)
            {
                Write(picture.Name + ".svg", System.Text.Encoding.UTF8.GetBytes(Svg.Document(picture)));
                Write(picture.Name + ".png", picture.Png());
            }
        }

        return files;

        void Write(string name, byte[] bytes)
        {
            string path = Path.Join(folder, name);
            AtomicFile.Write(path, stream => stream.Write(bytes));
            files.Add(path);
        }
    }

    private ReportBuilder Add(string title, IEnumerable<Picture> pictures, Provenance? provenance)
    {
        ArgumentException.ThrowIfNullOrEmpty(title);
        Picture[] drawn = [.. pictures];
        _sections.Add(
            new(
                title,
                "",
                [
                    .. drawn.Select(picture =>
                        picture with
                        {
                            Provenance = (provenance ?? new()).Or(picture.Provenance).Or(_provenance),
                            Name = string.Create(CultureInfo.InvariantCulture, $"{++_pictures:00}-{Words.Slug(picture.Title)}"),
                        }
                    ),
                ]
            )
        );
        return this;
    }

    private byte[] Page() =>
        _sections.Count > 0
            ? HtmlPage.Write(_title, _text, _sections, _provenance.Lines("those of each picture"))
            : throw new InvalidOperationException("The report is empty: add results first.");
}
