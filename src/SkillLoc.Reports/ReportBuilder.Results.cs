using Microsoft.ML.Data;
using SkillLoc.Evaluators;
using SkillLoc.Models.Cartography;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Neurons;
using SkillLoc.Reports.Drawing;
using SkillLoc.Reports.Pictures;
using SkillLoc.Trainers;

namespace SkillLoc.Reports;

public sealed partial class ReportBuilder
{
    /// <summary>Calibration of a model: a reliability diagram, and a histogram of its confidences.</summary>
    /// <param name="title">The section's heading.</param>
    /// <param name="metrics">The binned metrics.</param>
    /// <param name="smooth">smECE and its curve, of the same rows; null for none.</param>
    /// <param name="provenance">Where the numbers come from; what it leaves out is the report's.</param>
    /// <returns>This report.</returns>
    /// <exception cref="ArgumentException">The metrics are of no row.</exception>
    public ReportBuilder Add(
        string title,
        CalibrationMetrics metrics,
        SmoothCalibrationMetrics? smooth = null,
        Provenance? provenance = null
    )
    {
        ArgumentNullException.ThrowIfNull(metrics);
        return Add(title, CalibrationPictures.Of(metrics, smooth), provenance);
    }

    /// <summary>ML.NET's metrics of a classifier, with its confusion matrix.</summary>
    /// <param name="title">The section's heading.</param>
    /// <param name="metrics">The metrics.</param>
    /// <param name="labels">The labels' names in the order of the matrix, which ML.NET keeps to itself; null numbers them.</param>
    /// <param name="provenance">Where the numbers come from; what it leaves out is the report's.</param>
    /// <returns>This report.</returns>
    /// <exception cref="ArgumentException">There are other labels than classes, or no class.</exception>
    public ReportBuilder Add(
        string title,
        MulticlassClassificationMetrics metrics,
        IReadOnlyList<string>? labels = null,
        Provenance? provenance = null
    )
    {
        ArgumentNullException.ThrowIfNull(metrics);
        return Add(title, ModelPictures.Of(metrics, labels), provenance);
    }

    /// <summary>ML.NET's metrics of a binary classifier, with its confusion matrix.</summary>
    /// <param name="title">The section's heading.</param>
    /// <param name="metrics">The metrics.</param>
    /// <param name="labels">The names of the positive and the negative label; null for true and false.</param>
    /// <param name="provenance">Where the numbers come from; what it leaves out is the report's.</param>
    /// <returns>This report.</returns>
    /// <exception cref="ArgumentException">There are other than two labels.</exception>
    public ReportBuilder Add(
        string title,
        BinaryClassificationMetrics metrics,
        IReadOnlyList<string>? labels = null,
        Provenance? provenance = null
    )
    {
        ArgumentNullException.ThrowIfNull(metrics);
        return Add(title, ModelPictures.Of(metrics, labels), provenance);
    }

    /// <summary>ML.NET's metrics of a regression, as a table.</summary>
    /// <param name="title">The section's heading.</param>
    /// <param name="metrics">The metrics.</param>
    /// <param name="provenance">Where the numbers come from; what it leaves out is the report's.</param>
    /// <returns>This report.</returns>
    public ReportBuilder Add(string title, RegressionMetrics metrics, Provenance? provenance = null)
    {
        ArgumentNullException.ThrowIfNull(metrics);
        return Add(title, [ModelPictures.Of(metrics)], provenance);
    }

    /// <summary>Models on other distributions than they were trained on.</summary>
    /// <param name="title">The section's heading.</param>
    /// <param name="metrics">The metrics.</param>
    /// <param name="provenance">Where the numbers come from; what it leaves out is the report's.</param>
    /// <returns>This report.</returns>
    /// <exception cref="ArgumentException">There is no entry.</exception>
    public ReportBuilder Add(string title, OutOfDistributionMetrics metrics, Provenance? provenance = null)
    {
        ArgumentNullException.ThrowIfNull(metrics);
        return Add(title, [ModelPictures.Of(metrics)], provenance);
    }

    /// <summary>A sweep over sparsities: the metric and the share of the gain that grafts keep.</summary>
    /// <param name="title">The section's heading.</param>
    /// <param name="sweep">The sweep.</param>
    /// <param name="provenance">Where the numbers come from; what it leaves out is the report's.</param>
    /// <returns>This report.</returns>
    /// <exception cref="ArgumentException">There is no graft.</exception>
    public ReportBuilder Add(string title, GraftSweepResult sweep, Provenance? provenance = null)
    {
        ArgumentNullException.ThrowIfNull(sweep);
        return Add(title, GraftPictures.Of(new Dictionary<string, GraftSweepResult>(StringComparer.Ordinal) { [""] = sweep }), provenance);
    }

