using System.Text;
using CsvHelper;

namespace SkillLoc.Models.Datasets;

/// <summary>Rows of columns that a character parts, by a format's separator and quote; says which other one a file seems to have.</summary>
internal static class SeparatedRows
{
    private static readonly (char Separator, string Name)[] Usual = [(',', "commas"), (';', "semicolons"), ('\t', "tabs"), ('|', "bars")];

    /// <summary>Throws where a format's separator or quote is none, or its layout has no columns.</summary>
    /// <exception cref="ArgumentException">They are.</exception>
    public static void Check(TaskFileFormat format)
    {
        if (format is { Separator: null, Quote: null })
        {
            return;
        }

        if (format.Layout is not (TaskFileLayout.Tabs or TaskFileLayout.Csv))
        {
            throw new ArgumentException(
                $"The layout {format.Layout} has no {(format.Separator is null ? "Quote" : "Separator")}; {TaskFileLayout.Tabs} and "
                    + $"{TaskFileLayout.Csv} have.",
                nameof(format)
            );
        }

        if (format.Separator is { } separator && !IsOne(separator))
        {
            throw new ArgumentException($"The Separator '{separator}' is not one ASCII character other than a line break.", nameof(format));
        }

        if (format.Quote is { Length: > 0 } quote && !IsOne(quote))
        {
            throw new ArgumentException(
                $"The Quote '{quote}' is not one ASCII character other than a line break; an empty one says that quotes are text.",
                nameof(format)
            );
        }

        if (Of(format) is var (separating, quoting) && separating == quoting)
        {
            throw new ArgumentException($"The Separator and the Quote are both '{separating}'.", nameof(format));
        }
    }

    /// <summary>The rows with the lines that they begin on.</summary>
    /// <exception cref="InvalidDataException">A quoted column does not end, a line is empty where it must not be, or a byte cannot be
    /// decoded.</exception>
    public static IEnumerable<(int Line, string[] Columns)> Read(string path, TaskFileFormat format)
    {
        (char separator, char? quote) = Of(format);
        return quote is { } mark
            ? CsvRows.Read(path, format.Encoding, separator, mark)
            : StrictText.FullLines(path, format.Encoding).Select(line => (line.Number, line.Line.Split(separator)));
    }

    /// <summary>Hint for error messages about the columns of the first row: another separator or quote that the file seems to use; else
    /// empty.</summary>
    public static string Hint(TaskFileFormat format, string[] first)
    {
        (char separator, char? quote) = Of(format);
        string line = string.Join(separator, first);
        (char other, string? name) = Usual.Where(usual => usual.Separator != separator).MaxBy(usual => line.Count(usual.Separator));
        if (line.Count(other) >= first.Length)
        {
            return $" The columns seem to be separated by {name}: set Separator (\"separator\") to \"{(other == '\t' ? "\\t" : other)}\".";
        }

        return quote is null && Array.Exists(first, column => column is ['"', .., '"'])
            ? " The columns seem to be quoted: set Quote (\"quote\") to a quotation mark."
            : "";
    }

    private static (char Separator, char? Quote) Of(TaskFileFormat format)
    {
        bool isCsv = format.Layout == TaskFileLayout.Csv;
        string quote = format.Quote ?? (isCsv ? "\"" : "");
        return (
            format.Separator is { } separator ? separator[0]
            : isCsv ? ','
            : '\t',
            quote.Length == 0 ? null : quote[0]
        );
    }

    private static bool IsOne(string text) => text is [var character] && char.IsAscii(character) && character is not ('\0' or '\r' or '\n');
}

/// <summary>Rows of files whose columns are separated by commas, or another character, quoted as RFC 4180 and pandas do.</summary>
internal static class CsvRows
{
    // A row of nothing but separators takes some forty bytes for each.
    private const int LongestRow = 1 << 20;

    /// <summary>Reads the rows with their first line numbers; empty lines are skipped.</summary>
    /// <exception cref="InvalidDataException">A quoted column does not end, or a byte cannot be decoded.</exception>
    public static IEnumerable<(int Line, string[] Columns)> Read(string path, Encoding encoding, char separator = ',', char quote = '"')
    {
        var options = new CsvReaderOptions
        {
            Separator = separator,
            Quote = quote,
            HasHeader = false,
            TrackLineNumbers = true,
            MaxRecordSize = LongestRow,
        };
        using var reader = CsvReader.Create(StrictText.Open(path, encoding), options);
        byte[] one = [(byte)quote],
            two = [(byte)quote, (byte)quote];
        while (Next())
        {
            int line = (int)reader.LineNumber;
            string[] columns = new string[reader.FieldCount];
            for (int i = 0; i < columns.Length; i++)
            {
                Check(reader.GetRawSpan(i), line);
                columns[i] = reader.GetString(i);
            }
            yield return (line, columns);
        }

        bool Next()
        {
            try
            {
                return reader.Read();
            }
            catch (DecoderFallbackException)
            {
                throw StrictText.Undecodable(path, encoding);
            }
            catch (Exception e) when (e is InvalidDataException or CsvFormatException)
            {
                throw new InvalidDataException($"{path}, after line {reader.LineNumber}: {e.Message}", e);
            }
        }

        // A quote within a column that does not begin with one is text. CsvHelper tells of the first stray quote of a row only.
        void Check(ReadOnlySpan<byte> column, int line)
        {
            if (
                !column.StartsWith(one)
                || (column.Length > 1 && column.EndsWith(one) && column[1..^1].Count(one[0]) == 2 * column[1..^1].Count(two))
            )
            {
                return;
            }

            string text = Encoding.UTF8.GetString(column);
            throw new InvalidDataException(
                $"{path}, line {line}: the column beginning {text[..Math.Min(text.Length, 40)]} has no "
                    + $"closing quote before a {(separator == ',' ? "comma" : "separator")} or the line's end; quotes within it must "
                    + "be doubled."
            );
        }
    }

    /// <summary>Writes rows with line feeds and as few quotes as possible, as pandas does.</summary>
    public static void Write(Stream stream, IEnumerable<IEnumerable<string>> rows)
    {
        using var writer = CsvWriter.Create(stream, new CsvWriterOptions { NewLine = "\n", ValidateFieldCount = false }, leaveOpen: true);
        foreach (IEnumerable<string> row in rows)
        {
            foreach (string column in row)
            {
                writer.WriteField(column);
            }

            writer.EndRecord();
        }
    }
}
