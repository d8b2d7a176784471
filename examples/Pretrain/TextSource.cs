using System.Globalization;
using System.Text;

namespace SkillLoc.Pretrain;

/// <summary>Where passages come from: a text file with one passage a line, or some columns of a tab-separated one.</summary>
/// <param name="Path">The file.</param>
/// <param name="Columns">Columns counted from 0, each cell a passage of its own; null takes whole lines.</param>
/// <param name="AfterLabel">True takes what follows the line's first space, where a label stands in front.</param>
public sealed record TextSource(string Path, IReadOnlyList<int>? Columns, bool AfterLabel)
{
    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>Reads <c>FILE</c>, <c>FILE#1</c>, <c>FILE#3,4</c> or <c>FILE#rest</c>.</summary>
    /// <exception cref="FormatException">What follows the <c>#</c> is neither <c>rest</c> nor column numbers.</exception>
    public static TextSource Parse(string specification)
    {
        ArgumentException.ThrowIfNullOrEmpty(specification);
        int mark = specification.LastIndexOf('#');
        if (mark < 0 || File.Exists(specification))
        {
            return new(specification, null, AfterLabel: false);
        }

        string path = specification[..mark],
            what = specification[(mark + 1)..];
        if (what == "rest")
        {
            return new(path, null, AfterLabel: true);
        }

        var columns = new List<int>();
        foreach (string number in what.Split(','))
        {
            columns.Add(
                int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out int column)
                    ? column
                    : throw new FormatException($"'{specification}': after '#' come column numbers, as in '#1' or '#3,4', or 'rest'.")
            );
        }

        return new(path, columns, AfterLabel: false);
    }

    /// <summary>The passages, without surrounding white space; empty ones are left away.</summary>
    /// <exception cref="InvalidDataException">A line has too few columns.</exception>
    public IEnumerable<string> Passages()
    {
        int number = 0;
        foreach (string line in Lines())
        {
            number++;
            foreach (string passage in PassagesOf(line, number))
            {
                string trimmed = passage.Trim();
                if (trimmed.Length > 0)
                {
                    yield return trimmed;
                }
            }
        }
    }

    private IEnumerable<string> PassagesOf(string line, int number)
    {
        if (AfterLabel)
        {
            return [line[(line.IndexOf(' ', StringComparison.Ordinal) + 1)..]];
        }

        if (Columns is null || line.Length == 0)
        {
            return [line];
        }

        string[] cells = line.Split('\t');
        return Columns.Max() < cells.Length
            ? Columns.Select(column => cells[column])
            : throw new InvalidDataException(
                $"{Path}, line {number}: there is no column {Columns.Max()}; the line has {cells.Length}, counted from 0."
            );
    }

    /// <summary>Lines of UTF-8; one that is not valid UTF-8 is taken for Latin-1.</summary>
    private IEnumerable<string> Lines()
    {
        ReadOnlyMemory<byte> bytes = File.ReadAllBytes(Path);
        if (bytes.Span.StartsWith(Encoding.UTF8.Preamble))
        {
            bytes = bytes[3..];
        }

        while (!bytes.IsEmpty)
        {
            int end = bytes.Span.IndexOf((byte)'\n');
            ReadOnlyMemory<byte> line = end < 0 ? bytes : bytes[..end];
            bytes = end < 0 ? default : bytes[(end + 1)..];
            yield return Decode(line.Span).TrimEnd('\r');
        }
    }

    private static string Decode(ReadOnlySpan<byte> line)
    {
        try
        {
            return Strict.GetString(line);
        }
        catch (DecoderFallbackException)
        {
            return Encoding.Latin1.GetString(line);
        }
    }
}
