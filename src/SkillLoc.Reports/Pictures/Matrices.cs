using System.Globalization;
using SkillLoc.Reports.Drawing;

namespace SkillLoc.Reports.Pictures;

/// <summary>Tables of names by names as heat maps.</summary>
internal static class Matrices
{
    private const int MostLettered = 15;

    public static Picture Draw(
        string title,
        string text,
        string rowsTitle,
        IReadOnlyList<string> rows,
        string columnsTitle,
        IReadOnlyList<string> columns,
        double[,] values,
        Heat heat,
        Func<int, int, string>? letters = null
    )
    {
        int height = Math.Clamp(130 + (26 * rows.Count), 260, 520);
        bool areLettered = rows.Count <= MostLettered && columns.Count <= MostLettered;
        return new(
            title,
            text,
            Table.Of($"{rowsTitle} \\ {columnsTitle}", rows, columns, values),
            isVector =>
            {
                var chart = new Chart(isVector, Scale.Names(columnsTitle, columns), Scale.Names(rowsTitle, rows), height);
                chart.Cells(values, heat, areLettered ? letters ?? Plain : null);
                return chart;
            }
        );

        string Plain(int row, int column) =>
            double.IsFinite(values[row, column]) ? values[row, column].ToString("0.##", CultureInfo.InvariantCulture) : "–";
    }

    /// <summary>The cell with the highest value, in words.</summary>
    public static string Highest(
        IReadOnlyList<string> rows,
        IReadOnlyList<string> columns,
        double[,] values,
        Func<double, string> say,
        bool besideDiagonal
    )
    {
        (int Row, int Column)[] cells =
        [
            .. from row in Enumerable.Range(0, rows.Count)
            from column in Enumerable.Range(0, columns.Count)
            where double.IsFinite(values[row, column]) && !(besideDiagonal && row == column)
            select (row, column),
        ];
        if (cells.Length == 0)
        {
            return "";
        }

        (int highest, int at) = cells.MaxBy(cell => values[cell.Row, cell.Column]);
        return $"The highest is {say(values[highest, at])}: {Words.Short(rows[highest], 40)} with {Words.Short(columns[at], 40)}.";
    }
}
