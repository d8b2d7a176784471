using SkillLoc.Evaluators;
using SkillLoc.Trainers;

namespace SkillLoc.Reports;

/// <summary>
/// How much of a skill a part of the model carries, over the part's size: grafts, neurons and random controls on one scale, so that their
/// areas can be compared.
/// </summary>
public sealed record FaithfulnessCurve
{
    /// <summary>What the part is made of, such as "graft", "skill neurons" or "random neurons".</summary>
    public required string Name { get; init; }

    /// <summary>Whether it is a control, which is drawn in grey.</summary>
    public bool IsControl { get; init; }

    /// <summary>What the intervals of its points are, such as "one sample standard deviation over the seeds"; empty for none.</summary>
    public string Intervals { get; init; } = "";

    /// <summary>The points; those with a share of 0 have no place on the logarithmic scale and are left out.</summary>
    public required IReadOnlyList<FaithfulnessPoint> Points { get; init; }

    /// <summary>
    /// The mean height of the curve over the decimal logarithm of the share, between its first and its last point, by trapezoids: the
    /// area divided by the width. NaN with fewer than two points.
    /// </summary>
    public double Area
    {
        get
        {
            FaithfulnessPoint[] points = [.. Drawn];
            double area = 0;
            for (int i = 1; i < points.Length; i++)
            {
                area += (Math.Log10(points[i].Share) - Math.Log10(points[i - 1].Share)) * (points[i].Value + points[i - 1].Value) / 2;
            }

            return points.Length < 2 ? double.NaN : area / (Math.Log10(points[^1].Share) - Math.Log10(points[0].Share));
        }
    }

    internal IEnumerable<FaithfulnessPoint> Drawn =>
        Points
            .Where(point => point.Share > 0 && double.IsFinite(point.Value))
            .DistinctBy(point => point.Share)
            .OrderBy(point => point.Share);

    /// <summary>The relative gain of grafts, (P_gamma - P_0) / (P_1 - P_0), over their share of the parameters; on validation rows where
    /// the sweep has them.</summary>
    /// <param name="name">The curve's name.</param>
    /// <param name="sweep">The sweep.</param>
    /// <param name="isControl">Whether its masks are random.</param>
    /// <returns>The curve.</returns>
    public static FaithfulnessCurve Of(string name, GraftSweepResult sweep, bool isControl = false)
    {
        ArgumentNullException.ThrowIfNull(sweep);
        double low = Quality(sweep.PreTrained),
            high = Quality(sweep.FineTuned);
        return new()
        {
            Name = name,
            IsControl = isControl,
            Points =
            [
                .. sweep.Points.Select(point => new FaithfulnessPoint(point.Graft.Share, (Quality(point.Quality) - low) / (high - low))),
            ],
        };

        static double Quality(GraftQuality quality) => quality.Validation ?? quality.Training;
    }

    /// <summary>
    /// The share of the accuracy above chance that is lost when skill neurons are perturbed, (A - A_perturbed) / (A - chance), over their
    /// share of all neurons, and the same of as many random neurons, with one standard deviation over their draws.
    /// </summary>
    /// <param name="name">The curve's name; that of the control has "random: " before it.</param>
    /// <param name="drop">Accuracy-drop curves; those of the first method and range of layers are taken.</param>
    /// <param name="chance">The accuracy of guessing, such as 0.5.</param>
    /// <returns>The curve of the skill neurons and its control.</returns>
    public static IReadOnlyList<FaithfulnessCurve> Of(string name, NeuronDropMetrics drop, double chance)
    {
        ArgumentNullException.ThrowIfNull(drop);
        NeuronDropPoint? first = drop.Points.Count > 0 ? drop.Points[0] : null;
        NeuronDropPoint[] points =
        [
            .. drop.Points.Where(point =>
                (point.Method, point.LowLayer, point.HighLayer) == (first!.Method, first.LowLayer, first.HighLayer)
            ),
        ];
        double span = drop.Accuracy - chance;
        return
        [
            new()
            {
                Name = name,
                Points = [.. points.Select(point => new FaithfulnessPoint(point.Fraction, (drop.Accuracy - point.Accuracy) / span))],
            },
            new()
            {
                Name = $"random: {name}",
                IsControl = true,
                Intervals = "one sample standard deviation over draws of random neurons",
                Points =
                [
                    .. points.Select(point =>
                    {
                        double value = (drop.Accuracy - point.ControlAccuracy) / span,
                            deviation = point.ControlDeviation / Math.Abs(span);
                        return new FaithfulnessPoint(point.Fraction, value, value - deviation, value + deviation);
                    }),
                ],
            },
        ];
    }
}
