using System.Text;

namespace SkillLoc.Models.Datasets;

/// <summary>Reads text files without ever replacing a byte that the encoding does not know.</summary>
internal static class StrictText
{
    /// <summary>Opens a file after its byte order mark. Reading throws <see cref="DecoderFallbackException"/>; see <see cref="Undecodable"/>.</summary>
    /// <exception cref="InvalidDataException">The file has UTF-8's byte order mark and is to be read as something else.</exception>
    public static StreamReader Open(string path, Encoding encoding)
    {
        var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read);
        try
        {
            Span<byte> start = stackalloc byte[3];
            var isMarked = stream.ReadAtLeast(start, start.Length, throwOnEndOfStream: false) == start.Length && start.SequenceEqual(Encoding.UTF8.Preamble);
            if (isMarked && encoding.CodePage != Encoding.UTF8.CodePage)
                throw new InvalidDataException($"{path}, line 1: the file begins with UTF-8's byte order mark and is to be read as {encoding.WebName}; read it as UTF-8.");
            if (!isMarked)
                stream.Position = 0;
            // Detecting an encoding would put a lenient one in the place of the strict one.
            return new StreamReader(stream, Strict(encoding), detectEncodingFromByteOrderMarks: false);
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }

    /// <summary>The file's lines with their numbers from 1; a line ends at a line feed, a carriage return or both, as in Python.</summary>
    /// <exception cref="InvalidDataException">A byte cannot be decoded.</exception>
    public static IEnumerable<(int Number, string Line)> Lines(string path, Encoding encoding)
    {
        using var reader = Open(path, encoding);
        for (var number = 1; Next() is { } line; number++)
            yield return (number, line);

        string? Next()
        {
            try
            {
                return reader.ReadLine();
            }
            catch (DecoderFallbackException)
            {
                throw Undecodable(path, encoding);
            }
        }
    }

    /// <summary>The file's <see cref="Lines"/> without the empty ones, which are allowed at the end only.</summary>
    /// <exception cref="InvalidDataException">A line within the file is empty, or a byte cannot be decoded.</exception>
    public static IEnumerable<(int Number, string Line)> FullLines(string path, Encoding encoding)
    {
        var firstEmpty = 0;
        foreach (var (number, line) in Lines(path, encoding))
        {
            if (line.Length == 0)
            {
                firstEmpty = firstEmpty == 0 ? number : firstEmpty;
                continue;
            }
            if (firstEmpty > 0)
                throw new InvalidDataException($"{path}, line {firstEmpty}: the line is empty; a row was expected.");
            yield return (number, line);
        }
    }

    /// <summary>A text's beginning, as messages show it.</summary>
    public static string Shown(string text) => text.Length <= 40 ? text : text[..40] + "...";

    /// <summary>What to throw when reading met a byte that cannot be decoded: the reader works in blocks and does not know where.</summary>
    public static InvalidDataException Undecodable(string path, Encoding encoding)
    {
        var bytes = File.ReadAllBytes(path);
        var strict = Strict(encoding);
        try
        {
            strict.GetCharCount(bytes);
        }
        catch (DecoderFallbackException e)
        {
            var line = 1 + LineEnds(strict.GetString(bytes, 0, e.Index));
            var instead = encoding.CodePage == Encoding.UTF8.CodePage
                ? "if the whole file is Latin-1, read it with Encoding.Latin1 (\"encoding\": \"latin1\")"
                : "read the file with the encoding that it was written in";
            return new InvalidDataException($"{path}, line {line}: the byte 0x{bytes[e.Index]:X2} at offset {e.Index} of the file is not valid "
                + $"{encoding.WebName}; {instead}.", e);
        }
        return new InvalidDataException($"{path} changed while it was read.");
    }

    /// <summary>How often a line ends in a text, as <see cref="Lines"/> understands it.</summary>
    public static int LineEnds(ReadOnlySpan<char> text) => text.Count('\n') + text.Count('\r') - text.Count("\r\n");

    private static Encoding Strict(Encoding encoding)
    {
        var strict = (Encoding)encoding.Clone();
        strict.DecoderFallback = DecoderFallback.ExceptionFallback;
        return strict;
    }
}
