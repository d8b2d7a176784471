using System.Globalization;
using System.Text.Json;

namespace SkillLoc.Models.Datasets;

/// <summary>Reads files of labelled text.</summary>
internal static class TaskFileReader
{
    /// <summary>Reads a file row by row, lazily: errors occur when the rows are enumerated.</summary>
    /// <param name="path">The file.</param>
    /// <param name="format">The format of the file.</param>
    /// <param name="labelsPath">The file whose lines are the labels, for <see cref="TaskFileLayout.Lines"/> only.</param>
    /// <returns>The rows in the file's order. Empty texts are rows; empty lines are allowed only at the end and skipped.</returns>
    /// <exception cref="ArgumentException">The labels' file is missing or one too many, a layout without names is asked for a column by its
    /// name, or the separator or the quote is not one character, or the layout has none.</exception>
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="InvalidDataException">
    /// A row has more or fewer columns than the header or, without one, the first row; a column is missing; a label is unknown or not a
    /// score in the range; a byte cannot be decoded; there are no rows, or not as many labels. The message names file and line and says
    /// what is expected.
    /// </exception>
    public static IEnumerable<LabeledText> Read(string path, TaskFileFormat format, string? labelsPath = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentNullException.ThrowIfNull(format);
        if (format.Layout == TaskFileLayout.Lines != labelsPath is not null)
        {
            throw new ArgumentException(
                $"The layout {format.Layout} {(labelsPath is null ? "needs a file of labels" : "has its labels in the file itself")}.",
                nameof(labelsPath)
            );
        }

        if (
            format.Layout is not (TaskFileLayout.JsonLines or TaskFileLayout.LabelFirst or TaskFileLayout.Lines)
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
        return Labelled(path, format, labelsPath);
    }

    private static IEnumerable<LabeledText> Labelled(string path, TaskFileFormat format, string? labelsPath)
    {
        bool isEmpty = true;
        foreach (
            LabeledText row in format.Layout switch
            {
                TaskFileLayout.Tabs or TaskFileLayout.Csv => Columns(path, format, SeparatedRows.Read(path, format)),
                TaskFileLayout.JsonLines => Objects(path, format),
                TaskFileLayout.LabelFirst => LabelsFirst(path, format),
                _ => Parallel(path, format, labelsPath!),
            }
        )
        {
            isEmpty = false;
            string label = Label(row, format, labelsPath ?? path);
            yield return ReferenceEquals(label, row.Label) ? row : row with { Label = label };
        }
        if (isEmpty)
        {
            throw new InvalidDataException($"{path} has no rows{(format.HasHeader ? " after its header" : "")}.");
        }
    }

    private static IEnumerable<LabeledText> Columns(string path, TaskFileFormat format, IEnumerable<(int Line, string[] Columns)> rows)
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

    private static IEnumerable<LabeledText> Objects(string path, TaskFileFormat format)
    {
        foreach ((int number, string? line) in StrictText.FullLines(path, format.Encoding))
        {
            yield return Row(line, number);
        }

        LabeledText Row(string line, int number)
        {
            try
            {
                using var json = JsonDocument.Parse(line, new JsonDocumentOptions { AllowDuplicateProperties = false });
                return new LabeledText(
                    Value(json.RootElement, format.Text, number),
                    format.TextPair is { } pair ? Value(json.RootElement, pair, number) : null,
                    Value(json.RootElement, format.Label, number),
                    number
                );
            }
            // Half a surrogate pair is noticed only when a text is asked for, as an InvalidOperationException.
            catch (Exception e) when (e is JsonException or InvalidOperationException)
            {
                throw new InvalidDataException(
                    $"{path}, line {number}: a JSON object was expected, and the line is not valid JSON: {e.Message}",
                    e
                );
            }
        }

        string Value(JsonElement row, FileColumn column, int number)
        {
            if (row.ValueKind != JsonValueKind.Object)
            {
                throw new InvalidDataException($"{path}, line {number}: a JSON object was expected and {row.ValueKind} found.");
            }

            if (!row.TryGetProperty(column.Name!, out JsonElement value))
            {
                throw new InvalidDataException(
                    $"{path}, line {number}: the object has no property {column}, "
                        + $"only {string.Join(", ", row.EnumerateObject().Select(property => property.Name))}."
                );
            }

            return value.ValueKind switch
            {
                JsonValueKind.String => value.GetString()!,
                JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False => value.GetRawText(),
                _ => throw new InvalidDataException(
                    $"{path}, line {number}: the property {column} is {value.ValueKind}; it must be a text, a number or a flag."
                ),
            };
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
                    $"{path}, line {row.Line}: a score from {range.Lowest} to {range.Highest} was expected and "
                        + $"'{StrictText.Shown(label)}' found."
                )
            );
        }

        return label;

        InvalidDataException Unknown(IEnumerable<string> known) =>
            new(
                $"{path}, line {row.Line}: the label '{StrictText.Shown(label ?? row.Label)}' is unknown; known are "
                    + $"{string.Join(", ", known)}."
            );
    }
}
