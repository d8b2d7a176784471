using System.Globalization;
using Parquet.Schema;

namespace SkillLoc.Data.Parquet;

/// <summary>The column of labels as texts: names where the file has them for numbers, else as JSON lines would have them.</summary>
/// <param name="path">The file.</param>
/// <param name="column">The column.</param>
/// <param name="names">What numbers from 0 mean; null without names.</param>
internal sealed class LabelColumn(string path, DataField column, IReadOnlyList<string>? names)
{
    /// <summary>Reads the labels of a group of rows.</summary>
    /// <param name="file">The file.</param>
    /// <param name="group">The group's number.</param>
    /// <param name="before">Number of rows before it.</param>
    /// <exception cref="InvalidDataException">A label is null, of another type or without a name.</exception>
    public string[] Read(ParquetFile file, int group, int before) =>
        [.. file.Read(group, column, before).Select((value, i) => Text(value, before + i + 1))];

    /// <summary>Describes the column for messages.</summary>
    /// <returns><c>label (Int64: negative, positive)</c>.</returns>
    public override string ToString() =>
        $"{column.Name} ({(column.ClrType == typeof(ReadOnlyMemory<byte>) ? "text" : column.ClrType.Name)}"
        + $"{(names is null ? "" : $": {string.Join(", ", names)}")})";

    private string Text(object? value, int row)
    {
        if (names is not null && value is not (null or string))
        {
            decimal number = value switch
            {
                ulong large => large,
                float or double or bool => -2,
                _ => Convert.ToInt64(value, CultureInfo.InvariantCulture),
            };
            return number switch
            {
                // The hub's mark of rows whose label is not published.
                -1 => "",
                _ when number >= 0 && number < names.Count => names[(int)number],
                _ => throw Bad(
                    $"is {Convert.ToString(value, CultureInfo.InvariantCulture)}, and the file has names from 0 to {names.Count - 1}"
                ),
            };
        }

        return value switch
        {
            string text => text,
            bool flag => flag ? "true" : "false",
            null => throw Bad("is null; leave rows without a label out"),
            // The file has nothing but numbers beside.
            _ => Convert.ToString(value, CultureInfo.InvariantCulture)!,
        };

        InvalidDataException Bad(string what) => new($"{path}, row {row}: the column '{column.Name}' {what}.");
    }
}
