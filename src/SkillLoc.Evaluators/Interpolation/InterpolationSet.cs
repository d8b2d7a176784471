namespace SkillLoc.Evaluators;

/// <summary>What the models along a path make of one set of rows.</summary>
public sealed record InterpolationSet
{
    /// <summary>Validation, Test or Training.</summary>
    public required string Name { get; init; }

    /// <summary>The numbers of the labelled rows in their view, counted from 0.</summary>
    public required IReadOnlyList<int> Rows { get; init; }

    /// <summary>The points, by place.</summary>
    public required IReadOnlyList<InterpolationPoint> Points { get; init; }

    /// <summary>
    /// For each point and each of <see cref="Rows"/> its score from 0 to 1, of which 1 is right: of classes 0 or 1, of written answers what
    /// <see cref="Models.Generation.TextMetrics.RowScores"/> gives. Empty where the task gives single rows none, as a regression does and
    /// written answers that are judged as a whole.
    /// </summary>
    public required IReadOnlyList<IReadOnlyList<float>> Scores { get; init; }

    /// <summary>
    /// The loss barrier (Entezari et al. 2022): by how much the loss exceeds, at most, what lies on the straight line between the losses
    /// at the ends, in nats. Never negative, and 0 where the ends are connected.
    /// </summary>
    public double LossBarrier => Points.Max(point => point.Loss - Between(point.X, end => end.Loss));

    /// <summary>By how much the metric falls short, at most, of the straight line between its values at the ends; never negative.</summary>
    public double MetricBarrier => Points.Max(point => Between(point.X, end => end.Metric) - point.Metric);

    /// <summary>Each row with a score at each point.</summary>
    public IEnumerable<InterpolationChange> Changes =>
        from point in Enumerable.Range(0, Scores.Count)
        from row in Enumerable.Range(0, Rows.Count)
        let score = Scores[point][row]
        let right = score == 1
        let before = point == 0 ? right : Scores[point - 1][row] == 1
        select new InterpolationChange(Name, Points[point].X, Rows[row], score, right, right && !before, before && !right);

    /// <summary>The rows at a point that are like this, by the score before and the score here; before the first point all scores are 0.</summary>
    internal int[] Where(int point, Func<float, float, bool> isWanted) =>
        [.. Rows.Where((_, row) => isWanted(point == 0 ? 0 : Scores[point - 1][row], Scores[point][row]))];

    private double Between(double x, Func<InterpolationPoint, double> value) => ((1 - x) * value(Points[0])) + (x * value(Points[^1]));
}