    /// <summary>Sweeps of one task that differ in their seed: means, with their spread.</summary>
    /// <param name="title">The section's heading.</param>
    /// <param name="runs">The sweeps by seed or another name.</param>
    /// <param name="provenance">Where the numbers come from; what it leaves out is the report's.</param>
    /// <returns>This report.</returns>
    /// <exception cref="ArgumentException">There is no graft.</exception>
    public ReportBuilder Add(string title, IReadOnlyDictionary<string, GraftSweepResult> runs, Provenance? provenance = null)
    {
        ArgumentNullException.ThrowIfNull(runs);
        return Add(title, GraftPictures.Of(runs), provenance);
    }

    /// <summary>Grafts compared with their base and fine-tuned models.</summary>
    /// <param name="title">The section's heading.</param>
    /// <param name="report">The comparison.</param>
    /// <param name="provenance">Where the numbers come from; what it leaves out is the report's.</param>
    /// <returns>This report.</returns>
    /// <exception cref="ArgumentException">There is no graft.</exception>
    public ReportBuilder Add(string title, GraftReport report, Provenance? provenance = null)
    {
        ArgumentNullException.ThrowIfNull(report);
        return Add(title, GraftPictures.Of(report), provenance);
    }

    /// <summary>Where a graft lies: its density by layer and kind of weight.</summary>
    /// <param name="title">The section's heading.</param>
    /// <param name="spread">The graft's distribution.</param>
    /// <param name="provenance">Where the numbers come from; what it leaves out is the report's.</param>
    /// <returns>This report.</returns>
    /// <exception cref="ArgumentException">No parameter is considered.</exception>
    public ReportBuilder Add(string title, GraftSpreadMetrics spread, Provenance? provenance = null)
    {
        ArgumentNullException.ThrowIfNull(spread);
        return Add(title, [SkillMapPictures.Of(spread)], provenance);
    }

    /// <summary>The skill map: where a graft lies, and what each part of it is worth.</summary>
    /// <param name="title">The section's heading.</param>
    /// <param name="cells">The graft's cells.</param>
    /// <param name="provenance">Where the numbers come from; what it leaves out is the report's.</param>
    /// <returns>This report.</returns>
    /// <exception cref="ArgumentException">There is no cell.</exception>
    public ReportBuilder Add(string title, GraftCellMetrics cells, Provenance? provenance = null)
    {
        ArgumentNullException.ThrowIfNull(cells);
        return Add(title, SkillMapPictures.Of(cells), provenance);
    }

    /// <summary>The overlap of grafts.</summary>
    /// <param name="title">The section's heading.</param>
    /// <param name="overlap">The overlaps.</param>
    /// <param name="provenance">Where the numbers come from; what it leaves out is the report's.</param>
    /// <returns>This report.</returns>
    public ReportBuilder Add(string title, GraftOverlapMetrics overlap, Provenance? provenance = null)
    {
        ArgumentNullException.ThrowIfNull(overlap);
        return Add(title, [GraftPictures.Of(overlap)], provenance);
    }

    /// <summary>The coordinates that masks of several tasks have in common, against what independent masks would (UpSet: Lex et al. 2014).</summary>
    /// <param name="title">The section's heading.</param>
    /// <param name="grafts">2 to 10 grafts of one base by task.</param>
    /// <param name="provenance">Where the numbers come from; what it leaves out is the report's.</param>
    /// <returns>This report.</returns>
    /// <exception cref="ArgumentException">There are fewer or more grafts, or they are for different base models.</exception>
    public ReportBuilder Add(string title, IReadOnlyDictionary<string, Graft> grafts, Provenance? provenance = null)
    {
        ArgumentNullException.ThrowIfNull(grafts);
        return Add(title, [SkillMapPictures.Of(grafts)], provenance);
    }

    /// <summary>The relative gain of grafts on tasks.</summary>
    /// <param name="title">The section's heading.</param>
    /// <param name="gains">The gains.</param>
    /// <param name="provenance">Where the numbers come from; what it leaves out is the report's.</param>
    /// <returns>This report.</returns>
    /// <exception cref="ArgumentException">There is no gain.</exception>
    public ReportBuilder Add(string title, RelativeGainMetrics gains, Provenance? provenance = null)
    {
        ArgumentNullException.ThrowIfNull(gains);
        return Add(title, [GraftPictures.Of(gains)], provenance);
    }

