using System.Net;
using System.Text;
using System.Text.RegularExpressions;

namespace SkillLoc.Demo;

/// <summary>An e-mail as a reader sees it: its subject and the text of its body. Attachments and other headers are left out.</summary>
public sealed partial record Email(string Subject, string Body)
{
    private const int DeepestPart = 8;

    // Undeclared 8-bit text of that time is mostly this; it has a character for every byte.
    private static readonly Encoding Fallback = CodePagesEncodingProvider.Instance.GetEncoding(1252)!;

    /// <summary>Subject and body in one line.</summary>
    public string Text => Spaces().Replace($"{Subject}. {Body}", " ").Trim();

    /// <summary>Reads a message in the format of RFC 5322 and MIME; what is malformed is read as plain text.</summary>
    public static Email Parse(byte[] message)
    {
        // Latin-1 keeps bytes as they are until a part's own character set is known.
        Part whole = Part.Split(Encoding.Latin1.GetString(message).ReplaceLineEndings("\n"));
        string subject = EncodedWord().Replace(BetweenEncodedWords().Replace(Decode(Bytes(whole["subject"]), null), "$1"), word =>
        {
            string text = word.Groups["text"].Value;
            bool base64 = word.Groups["kind"].Value is "b" or "B";
            return Decode(base64 ? FromBase64(text) : FromQuotedPrintable(text.Replace('_', ' ')), word.Groups["charset"].Value);
        });
        return new(subject.Trim(), TextOf(whole, DeepestPart) ?? "");
    }

    /// <summary>The first plain text with something in it, else the first HTML; null when there is neither.</summary>
    private static string? TextOf(Part part, int depth)
    {
        string type = part["content-type"] is { Length: > 0 } given ? given : "text/plain";
        bool isMultipart = type.StartsWith("multipart/", StringComparison.OrdinalIgnoreCase);
        if (isMultipart && depth > 0 && Boundary().Match(type) is { Success: true } boundary)
        {
            IEnumerable<Part> parts = part.Content.Split("\n--" + boundary.Groups["value"].Value).Skip(1)
                .Where(text => !text.StartsWith("--"))
                .Select(text => Part.Split(text[(text.IndexOf('\n', StringComparison.Ordinal) + 1)..]));
            string?[] bodies = [.. parts.OrderBy(inner => IsHtml(inner["content-type"])).Select(inner => TextOf(inner, depth - 1))];
            return Array.Find(bodies, body => !string.IsNullOrWhiteSpace(body));
        }

        if (!isMultipart && !type.StartsWith("text", StringComparison.OrdinalIgnoreCase))
            return null;
        byte[] bytes = part["content-transfer-encoding"].Trim().ToUpperInvariant() switch
        {
            "BASE64" => FromBase64(part.Content),
            "QUOTED-PRINTABLE" => FromQuotedPrintable(part.Content),
            _ => Bytes(part.Content),
        };
        string text = Decode(bytes, Charset().Match(type).Groups["value"].Value);
        return IsHtml(type)
            ? WebUtility.HtmlDecode(Tag().Replace(Invisible().Replace(text, " "), " "))
            : text;
    }

    private static bool IsHtml(string type) => type.StartsWith("text/html", StringComparison.OrdinalIgnoreCase);

    private static byte[] Bytes(string latin1) => Encoding.Latin1.GetBytes(latin1);

    private static string Decode(byte[] bytes, string? charset)
    {
        try
        {
            // Mail that says ASCII or Latin-1 is often UTF-8, which cannot be mistaken, or windows-1252.
            return string.IsNullOrEmpty(charset) || charset.ToUpperInvariant() is "US-ASCII" or "ISO-8859-1"
                ? new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(bytes)
                : (CodePagesEncodingProvider.Instance.GetEncoding(charset) ?? Encoding.GetEncoding(charset)).GetString(bytes);
        }
        catch (ArgumentException)
        {
            return Fallback.GetString(bytes);
        }
    }

    /// <summary>Decodes as much as is valid.</summary>
    private static byte[] FromBase64(string text)
    {
        string digits = NoBase64().Replace(text, "");
        digits = digits.Length % 4 == 1 ? digits[..^1] : digits;
        return Convert.FromBase64String(digits.PadRight((digits.Length + 3) / 4 * 4, '='));
    }

    private static byte[] FromQuotedPrintable(string text) => Bytes(
        QuotedByte().Replace(SoftLineBreak().Replace(text, ""), match => $"{(char)Convert.ToByte(match.Groups["hex"].Value, 16)}"));

    /// <summary>Headers by lower-case name (the first of each) and what follows the empty line.</summary>
    private sealed record Part(Dictionary<string, string> Headers, string Content)
    {
        public string this[string header] => Headers.GetValueOrDefault(header, "");

        public static Part Split(string text)
        {
            int end = text.StartsWith('\n') ? 0 : text.IndexOf("\n\n", StringComparison.Ordinal);
            string head = end < 0 ? text : text[..end];
            var headers = new Dictionary<string, string>();
            foreach (string line in FoldedLine().Replace(head, " ").Split('\n'))
            {
                int colon = line.IndexOf(':', StringComparison.Ordinal);
                if (colon > 0)
                    headers.TryAdd(line[..colon].Trim().ToLowerInvariant(), line[(colon + 1)..].Trim());
            }

            return new(headers, end < 0 ? "" : text[end..]);
        }
    }

    [GeneratedRegex(@"\s+")]
    private static partial Regex Spaces();

    [GeneratedRegex(@"\n[ \t]+")]
    private static partial Regex FoldedLine();

    [GeneratedRegex(@"=\?(?<charset>[^?*]+)(\*[^?]*)?\?(?<kind>[bBqQ])\?(?<text>[^?]*)\?=", RegexOptions.ExplicitCapture)]
    private static partial Regex EncodedWord();

    [GeneratedRegex(@"(=\?[^?]+\?[bBqQ]\?[^?]*\?=)\s+(?==\?)")]
    private static partial Regex BetweenEncodedWords();

    [GeneratedRegex(@"boundary\s*=\s*(""(?<value>[^""]+)""|(?<value>[^\s;]+))", RegexOptions.IgnoreCase | RegexOptions.ExplicitCapture)]
    private static partial Regex Boundary();

    [GeneratedRegex(@"charset\s*=\s*""?(?<value>[\w.:-]+)", RegexOptions.IgnoreCase | RegexOptions.ExplicitCapture)]
    private static partial Regex Charset();

    [GeneratedRegex(@"<!--.*?(-->|$)|<(?<name>script|style|title)\b.*?(</\k<name>\s*>|$)", RegexOptions.IgnoreCase | RegexOptions.Singleline | RegexOptions.ExplicitCapture)]
    private static partial Regex Invisible();

    [GeneratedRegex(@"<[/!?a-z][^<>]*>", RegexOptions.IgnoreCase)]
    private static partial Regex Tag();

    [GeneratedRegex(@"[^A-Za-z0-9+/]")]
    private static partial Regex NoBase64();

    [GeneratedRegex(@"=[ \t]*\n")]
    private static partial Regex SoftLineBreak();

    [GeneratedRegex("=(?<hex>[0-9A-Fa-f]{2})")]
    private static partial Regex QuotedByte();
}
