using System.Text;

namespace SkillLoc.Models.Datasets;

/// <summary>Reads text files strictly: bytes that are invalid in the encoding are errors, never replaced.</summary>
internal static class StrictText
{
    /// <summary>The most characters of a line: rows of text have thousands, and are held several times.</summary>
    public const int LongestLine = 4 << 20;

    /// <summary>Opens a file, compressed or not (<see cref="CompressedFile"/>), after its byte order mark. Reading throws <see cref="DecoderFallbackException"/>; see
    /// <see cref="Undecodable"/>.</summary>
    /// <exception cref="InvalidDataException">The file has a UTF-8 byte order mark, but another encoding was given, or its compression
    /// cannot be read.</exception>
    public static StreamReader Open(string path, Encoding encoding)
    {
        Stream stream = CompressedFile.Open(path);
        try
        {
            Span<byte> start = stackalloc byte[3];
            bool isMarked =
                stream.ReadAtLeast(start, start.Length, throwOnEndOfStream: false) == start.Length
                && start.SequenceEqual(Encoding.UTF8.Preamble);
            if (isMarked && encoding.CodePage != Encoding.UTF8.CodePage)
            {
                throw new InvalidDataException(
                    $"the file begins with UTF-8's byte order mark and is to be read as {encoding.WebName}; read it as UTF-8."
                );
            }

            if (!isMarked)
            {
                stream.Dispose();
                stream = CompressedFile.Open(path);
            }
            // Detecting an encoding would put a lenient one in the place of the strict one.
            return new StreamReader(stream, Strict(encoding), detectEncodingFromByteOrderMarks: false);
        }
        catch (InvalidDataException e)
        {
            stream.Dispose();
            throw new InvalidDataException($"{path}, line 1: {e.Message}", e);
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }

    /// <summary>Reads the lines of the file with their numbers from 1; a line ends at a line feed, a carriage return or both, as in
    /// Python.</summary>
    /// <exception cref="InvalidDataException">A byte cannot be decoded.</exception>
    public static IEnumerable<(int Number, string Line)> Lines(string path, Encoding encoding)
    {
        using StreamReader reader = Open(path, encoding);
        for (int number = 1; Next(number) is { } line; number++)
        {
            if (line.Length > LongestLine)
            {
                throw new InvalidDataException($"{path}, line {number} has {line.Length} characters; a row may have {LongestLine}.");
            }

            yield return (number, line);
        }

        string? Next(int number)
        {
            try
            {
                return reader.ReadLine();
            }
            catch (DecoderFallbackException)
            {
                throw Undecodable(path, encoding);
            }
            catch (InvalidDataException e)
            {
                throw new InvalidDataException($"{path}, line {number}: {e.Message}", e);
            }
        }
    }

    /// <summary>Reads the <see cref="Lines"/> of the file except empty ones, which are allowed only at the end.</summary>
    /// <exception cref="InvalidDataException">A line within the file is empty, or a byte cannot be decoded.</exception>
    public static IEnumerable<(int Number, string Line)> FullLines(string path, Encoding encoding)
    {
        int firstEmpty = 0;
        foreach ((int number, string? line) in Lines(path, encoding))
        {
            if (line.Length == 0)
            {
                firstEmpty = firstEmpty == 0 ? number : firstEmpty;
                continue;
            }
            if (firstEmpty > 0)
            {
                throw new InvalidDataException($"{path}, line {firstEmpty}: the line is empty; a row was expected.");
            }

            yield return (number, line);
        }
    }

    /// <summary>The beginning of a text for error messages.</summary>
    public static string Shown(string text) => text.Length <= 40 ? text : text[..40] + "...";

    /// <summary>Creates the exception for an invalid byte, whose position the block reader does not know.</summary>
    public static InvalidDataException Undecodable(string path, Encoding encoding)
    {
        byte[] bytes = CompressedFile.ReadAllBytes(path);
        Encoding strict = Strict(encoding);
        try
        {
            strict.GetCharCount(bytes);
        }
        catch (DecoderFallbackException e)
        {
            int line = 1 + LineEnds(strict.GetString(bytes, 0, e.Index));
            string instead =
                encoding.CodePage == Encoding.UTF8.CodePage
                    ? "if the whole file is Latin-1, read it with Encoding.Latin1 (\"encoding\": \"latin1\")"
                    : "read the file with the encoding that it was written in";
            return new InvalidDataException(
                $"{path}, line {line}: the byte 0x{bytes[e.Index]:X2} at offset {e.Index} of the file is not valid "
                    + $"{encoding.WebName}; {instead}.",
                e
            );
        }
        return new InvalidDataException($"{path} changed while it was read.");
    }

    /// <summary>Counts the line ends of a text as <see cref="Lines"/> defines them.</summary>
    public static int LineEnds(ReadOnlySpan<char> text) => text.Count('\n') + text.Count('\r') - text.Count("\r\n");

    private static Encoding Strict(Encoding encoding)
    {
        var strict = (Encoding)encoding.Clone();
        strict.DecoderFallback = DecoderFallback.ExceptionFallback;
        return strict;
    }
}
