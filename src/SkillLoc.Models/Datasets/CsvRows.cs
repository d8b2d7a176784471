using System.Globalization;
using System.Text;
using CsvHelper;
using CsvHelper.Configuration;

namespace SkillLoc.Models.Datasets;

/// <summary>Rows of comma-separated files, quoted as RFC 4180 and pandas do.</summary>
internal static class CsvRows
{
    /// <summary>The rows with the lines that they begin on; empty lines are passed over.</summary>
    /// <exception cref="InvalidDataException">A quoted column does not end, or a byte cannot be decoded.</exception>
    public static IEnumerable<(int Line, string[] Columns)> Read(string path, Encoding encoding)
    {
        using var reader = StrictText.Open(path, encoding);
        using var parser = new CsvParser(reader, new CsvConfiguration(CultureInfo.InvariantCulture) { BadDataFound = Check });
        while (Next())
            yield return (FirstLine(parser, parser.RawRecord.AsSpan().TrimEnd("\r\n")), parser.Record!);

        bool Next()
        {
            try
            {
                return parser.Read();
            }
            catch (DecoderFallbackException)
            {
                throw StrictText.Undecodable(path, encoding);
            }
        }

        // A quote within a column that does not begin with one is text.
        void Check(BadDataFoundArgs bad)
        {
            if (!bad.Field.StartsWith('"'))
                return;
            // One that never ends has taken the rest of the file, the last line break included.
            var row = bad.Field[^1] is '\r' or '\n' ? bad.RawRecord : bad.RawRecord.AsSpan().TrimEnd("\r\n");
            throw new InvalidDataException(
                $"{path}, line {FirstLine(bad.Context.Parser!, row)}: the column beginning {bad.Field[..Math.Min(bad.Field.Length, 40)]} has no "
                + "closing quote before a comma or the line's end; quotes within it must be doubled.");
        }
    }

    /// <summary>Writes rows with line feeds and as few quotes as possible, as pandas does.</summary>
    public static void Write(Stream stream, IEnumerable<IEnumerable<string>> rows)
    {
        using var text = new StreamWriter(stream, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false), leaveOpen: true);
        using var writer = new CsvWriter(text, new CsvConfiguration(CultureInfo.InvariantCulture)
        {
            NewLine = "\n",
            ShouldQuote = column => column.Field.AsSpan().ContainsAny(",\"\r\n"),
        });
        foreach (var row in rows)
        {
            foreach (var column in row)
                writer.WriteField(column);
            writer.NextRecord();
        }
    }

    // The parser counts lines to the row's end; text is the row without the line break that ends it.
    private static int FirstLine(IParser parser, ReadOnlySpan<char> text) => parser.RawRow - StrictText.LineEnds(text);
}
