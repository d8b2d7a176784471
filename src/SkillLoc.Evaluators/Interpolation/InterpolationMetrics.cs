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
