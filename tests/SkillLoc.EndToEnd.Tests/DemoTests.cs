using System.Text;
using SkillLoc.Demo;

namespace SkillLoc.EndToEnd.Tests;

public sealed class DemoTests
{
    private static Email Parse(string message) => Email.Parse(Encoding.Latin1.GetBytes(message));

    [Theory]
    [InlineData("\n")]
    [InlineData("\r\n")]
    public void Plain_text_keeps_subject_and_body_only(string newLine)
    {
        Email email = Parse("From a@b  Thu Aug 22 13:17:22 2002\nFrom: a@b\nSubject: Hello\n there\nX-Spam: yes\n\nFirst.\n\nSecond: line.\n".Replace("\n", newLine));
        Assert.Equal("Hello there", email.Subject);
        Assert.Equal("Hello there. First. Second: line.", email.Text);
    }

    [Fact]
    public void Subjects_may_be_encoded_words()
    {
        Assert.Equal("Grüße aus Köln", Parse("Subject: =?iso-8859-1?Q?Gr=FC=DFe_aus?=\n =?utf-8?B?IEvDtmxu?=\n\n").Subject);
        Assert.Equal("50€ off", Parse("Subject: 50\u0080 off\n\n").Subject);
    }

    [Theory]
    [InlineData("Content-Type: text/plain; charset=\"windows-1252\"\nContent-Transfer-Encoding: quoted-printable\n\nna=EFve =\n=80", "naïve €")]
    [InlineData("Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: BASE64\n\nbmHDr3Zl\nIOKCrA==\n", "naïve €")]
    [InlineData("Content-Type: text/plain; charset=koi8-r\n\n\u00d0\u00d2\u00c9\u00d7\u00c5\u00d4", "привет")]
    [InlineData("Content-Type: text/plain; charset=no-such-charset\n\nna\u00efve", "naïve")]
    public void Bodies_are_decoded(string message, string body) => Assert.Equal(body, Parse(message).Body.Trim());

    [Fact]
    public void Html_is_read_as_its_text()
    {
        Email email = Parse("Subject: Offer\nContent-Type: text/html\n\n<html><style>p { color: red }</style><!-- a > b --><p>Save&nbsp;70% &amp; <b>more</b></p></html>");
        Assert.Equal("Offer. Save 70% & more", email.Text);
    }

    [Fact]
    public void Of_several_parts_the_plain_text_counts()
    {
        Email email = Parse(
            "Subject: Parts\nContent-Type: multipart/mixed;\n boundary=\"outer\"\n\npreamble\n--outer\nContent-Type: multipart/alternative; boundary=inner\n\n"
            + "--inner\nContent-Type: text/html\n\n<p>formatted</p>\n--inner\n\nplain\n\ntext\n--inner--\n--outer\nContent-Type: image/png\n\nBINARY\n--outer--\nepilogue\n");
        Assert.Equal("Parts. plain text", email.Text);
    }

    [Theory]
    [InlineData("")]
    [InlineData("no header at all")]
    [InlineData("Content-Type: multipart/mixed\n\nno boundary")]
    [InlineData("Content-Type: multipart/mixed; boundary=x\n\nthe boundary never comes")]
    [InlineData("Content-Transfer-Encoding: base64\n\n!!!QQ")]
    [InlineData("Subject: =?utf-8?B?A?=\n\n")]
    public void Malformed_messages_are_read_without_error(string message) => Assert.NotNull(Parse(message).Text);
}
