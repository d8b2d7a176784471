using System.Text;
using System.Text.RegularExpressions;
using MimeKit;
using MimeKit.Text;

namespace SkillLoc.Demo;

/// <summary>An e-mail as a reader sees it: its subject and the text of its body. Attachments and other headers are left out.</summary>
public sealed partial record Email(string Subject, string Body)
{
    private static readonly Encoding Utf8 = new UTF8Encoding(false, throwOnInvalidBytes: true);

    // Undeclared 8-bit text of that time is mostly this; it has a character for every byte.
    private static readonly Encoding Fallback = CodePagesEncodingProvider.Instance.GetEncoding(1252)!;
    private static readonly ParserOptions Options = MakeOptions();

    private static readonly HtmlTagId[] Hidden = [HtmlTagId.Script, HtmlTagId.Style, HtmlTagId.Title, HtmlTagId.IFrame, HtmlTagId.NoFrames];

    /// <summary>Subject and body in one line.</summary>
    public string Text => Spaces().Replace($"{Subject}. {Body}", " ").Trim();

    /// <summary>Reads a message in the format of RFC 5322 and MIME; what has no header is read as plain text.</summary>
    public static Email Parse(byte[] message)
    {
        using var stream = new MemoryStream(message);
        try
        {
            using var mail = MimeMessage.Load(Options, stream);
            return new((mail.Subject ?? "").Trim(), TextOf(mail.Body) ?? "");
        }
        catch (FormatException)
        {
            using var text = new TextPart { Content = new MimeContent(stream) };
            return new("", Decode(text));
        }
    }

    /// <summary>The first plain text with something in it, else the first HTML; null when there is neither.</summary>
    private static string? TextOf(MimeEntity? entity) =>
        entity switch
        {
            Multipart parts => parts
                .OrderBy(part => part is TextPart { IsHtml: true })
                .Select(TextOf)
                .FirstOrDefault(text => !string.IsNullOrWhiteSpace(text)),
            TextPart { IsAttachment: false } part => part.IsHtml ? TextOfPage(Decode(part)) : Decode(part),
            _ => null,
        };

    private static string Decode(TextPart part)
    {
        // Mail that says nothing, ASCII or Latin-1 is often UTF-8, which cannot be mistaken, or windows-1252.
        if (part.TryDetectEncoding(out Encoding? encoding, out _) && !encoding!.Equals(Encoding.ASCII) && !encoding.Equals(Encoding.Latin1))
        {
            return part.GetText(encoding);
        }

        try
        {
            return part.GetText(Utf8);
        }
        catch (DecoderFallbackException)
        {
            return part.GetText(Fallback);
        }
    }

    private static ParserOptions MakeOptions()
    {
        // MimeKit looks for character sets once, when it is first used.
        Encoding.RegisterProvider(CodePagesEncodingProvider.Instance);
        return new() { CharsetEncoding = Fallback };
    }

    /// <summary>The text of a page, without what is not shown in it.</summary>
    private static string TextOfPage(string html)
    {
        var text = new StringBuilder();
        HtmlTagId hidden = HtmlTagId.Unknown;
        using var reader = new StringReader(html);
        var tokens = new HtmlTokenizer(reader);
        while (tokens.ReadNextToken(out HtmlToken? token))
        {
            if (token is HtmlTagToken tag)
            {
                text.Append(' ');
                if (hidden == HtmlTagId.Unknown && tag is { IsEndTag: false, IsEmptyElement: false } && Hidden.Contains(tag.Id))
                {
                    hidden = tag.Id;
                }
                else if (tag.IsEndTag && tag.Id == hidden)
                {
                    hidden = HtmlTagId.Unknown;
                }
            }
            else if (token is HtmlDataToken data && hidden == HtmlTagId.Unknown)
            {
                text.Append(data.Data);
            }
        }
        return text.ToString();
    }

    [GeneratedRegex(@"\s+")]
    private static partial Regex Spaces();
}
