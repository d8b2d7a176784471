namespace SkillLoc.Models.Datasets;

/// <summary>
/// Reads the rows of Parquet files. The package SkillLoc.Data.Parquet does it, so that programs that read none need not carry the
/// libraries that it takes.
/// </summary>
internal abstract class ParquetRows
{
    private const string Package = "SkillLoc.Data.Parquet";

    private static readonly Lazy<ParquetRows?> Found = new(() =>
        Type.GetType($"{Package}.ParquetRowReader, {Package}") is { } type ? (ParquetRows)Activator.CreateInstance(type)! : null
    );

    /// <summary>Returns the package's reader.</summary>
    /// <param name="path">The file that it is to read.</param>
    /// <exception cref="NotSupportedException">The program does not have the package.</exception>
    public static ParquetRows For(string path) =>
        Found.Value
        ?? throw new NotSupportedException(
            $"{path}: Parquet files are read by the package {Package}, which this program does not have. Add it: "
                + $"dotnet add package {Package}."
        );

    /// <summary>Reads the rows, with their numbers from 1 as their lines.</summary>
    /// <exception cref="InvalidDataException">The file is damaged, or a column is missing, nested or of another type, or a value is
    /// null.</exception>
    public abstract IEnumerable<LabeledText> Read(string path, TaskFileFormat format, SameColumns same);
}
