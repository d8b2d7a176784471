using Microsoft.ML;

namespace SkillLoc.Evaluators;

/// <summary>What the models along a path between two checkpoints can do (methods, C.4).</summary>
public sealed record InterpolationMetrics
{
    /// <summary>The evaluated task's name; may be empty.</summary>
    public required string Task { get; init; }

    /// <summary>What <see cref="InterpolationPoint.Metric"/> is, by its name in the paper's code: ACC, F1, Matthew-Correlation,
    /// Pearson-Correlation, or for written answers what <see cref="Models.Generation.TextMetrics.NameOf"/> says.</summary>
    public required string Metric { get; init; }

    /// <summary>The sets that were given, in the order Validation, Test, Training.</summary>
    public required IReadOnlyList<InterpolationSet> Sets { get; init; }

    /// <summary>A set.</summary>
    /// <param name="name">Validation, Test or Training.</param>
    /// <returns>The set, or null where it was not given.</returns>
    public InterpolationSet? Find(string name) => Sets.FirstOrDefault(set => set.Name == name);

    /// <summary>The points as rows, with the columns that <see cref="InterpolationPoint"/> has properties.</summary>
    /// <param name="context">The context.</param>
    /// <returns>One row a set and point.</returns>
    public IDataView ToDataView(MLContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return context.Data.LoadFromEnumerable(Sets.SelectMany(set => set.Points));
    }

    /// <summary>What becomes of each row, with the columns Set, X, Row, Score, IsRight, IsLearnt and IsForgotten.</summary>
    /// <param name="context">The context.</param>
    /// <returns>One row a set, point and row.</returns>
    public IDataView ChangesToDataView(MLContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return context.Data.LoadFromEnumerable(Sets.SelectMany(set => set.Changes));
    }

    /// <summary>
    /// Writes the files of the paper's code (methods, C.4) into a folder: <c>result.csv</c>, to which rows are appended where it is there
    /// already, and <c>data_analyze.txt</c>, <c>solution_analysis.txt</c> and for each set a <c>…_data_analysis.json</c> (<c>valid</c>,
    /// <c>test</c>, <c>train</c>), which must not be there. Without validation and test rows there is no <c>result.csv</c> and no
    /// <c>solution_analysis.txt</c>; without scores of single rows there are only these.
    /// </summary>
    /// <param name="folder">The folder, made where missing.</param>
    /// <param name="prefix">The experiment's name in the first column of <c>result.csv</c>; by default the task's.</param>
    /// <exception cref="ArgumentException">The prefix is "average", which the last row has, or holds a comma, quote or line
    /// break.</exception>
    /// <exception cref="InvalidOperationException">There are training rows without scores alone, of which no file tells.</exception>
    /// <exception cref="IOException">The folder has an analysis already, or another kind of experiment wrote its <c>result.csv</c>;
    /// nothing was written.</exception>
    public void Save(string folder, string? prefix = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        new InterpolationFiles(this, prefix ?? (Task.Length > 0 ? Task : "interpolation")).Save(folder);
    }
}
