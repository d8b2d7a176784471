namespace SkillLoc.Evaluators;

/// <summary>The metrics of the models along a path on a data set.</summary>
public sealed record InterpolationSet
{
    /// <summary>Validation, Test or Training.</summary>
    public required string Name { get; init; }

    /// <summary>The zero-based numbers of the labelled rows in their view.</summary>
    public required IReadOnlyList<int> Rows { get; init; }

    /// <summary>The points in order of position.</summary>
    public required IReadOnlyList<InterpolationPoint> Points { get; init; }

    /// <summary>
    /// The score of each of <see cref="Rows"/> at each point, from 0 to 1 (correct): 0 or 1 for classes,
    /// <see cref="Models.Generation.TextMetrics.RowScores"/> for generated text. Empty for tasks without scores of single rows, such as
    /// regressions.
    /// </summary>
    public required IReadOnlyList<IReadOnlyList<float>> Scores { get; init; }

    /// <summary>
    /// The loss barrier (Entezari et al. 2022): the largest excess of the loss over the straight line between the losses at the endpoints,
    /// in nats, 0 or more (methods, C.4).
    /// </summary>
    public double LossBarrier => Points.Max(point => point.Loss - Between(point.X, end => end.Loss));

    /// <summary>The largest shortfall of the metric below the straight line between its values at the endpoints, 0 or more.</summary>
    public double MetricBarrier => Points.Max(point => Between(point.X, end => end.Metric) - point.Metric);

    /// <summary>Each row with a score at each point.</summary>
    public IEnumerable<InterpolationChange> Changes =>
        from point in Enumerable.Range(0, Scores.Count)
        from row in Enumerable.Range(0, Rows.Count)
        let score = Scores[point][row]
        let right = score == 1
        let before = point == 0 ? right : Scores[point - 1][row] == 1
        select new InterpolationChange(Name, Points[point].X, Rows[row], score, right, right && !before, before && !right);

    /// <summary>Selects rows at a point by their previous and current score; before the first point, all scores are 0.</summary>
    internal int[] Where(int point, Func<float, float, bool> isWanted) =>
        [.. Rows.Where((_, row) => isWanted(point == 0 ? 0 : Scores[point - 1][row], Scores[point][row]))];

    private double Between(double x, Func<InterpolationPoint, double> value) => ((1 - x) * value(Points[0])) + (x * value(Points[^1]));
}