    /// <summary>Paths between checkpoints, such as a line and a Bézier curve: loss and metric along them, and reliability where the path is one.</summary>
    /// <param name="title">The section's heading.</param>
    /// <param name="paths">The paths by name.</param>
    /// <param name="provenance">Where the numbers come from; what it leaves out is the report's.</param>
    /// <returns>This report.</returns>
    /// <exception cref="ArgumentException">There is no point.</exception>
    public ReportBuilder Add(string title, IReadOnlyDictionary<string, InterpolationMetrics> paths, Provenance? provenance = null)
    {
        ArgumentNullException.ThrowIfNull(paths);
        return Add(
            title,
            [.. PathPictures.Of(paths), .. paths.Count == 1 ? paths.Values.First().Sets.SelectMany(PathPictures.Reliability) : []],
            provenance
        );
    }

    /// <summary>The path between two checkpoints: loss, metric and reliability along it.</summary>
    /// <param name="title">The section's heading.</param>
    /// <param name="path">The path.</param>
    /// <param name="provenance">Where the numbers come from; what it leaves out is the report's.</param>
    /// <returns>This report.</returns>
    /// <exception cref="ArgumentException">There is no point.</exception>
    public ReportBuilder Add(string title, InterpolationMetrics path, Provenance? provenance = null)
    {
        ArgumentNullException.ThrowIfNull(path);
        return Add(
            title,
            [
                .. PathPictures.Of(new Dictionary<string, InterpolationMetrics>(StringComparer.Ordinal) { [""] = path }),
                .. path.Sets.SelectMany(PathPictures.Reliability),
            ],
            provenance
        );
    }

    /// <summary>The path ribbon: rows gained and lost along a path, by their class in the data map.</summary>
    /// <param name="title">The section's heading.</param>
    /// <param name="set">The rows along the path.</param>
    /// <param name="dynamics">The training dynamics of the same rows.</param>
    /// <param name="provenance">Where the numbers come from; what it leaves out is the report's.</param>
    /// <returns>This report.</returns>
    /// <exception cref="ArgumentException">The rows have no scores, or one has no dynamics.</exception>
    public ReportBuilder Add(string title, InterpolationSet set, TrainingDynamics dynamics, Provenance? provenance = null)
    {
        ArgumentNullException.ThrowIfNull(set);
        ArgumentNullException.ThrowIfNull(dynamics);
        return Add(title, [PathPictures.Ribbon(set, dynamics)], provenance);
    }

    /// <summary>The basin map: convexity gaps between models, ordered by clustering.</summary>
    /// <param name="title">The section's heading.</param>
    /// <param name="paths">Paths between pairs of the models.</param>
    /// <param name="set">The data set that gaps are taken from.</param>
    /// <param name="beside">The same models on other distributions, by the same names; null for none.</param>
    /// <param name="provenance">Where the numbers come from; what it leaves out is the report's.</param>
    /// <returns>This report.</returns>
    /// <exception cref="ArgumentException">There is no path, or one lacks the set.</exception>
    public ReportBuilder Add(
        string title,
        IReadOnlyList<PathBetween> paths,
        string set = "Validation",
        OutOfDistributionMetrics? beside = null,
        Provenance? provenance = null
    )
    {
        ArgumentNullException.ThrowIfNull(paths);
        return Add(title, ComparisonPictures.Of(paths, set, beside), provenance);
    }

    /// <summary>How far two checkpoints are apart, by layer and kind of weight.</summary>
    /// <param name="title">The section's heading.</param>
    /// <param name="distances">The distances.</param>
    /// <param name="provenance">Where the numbers come from; what it leaves out is the report's.</param>
    /// <returns>This report.</returns>
    /// <exception cref="ArgumentException">There is no parameter.</exception>
    public ReportBuilder Add(string title, CheckpointDistanceMetrics distances, Provenance? provenance = null)
    {
        ArgumentNullException.ThrowIfNull(distances);
        return Add(title, DistancePictures.Of(distances), provenance);
    }

    /// <summary>Loss and metric over a plane in parameter space, with iso-lines and the models that it was made of.</summary>
    /// <param name="title">The section's heading.</param>
    /// <param name="plane">The plane.</param>
    /// <param name="provenance">Where the numbers come from; what it leaves out is the report's.</param>
    /// <returns>This report.</returns>
    /// <exception cref="ArgumentException">There are fewer than two places on an axis, or the points do not fit the axes.</exception>
    public ReportBuilder Add(string title, LossPlaneMetrics plane, Provenance? provenance = null)
    {
        ArgumentNullException.ThrowIfNull(plane);
        return Add(title, PlanePictures.Of(plane), provenance);
    }

