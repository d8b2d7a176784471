using Microsoft.ML;

namespace SkillLoc.Evaluators;

/// <summary>The metrics of the models along a path between two checkpoints (methods, C.4).</summary>
public sealed record InterpolationMetrics
{
    /// <summary>The evaluated task's name; may be empty.</summary>
    public required string Task { get; init; }

    /// <summary>The name of <see cref="InterpolationPoint.Metric"/> in the paper's code: ACC, F1, Matthew-Correlation, Pearson-Correlation,
    /// or <see cref="Models.Generation.TextMetrics.NameOf"/> for generated text.</summary>
    public required string Metric { get; init; }

    /// <summary>The given data sets, in the order Validation, Test, Training.</summary>
    public required IReadOnlyList<InterpolationSet> Sets { get; init; }

    /// <summary>Finds a data set.</summary>
    /// <param name="name">Validation, Test or Training.</param>
    /// <returns>The set, or null if it was not given.</returns>
    public InterpolationSet? Find(string name) => Sets.FirstOrDefault(set => set.Name == name);

    /// <summary>Returns the points as rows, one column per property of <see cref="InterpolationPoint"/>.</summary>
    /// <param name="context">The context.</param>
    /// <returns>One row per set and point.</returns>
    public IDataView ToDataView(MLContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return context.Data.LoadFromEnumerable(Sets.SelectMany(set => set.Points));
    }

    /// <summary>Returns the changes of each row, with the columns Set, X, Row, Score, IsRight, IsLearnt and IsForgotten.</summary>
    /// <param name="context">The context.</param>
    /// <returns>One row per set, point and row.</returns>
    public IDataView ChangesToDataView(MLContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return context.Data.LoadFromEnumerable(Sets.SelectMany(set => set.Changes));
    }

    /// <summary>
    /// Writes the files of the paper's code (methods, C.4) into a folder: <c>result.csv</c>, to which rows are appended if it exists, and
    /// <c>data_analyze.txt</c>, <c>solution_analysis.txt</c> and for each set a <c>…_data_analysis.json</c> (<c>valid</c>, <c>test</c>,
    /// <c>train</c>), which must not exist. Without validation and test rows there is no <c>result.csv</c> and no
    /// <c>solution_analysis.txt</c>; without scores of single rows, only these two are written.
    /// </summary>
    /// <param name="folder">The folder; created if missing.</param>
    /// <param name="prefix">The experiment's name in the first column of <c>result.csv</c>; by default the task's.</param>
    /// <exception cref="ArgumentException">The prefix is "average", which names the last row, or contains a comma, quote or line
    /// break.</exception>
    /// <exception cref="InvalidOperationException">There are only training rows without scores, for which there are no files.</exception>
    /// <exception cref="IOException">The folder has an analysis already, or another kind of experiment wrote its <c>result.csv</c>;
    /// nothing was written.</exception>
    public void Save(string folder, string? prefix = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        new InterpolationFiles(this, prefix ?? (Task.Length > 0 ? Task : "interpolation")).Save(folder);
    }
}

/// <summary>A row at a point of a path.</summary>
/// <param name="Set">The set: Validation, Test or Training.</param>
/// <param name="X">The position on the path.</param>
/// <param name="Row">The row's zero-based number in its view.</param>
/// <param name="Score">Its score from 0 to 1.</param>
/// <param name="IsRight">Whether the prediction is correct, that is, the score is 1.</param>
/// <param name="IsLearnt">Whether it is correct here but not at the previous point; false at the first.</param>
/// <param name="IsForgotten">Whether it is incorrect here but not at the previous point; false at the first.</param>
public sealed record InterpolationChange(string Set, double X, int Row, float Score, bool IsRight, bool IsLearnt, bool IsForgotten);

/// <summary>The metrics of the model at a point of a path on a data set.</summary>
public sealed record InterpolationPoint
{
    /// <summary>The set: Validation, Test or Training.</summary>
    public required string Set { get; init; }

    /// <summary>The position, 0 at the first checkpoint and 1 at the second.</summary>
    public required double X { get; init; }

    /// <summary>The mean loss in nats: for classes, -ln(probability of the true label), as in <see cref="CalibrationMetrics.LogLoss"/>; for
    /// a regression, the Kullback-Leibler divergence of its training; for generated text, the mean token cross-entropy of the first
    /// answers.</summary>
    public required double Loss { get; init; }

    /// <summary>The task's metric, named by <see cref="InterpolationMetrics.Metric"/>; NaN for an undefined correlation of generated
    /// numbers.</summary>
    public required double Metric { get; init; }

    /// <summary>The share of correct rows; NaN if rows have no scores (<see cref="InterpolationSet.Scores"/>).</summary>
    public required double Accuracy { get; init; }

    /// <summary>The expected calibration error, as in <see cref="CalibrationMetrics.ExpectedCalibrationError"/>; NaN for regressions and
    /// free text.</summary>
    public required double ExpectedCalibrationError { get; init; }

    /// <summary>The Brier score, as in <see cref="CalibrationMetrics.BrierScore"/>; NaN for regressions and free text.</summary>
    public required double BrierScore { get; init; }

    /// <summary>Fraction of rows with the same prediction as the first endpoint, label or free text; NaN for a regression. For text-to-text
    /// classification, the prediction is the most likely label, which may differ from the generated text.</summary>
    public required double AgreementWithFirst { get; init; }

    /// <summary>Fraction of rows with the same prediction as the second endpoint; see <see cref="AgreementWithFirst"/>.</summary>
    public required double AgreementWithSecond { get; init; }

    /// <summary>Number of correct rows, which have the score 1.</summary>
    public required long Right { get; init; }

    /// <summary>Number of rows that are correct here but not at the previous point; 0 at the first.</summary>
    public required long Learnt { get; init; }

    /// <summary>Number of rows that are correct at the previous point but not here; 0 at the first.</summary>
    public required long Forgotten { get; init; }
}

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

    /// <summary>The calibration at each point, for reliability along the path; empty for regressions and free text.</summary>
    public IReadOnlyList<CalibrationMetrics> Calibration { get; init; } = [];

    /// <summary>The smooth calibration error at each point, <see cref="SmoothCalibrationMetrics.Error"/>; empty for regressions and free
    /// text.</summary>
    public IReadOnlyList<double> SmoothCalibrationErrors { get; init; } = [];

    /// <summary>
    /// The loss barrier (Entezari et al. 2022): the largest excess of the loss over the straight line between the losses at the endpoints,
    /// in nats, 0 or more (methods, C.4).
    /// </summary>
    public double LossBarrier => Points.Max(point => point.Loss - Between(point.X, end => end.Loss));

    /// <summary>
    /// The convexity gap of the loss (Juneja et al. 2023, Linear Connectivity Reveals Generalization Strategies, section 4): the largest
    /// loss barrier between any two of the points, in nats, 0 or more. Unlike <see cref="LossBarrier"/> it also tells of a hump on one
    /// side of a slope.
    /// </summary>
    public double LossConvexityGap
    {
        get
        {
            double gap = 0;
            for (int first = 0; first < Points.Count; first++)
            {
                for (int last = first + 2; last < Points.Count; last++)
                {
                    double length = Points[last].X - Points[first].X;
                    for (int i = first + 1; i < last; i++)
                    {
                        double share = (Points[i].X - Points[first].X) / length;
                        gap = Math.Max(gap, Points[i].Loss - ((1 - share) * Points[first].Loss) - (share * Points[last].Loss));
                    }
                }
            }

            return gap;
        }
    }

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
