using System.Globalization;

namespace SkillLoc.Models.Datasets;

/// <summary>Reads files of labelled text.</summary>
internal static class TaskFileReader
{
    /// <summary>Reads a file row by row, lazily: errors occur when the rows are enumerated.</summary>
    /// <param name="path">The file, or a pattern such as <c>data/train-*.parquet</c> (<see cref="DataFiles"/>).</param>
    /// <param name="format">The format of the file.</param>
    /// <param name="labelsPath">The file whose lines are the labels, for <see cref="TaskFileLayout.Lines"/> only.</param>
    /// <returns>The rows in the file's order, of several files one after the other. Empty texts are rows; empty lines are allowed only at the end and skipped.</returns>
    /// <exception cref="ArgumentException">The labels' file is missing or one too many, a layout without names is asked for a column by its
    /// name, or the separator or the quote is not one character, or the layout has none.</exception>
    /// <exception cref="FileNotFoundException">The file does not exist, or none matches the pattern.</exception>
    /// <exception cref="NotSupportedException">A file is Parquet, and the program has no package that reads it.</exception>
    /// <exception cref="InvalidDataException">
    /// A row has more or fewer columns than the header or, without one, the first row; a column is missing; a label is unknown or not a
    /// score in the range; a byte cannot be decoded; compressed data are damaged or cut off; columns differ between files; there are no
    /// rows, or not as many labels. The message names file and line (of Parquet, the row) and says what is expected.
    /// </exception>
    public static IEnumerable<LabeledText> Read(string path, TaskFileFormat format, string? labelsPath = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return Read([path], format, labelsPath);
    }

    /// <summary>Reads several files of one format one after the other, like <see cref="Read(string, TaskFileFormat, string?)"/>.</summary>
    /// <param name="paths">The files or patterns, at least one.</param>
    /// <param name="format">The format of all files.</param>
    /// <param name="labelsPath">The file of labels, for one file only.</param>
    public static IEnumerable<LabeledText> Read(IReadOnlyList<string> paths, TaskFileFormat format, string? labelsPath = null)
    {
        ArgumentNullException.ThrowIfNull(paths);
        ArgumentNullException.ThrowIfNull(format);
        if (paths.Count == 0 || paths.Any(string.IsNullOrEmpty))
        {
            throw new ArgumentException("There are no files, or one has no name.", nameof(paths));
        }

        if (labelsPath is not null && paths.Count > 1)
        {
            throw new ArgumentException("One file of labels belongs to one file of texts.", nameof(paths));
        }

        if (format.Layout == TaskFileLayout.Lines != labelsPath is not null)
        {
            throw new ArgumentException(
                $"The layout {format.Layout} {(labelsPath is null ? "needs a file of labels" : "has its labels in the file itself")}.",
                nameof(labelsPath)
            );
        }

        if (
            format.Layout is not (TaskFileLayout.JsonLines or TaskFileLayout.LabelFirst or TaskFileLayout.Lines or TaskFileLayout.Parquet)
            && !format.HasHeader
            && (format.Text.Name ?? format.TextPair?.Name ?? format.Label.Name) is { } name
        )
        {
            throw new ArgumentException(
                $"The column '{name}' is asked for by its name and the file has no header; give its place.",
                nameof(format)
            );
        }

        if (
            format.Layout == TaskFileLayout.JsonLines
            && (format.Text.Name is null || format.Label.Name is null || format.TextPair is { Name: null })
        )
        {
            throw new ArgumentException("The columns of JSON lines have names; give those instead of places.", nameof(format));
        }

        SeparatedRows.Check(format);
        return Labelled(paths, format, labelsPath);
    }

    private static IEnumerable<LabeledText> Labelled(IReadOnlyList<string> given, TaskFileFormat format, string? labelsPath)
    {
        bool isEmpty = true;
        IReadOnlyList<string> paths = labelsPath is null ? DataFiles.Find(given) : given;
        var same = new SameColumns();
        foreach (string path in paths)
        {
            IEnumerable<LabeledText> rows = format.Layout switch
            {
                TaskFileLayout.Tabs or TaskFileLayout.Csv => Columns(path, format, SeparatedRows.Read(path, format), same),
                TaskFileLayout.JsonLines => JsonLines.Read(path, format, same),
                TaskFileLayout.Parquet => ParquetRows.For(path).Read(path, format, same),
                TaskFileLayout.LabelFirst => LabelsFirst(path, format),
                _ => Parallel(path, format, labelsPath!),
            };
            foreach (LabeledText row in rows)
            {
                isEmpty = false;
                string label = Label(row, format, labelsPath ?? path);
                yield return ReferenceEquals(label, row.Label) ? row : row with { Label = label };
            }
        }
        if (isEmpty)
        {
            throw new InvalidDataException(
                $"{string.Join(", ", paths)} {(paths.Count == 1 ? "has" : "have")} no rows{(format.HasHeader ? " after its header" : "")}."
            );
        }
    }

