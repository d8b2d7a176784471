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

    /// <summary>For each point and each of <see cref="Rows"/> whether it is predicted right.</summary>
    public required IReadOnlyList<IReadOnlyList<bool>> Right { get; init; }

    /// <summary>
    /// The loss barrier (Entezari et al. 2022): by how much the loss exceeds, at most, what lies on the straight line between the losses
    /// at the ends, in nats. Never negative, and 0 where the ends are connected.
    /// </summary>
    public double LossBarrier => Points.Max(point => point.Loss - Between(point.X, end => end.Loss));

    /// <summary>By how much the metric falls short, at most, of the straight line between its values at the ends; never negative.</summary>
    public double MetricBarrier => Points.Max(point => Between(point.X, end => end.Metric) - point.Metric);

    /// <summary>Each row at each point.</summary>
    public IEnumerable<InterpolationChange> Changes =>
        from point in Enumerable.Range(0, Points.Count)
        from row in Enumerable.Range(0, Rows.Count)
        let right = Right[point][row]
        let before = point == 0 ? right : Right[point - 1][row]
        select new InterpolationChange(Name, Points[point].X, Rows[row], right, right && !before, before && !right);

    /// <summary>The numbers of the rows that are right, or not, at a point.</summary>
    internal IEnumerable<int> Where(int point, bool right) => Rows.Where((_, row) => Right[point][row] == right);

    private double Between(double x, Func<InterpolationPoint, double> value) => ((1 - x) * value(Points[0])) + (x * value(Points[^1]));
}
