namespace SkillLoc.Reports;

/// <summary>A matrix with names: the similarity of tasks, the metric of each model on each task, the interference of merged models.</summary>
public sealed record NamedMatrix
{
    /// <summary>What its values measure, such as "cosine of task vectors".</summary>
    public required string Measure { get; init; }

    /// <summary>The names of the rows.</summary>
    public required IReadOnlyList<string> Rows { get; init; }

    /// <summary>The names of the columns.</summary>
    public required IReadOnlyList<string> Columns { get; init; }

    /// <summary>The values, row by row; NaN where there is none.</summary>
    public required IReadOnlyList<IReadOnlyList<double>> Values { get; init; }

    /// <summary>What the rows are, such as "model"; empty by default.</summary>
    public string RowsAre { get; init; } = "";

    /// <summary>What the columns are, such as "task"; empty by default.</summary>
    public string ColumnsAre { get; init; } = "";

    /// <summary>Whether values go both ways from 0, which is then the middle of the colours; false by default.</summary>
    public bool IsAroundZero { get; init; }

    /// <exception cref="ArgumentException">There is no row or column, or the values have another shape.</exception>
    internal double[,] ToArray()
    {
        if (Rows.Count == 0 || Columns.Count == 0)
        {
            throw new ArgumentException("The matrix has no row or no column: there is nothing to show.");
        }

        if (Values.Count != Rows.Count || Values.Any(row => row.Count != Columns.Count))
        {
            throw new ArgumentException(
                FormattableString.Invariant(
                    $"The matrix has {Rows.Count} names of rows and {Columns.Count} of columns, and its values are not as many."
                )
            );
        }

        double[,] array = new double[Rows.Count, Columns.Count];
        for (int row = 0; row < Rows.Count; row++)
        {
            for (int column = 0; column < Columns.Count; column++)
            {
                array[row, column] = Values[row][column];
            }
        }

        return array;
    }
}
