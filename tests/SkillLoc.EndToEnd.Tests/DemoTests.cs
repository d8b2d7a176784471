using System.Diagnostics;
using System.Text;
using SkillLoc.Demo;

namespace SkillLoc.EndToEnd.Tests;

public sealed class DemoTests
{
    private static Email Parse(string message) => Email.Parse(Encoding.Latin1.GetBytes(message));

    [Theory]
    [InlineData("\n")]
    [InlineData("\r\n")]
    public void PlainTextKeepsSubjectAndBodyOnly(string newLine)
    {
        Email email = Parse(
            "From a@b  Thu Aug 22 13:17:22 2002\nFrom: a@b\nSubject: Hello\n there\nX-Spam: yes\n\nFirst.\n\nSecond: line.\n".Replace(
                "\n",
                newLine
            )
        );
        Assert.Equal("Hello there", email.Subject);
        Assert.Equal("Hello there. First. Second: line.", email.Text);
    }

    [Fact]
    public void SubjectsMayBeEncodedWords()
    {
        Assert.Equal("Grüße aus Köln", Parse("Subject: =?iso-8859-1?Q?Gr=FC=DFe_aus?=\n =?utf-8?B?IEvDtmxu?=\n\n").Subject);
        Assert.Equal("50€ off", Parse("Subject: 50\u0080 off\n\n").Subject);
    }

    [Theory]
    [InlineData(
        "Content-Type: text/plain; charset=\"windows-1252\"\nContent-Transfer-Encoding: quoted-printable\n\nna=EFve =\n=80",
        "naïve €"
    )]
    [InlineData("Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: BASE64\n\nbmHDr3Zl\nIOKCrA==\n", "naïve €")]
    [InlineData("Content-Type: text/plain; charset=koi8-r\n\n\u00d0\u00d2\u00c9\u00d7\u00c5\u00d4", "привет")]
    [InlineData("Content-Type: text/plain; charset=no-such-charset\n\nna\u00efve", "naïve")]
    public void BodiesAreDecoded(string message, string body) => Assert.Equal(body, Parse(message).Body.Trim());

    [Fact]
    public void HtmlIsReadAsItsText()
    {
        Email email = Parse(
            "Subject: Offer\nContent-Type: text/html\n\n<html><style>p { color: red }</style><!-- a > b --><p>Save&nbsp;70% &amp; "
                + "<b>more</b></p></html>"
        );
        Assert.Equal("Offer. Save 70% & more", email.Text);
    }

    [Fact]
    public void OfSeveralPartsThePlainTextCounts()
    {
        Email email = Parse(
            "Subject: Parts\nContent-Type: multipart/mixed;\n boundary=\"outer\"\n\npreamble\n--outer\nContent-Type: "
                + "multipart/alternative; boundary=inner\n\n"
                + "--inner\nContent-Type: text/html\n\n<p>formatted</p>\n--inner\n\nplain\n\ntext\n--inner--\n--outer\nContent-Type: "
                + "image/png\n\nBINARY\n--outer--\nepilogue\n"
        );
        Assert.Equal("Parts. plain text", email.Text);
    }

    [Fact]
    public void AttachedTextsAreLeftOutAndEmptyOnesPassedOver()
    {
        Email email = Parse(
            "Subject: Parts\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\n \n--b\nContent-Type: "
                + "text/plain\nContent-Disposition: attachment\n\nattached\n"
                + "--b\nContent-Type: text/html\n\n<p>shown</p>\n--b--\n"
        );
        Assert.Equal("Parts. shown", email.Text);
    }

    [Theory]
    [InlineData("<title>x</title><script>if (a < b) c</script>a<iframe>x</iframe><noframes>x</noframes><style>x", "a")]
    [InlineData("w<!-- x -->ord<br>next<td>cell", "word next cell")]
    [InlineData("&#149; &lt;b&gt; &eacute; <", "\u2022 <b> \u00E9 <")]
    [InlineData("<html><head><meta http-equiv=\"content-type\" content=\"text/html; charset=koi8-r\"></head><p>\u00d0\u00d2\u00c9", "при")]
    public void PagesAreReadAsTheyAreShown(string html, string text) =>
        Assert.Equal(". " + text, Parse("Content-Type: text/html\n\n" + html).Text);

    [Theory]
    [InlineData("Content-Type: text/plain; charset=us-ascii\n\nna\u00c3\u00afve", "naïve")]
    [InlineData("Content-Type: text/plain; charset=iso-8859-1\n\n\u0080 5", "€ 5")]
    [InlineData("Content-Type: text/plain\n\n\u0080 5", "€ 5")]
    public void TextThatSaysLittleOfItsBytesIsUTF8OrWindows1252(string message, string body) =>
        Assert.Equal(body, Parse(message).Body.Trim());

    [Theory]
    [InlineData("<div>")]
    [InlineData("<table><tr><td>")]
    [InlineData("--x\n")]
    public void DeepMessagesTakeNoQuadraticTime(string part)
    {
        string type = part[0] == '<' ? "text/html" : "multipart/mixed; boundary=x";
        var watch = Stopwatch.StartNew();
        Parse($"Content-Type: {type}\n\n" + string.Concat(Enumerable.Repeat(part, 100_000)));
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(30), $"{watch.Elapsed}");
    }

    [Theory]
    [InlineData("")]
    [InlineData("no header at all")]
    [InlineData("Content-Type: multipart/mixed\n\nno boundary")]
    [InlineData("Content-Type: multipart/mixed; boundary=x\n\nthe boundary never comes")]
    [InlineData("Content-Transfer-Encoding: base64\n\n!!!QQ")]
    [InlineData("Subject: =?utf-8?B?A?=\n\n")]
    public void MalformedMessagesAreReadWithoutError(string message) => Assert.NotNull(Parse(message).Text);
}
