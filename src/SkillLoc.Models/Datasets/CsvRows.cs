using System.Text;
using CsvHelper;

namespace SkillLoc.Models.Datasets;

/// <summary>Rows of files whose columns are parted by commas, or another character, quoted as RFC 4180 and pandas do.</summary>
internal static class CsvRows
{
    /// <summary>Reads the rows with their first line numbers; empty lines are skipped.</summary>
    /// <exception cref="InvalidDataException">A quoted column does not end, or a byte cannot be decoded.</exception>
    public static IEnumerable<(int Line, string[] Columns)> Read(string path, Encoding encoding, char separator = ',', char quote = '"')
    {
        var options = new CsvReaderOptions { Separator = separator, Quote = quote, HasHeader = false, TrackLineNumbers = true };
        using var reader = CsvReader.Create(StrictText.Open(path, encoding), options);
        byte[] one = [(byte)quote], two = [(byte)quote, (byte)quote];
        while (Next())
        {
            var line = (int)reader.LineNumber;
            var columns = new string[reader.FieldCount];
            for (var i = 0; i < columns.Length; i++)
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
        }

        // A quote within a column that does not begin with one is text. CsvHelper tells of the first stray quote of a row only.
        void Check(ReadOnlySpan<byte> column, int line)
        {
            if (!column.StartsWith(one) || (column.Length > 1 && column.EndsWith(one) && column[1..^1].Count(one[0]) == 2 * column[1..^1].Count(two)))
                return;
            var text = Encoding.UTF8.GetString(column);
            throw new InvalidDataException(
                $"{path}, line {line}: the column beginning {text[..Math.Min(text.Length, 40)]} has no "
                + $"closing quote before a {(separator == ',' ? "comma" : "separator")} or the line's end; quotes within it must be doubled.");
        }
    }

    /// <summary>Writes rows with line feeds and as few quotes as possible, as pandas does.</summary>
    public static void Write(Stream stream, IEnumerable<IEnumerable<string>> rows)
    {
        using var writer = CsvWriter.Create(stream, new CsvWriterOptions { NewLine = "\n", ValidateFieldCount = false }, leaveOpen: true);
        foreach (var row in rows)
        {
            foreach (var column in row)
                writer.WriteField(column);
            writer.EndRecord();
        }
    }
}