    private static IEnumerable<LabeledText> Columns(
        string path,
        TaskFileFormat format,
        IEnumerable<(int Line, string[] Columns)> rows,
        SameColumns same
    )
    {
        int? width = null;
        int text = 0,
            pair = 0,
            label = 0;
        foreach ((int line, string[]? columns) in rows)
        {
            if (width is null)
            {
                width = columns.Length;
                text = Place(format.Text, columns, line);
                pair = format.TextPair is { } second ? Place(second, columns, line) : -1;
                label = Place(format.Label, columns, line);
                // The whole line would be both.
                if (width == 1)
                {
                    throw new InvalidDataException(
                        $"{path}, line {line}: there is 1 column, and a text and a label are two.{SeparatedRows.Hint(format, columns)}"
                    );
                }

                same.Check(
                    path,
                    format.HasHeader
                        ? $"the columns {columns[text]}{(pair < 0 ? "" : $", {columns[pair]}")} and {columns[label]}"
                        : $"{columns.Length} columns"
                );
                if (format.HasHeader)
                {
                    continue;
                }
            }
            if (columns.Length < width && format.SkipsShortRows)
            {
                continue;
            }

            if (columns.Length != width)
            {
                throw new InvalidDataException(
                    $"{path}, line {line}: {columns.Length} columns were found and {width} expected, "
                        + $"as the {(format.HasHeader ? "header" : "first row")} has."
                );
            }

            yield return new LabeledText(columns[text], pair < 0 ? null : columns[pair], columns[label], line);
        }

        int Place(FileColumn column, string[] first, int line)
        {
            int place = column.Name is null ? column.Place.GetOffset(first.Length) : Array.IndexOf(first, column.Name);
            return place >= 0 && place < first.Length
                ? place
                : throw new InvalidDataException(
                    $"{path}, line {line}: there is no column {column}; "
                        + $"{(column.Name is null ? $"there are {first.Length} columns" : $"the header has {string.Join(", ", first)}")}.{SeparatedRows.Hint(format, first)}"
                );
        }
    }

    private static IEnumerable<LabeledText> LabelsFirst(string path, TaskFileFormat format)
    {
        foreach ((int number, string? line) in StrictText.FullLines(path, format.Encoding))
        {
            int space = line.IndexOf(' ', StringComparison.Ordinal);
            if (space <= 0)
            {
                throw new InvalidDataException(
                    $"{path}, line {number}: a label, a space and a text were expected and '{StrictText.Shown(line)}' found."
                );
            }

            yield return new LabeledText(line[(space + 1)..], null, line[..space], number);
        }
    }

    private static IEnumerable<LabeledText> Parallel(string path, TaskFileFormat format, string labelsPath)
    {
        using IEnumerator<(int Number, string Line)> labels = StrictText.Lines(labelsPath, format.Encoding).GetEnumerator();
        int count = 0;
        foreach ((int number, string? line) in StrictText.Lines(path, format.Encoding))
        {
            if (!labels.MoveNext())
            {
                throw new InvalidDataException($"{labelsPath} has {count} lines and {path} has more; there must be a label a line.");
            }

            yield return new LabeledText(line, null, labels.Current.Line, number);
            count++;
        }
        if (labels.MoveNext())
        {
            throw new InvalidDataException($"{path} has {count} lines and {labelsPath} has more; there must be a label a line.");
        }
    }

    private static string Label(LabeledText row, TaskFileFormat format, string path)
    {
        string? label = row.Label;
        string unit = format.Layout == TaskFileLayout.Parquet ? "row" : "line";
        if (format.LabelMap is { } map && !map.TryGetValue(label, out label))
        {
            throw Unknown(map.Keys);
        }

        if (format.Labels is { } labels && !labels.Contains(label, StringComparer.Ordinal))
        {
            throw Unknown(labels);
        }

        if (
            format.ScoreRange is { } range
            && !(float.TryParse(label, NumberStyles.Float, CultureInfo.InvariantCulture, out float score) && range.Contains(score))
        )
        {
            throw new InvalidDataException(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{path}, {unit} {row.Line}: a score from {range.Lowest} to {range.Highest} was expected and "
                        + $"'{StrictText.Shown(label)}' found."
                )
            );
        }

        return label;

        InvalidDataException Unknown(IEnumerable<string> known) =>
            new(
                $"{path}, {unit} {row.Line}: the label '{StrictText.Shown(label ?? row.Label)}' is unknown; known are "
                    + $"{string.Join(", ", known)}."
            );
    }
}