    /// <summary>The data map of training rows.</summary>
    /// <param name="title">The section's heading.</param>
    /// <param name="dynamics">The training dynamics.</param>
    /// <param name="provenance">Where the numbers come from; what it leaves out is the report's.</param>
    /// <returns>This report.</returns>
    /// <exception cref="ArgumentException">There is no row.</exception>
    public ReportBuilder Add(string title, TrainingDynamics dynamics, Provenance? provenance = null)
    {
        ArgumentNullException.ThrowIfNull(dynamics);
        return Add(title, DataMapPictures.Of(dynamics), provenance);
    }

    /// <summary>The training rows that a path forgets.</summary>
    /// <param name="title">The section's heading.</param>
    /// <param name="metrics">The metrics.</param>
    /// <param name="provenance">Where the numbers come from; what it leaves out is the report's.</param>
    /// <returns>This report.</returns>
    /// <exception cref="ArgumentException">There is no entry.</exception>
    public ReportBuilder Add(string title, ForgettingMetrics metrics, Provenance? provenance = null)
    {
        ArgumentNullException.ThrowIfNull(metrics);
        return Add(title, [PathPictures.Of(metrics)], provenance);
    }

    /// <summary>How predictive neurons are.</summary>
    /// <param name="title">The section's heading.</param>
    /// <param name="probe">The probe.</param>
    /// <param name="provenance">Where the numbers come from; what it leaves out is the report's.</param>
    /// <returns>This report.</returns>
    /// <exception cref="ArgumentException">There is no neuron.</exception>
    public ReportBuilder Add(string title, NeuronProbeResult probe, Provenance? provenance = null)
    {
        ArgumentNullException.ThrowIfNull(probe);
        return Add(title, NeuronPictures.Of(probe), provenance);
    }

    /// <summary>The accuracy when skill neurons and as many random ones are perturbed.</summary>
    /// <param name="title">The section's heading.</param>
    /// <param name="drop">The curves.</param>
    /// <param name="provenance">Where the numbers come from; what it leaves out is the report's.</param>
    /// <returns>This report.</returns>
    /// <exception cref="ArgumentException">There is no point.</exception>
    public ReportBuilder Add(string title, NeuronDropMetrics drop, Provenance? provenance = null)
    {
        ArgumentNullException.ThrowIfNull(drop);
        return Add(title, [NeuronPictures.Of(drop)], provenance);
    }

    /// <summary>The similarity of two tasks by their neurons.</summary>
    /// <param name="title">The section's heading.</param>
    /// <param name="similarity">The similarity.</param>
    /// <param name="provenance">Where the numbers come from; what it leaves out is the report's.</param>
    /// <returns>This report.</returns>
    /// <exception cref="ArgumentException">There is no layer.</exception>
    public ReportBuilder Add(string title, NeuronSimilarityMetrics similarity, Provenance? provenance = null)
    {
        ArgumentNullException.ThrowIfNull(similarity);
        return Add(title, [NeuronPictures.Of(similarity)], provenance);
    }

    /// <summary>How much of a skill grafts, neurons and controls carry, on one scale.</summary>
    /// <param name="title">The section's heading.</param>
    /// <param name="curves">The curves.</param>
    /// <param name="provenance">Where the numbers come from; what it leaves out is the report's.</param>
    /// <returns>This report.</returns>
    /// <exception cref="ArgumentException">No curve has a point.</exception>
    public ReportBuilder Add(string title, IReadOnlyList<FaithfulnessCurve> curves, Provenance? provenance = null)
    {
        ArgumentNullException.ThrowIfNull(curves);
        return Add(title, [ComparisonPictures.Of(curves)], provenance);
    }

    /// <summary>Any matrix with names: similarities of tasks, metrics of models on tasks.</summary>
    /// <param name="title">The section's heading.</param>
    /// <param name="matrix">The matrix.</param>
    /// <param name="provenance">Where the numbers come from; what it leaves out is the report's.</param>
    /// <returns>This report.</returns>
    /// <exception cref="ArgumentException">It has no row or column, or its values have another shape.</exception>
    public ReportBuilder Add(string title, NamedMatrix matrix, Provenance? provenance = null)
    {
        ArgumentNullException.ThrowIfNull(matrix);
        return Add(title, [ComparisonPictures.Of(matrix)], provenance);
    }
}
