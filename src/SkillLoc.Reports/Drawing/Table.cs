using System.Globalization;
using SkillLoc.Models.Datasets;

namespace SkillLoc.Reports.Drawing;

/// <summary>The numbers of a picture.</summary>
/// <param name="Columns">The columns' names.</param>
/// <param name="Rows">Texts and numbers.</param>
internal sealed record Table(IReadOnlyList<string> Columns, IReadOnlyList<IReadOnlyList<object>> Rows)
{
    public static Table Of(IReadOnlyList<string> columns, IEnumerable<IReadOnlyList<object>> rows) => new(columns, [.. rows]);

    /// <summary>A matrix with names.</summary>
    public static Table Of(string corner, IReadOnlyList<string> rows, IReadOnlyList<string> columns, double[,] values) =>
        Of([corner, .. columns], rows.Select((row, i) => (IReadOnlyList<object>)[row, .. columns.Select((_, j) => (object)values[i, j])]));

    /// <summary>The table as CSV: numbers with all their digits; missing ones are empty.</summary>
    public byte[] Csv()
    {
        using var stream = new MemoryStream();
        CsvRows.Write(stream, Rows.Select(row => row.Select(Plain)).Prepend(Columns));
        return stream.ToArray();
    }

    /// <summary>A value as the page shows it.</summary>
    public static string Shown(object value) =>
        value switch
        {
            double number => double.IsNaN(number) ? "" : Words.Number(number),
            float number => float.IsNaN(number) ? "" : Words.Number(number),
            IFormattable number => number.ToString(null, CultureInfo.InvariantCulture),
            "" => "",
            _ => Words.Short(value.ToString() ?? "", 80),
        };

    private static string Plain(object value) =>
        value switch
        {
            double number => double.IsNaN(number) ? "" : number.ToString("R", CultureInfo.InvariantCulture),
            float number => float.IsNaN(number) ? "" : number.ToString("R", CultureInfo.InvariantCulture),
            IFormattable number => number.ToString(null, CultureInfo.InvariantCulture),
            // A spreadsheet would take it for a formula.
            _ when value.ToString() is { Length: > 0 } text => "=+-@\t\r".Contains(text[0], StringComparison.Ordinal) ? "'" + text : text,
            _ => "",
        };
}
