using System.Text;
using SkillLoc.Models.Datasets;
using SkillLoc.Models.Tests.Checkpoints;

namespace SkillLoc.Models.Tests.Datasets;

/// <summary>Lines of files, and the byte, line and file that a refusal names.</summary>
public sealed class StrictTextTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private string File => _folder.PathOf("file");

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("", "")]
    [InlineData("a", "1 a")]
    [InlineData("a\nb\r\nc\rd\n\n", "1 a|2 b|3 c|4 d|5 ")]
    [InlineData("\r\n\n\r", "1 |2 |3 ")]
    public void LinesEndAsInPython(string text, string lines)
    {
        System.IO.File.WriteAllText(File, text);
        Assert.Equal(lines, string.Join('|', StrictText.Lines(File, Encoding.UTF8).Select(line => $"{line.Number} {line.Line}")));
    }

    [Theory]
    [InlineData("a\nb\n", "1 a|2 b", null)]
    [InlineData("a\n\n\n", "1 a", null)]
    [InlineData("\n", "", null)]
    [InlineData("\na\n", "", "line 1: the line is empty; a row was expected.")]
    [InlineData("a\n\n\nb\n", "1 a", "line 2: the line is empty; a row was expected.")]
    public void EmptyLinesAreAtTheEndOnly(string text, string lines, string? reason)
    {
        System.IO.File.WriteAllText(File, text);
        var read = new List<string>();
        if (reason is null)
        {
            ReadAll();
        }
        else
        {
            Assert.Equal($"{File}, {reason}", Assert.Throws<InvalidDataException>(ReadAll).Message);
        }

        Assert.Equal(lines, string.Join('|', read));

        void ReadAll() => read.AddRange(StrictText.FullLines(File, Encoding.UTF8).Select(line => $"{line.Number} {line.Line}"));
    }

    [Fact]
    public void LinesHaveALimit()
    {
        string line = new('a', StrictText.LongestLine);
        System.IO.File.WriteAllText(File, $"b\n{line}\n");
        Assert.Equal([1, StrictText.LongestLine], StrictText.Lines(File, Encoding.UTF8).Select(each => each.Line.Length));
        System.IO.File.WriteAllText(File, $"b\n{line}a\n");
        Assert.Equal(
            $"{File}, line 2 has 4194305 characters; a row may have 4194304.",
            Assert.Throws<InvalidDataException>(() => StrictText.Lines(File, Encoding.UTF8).Count()).Message
        );
    }

    [Theory]
    [InlineData("EFBBBF61", "utf-8", "1 a")]
    [InlineData("EFBBBF", "utf-8", "")]
    [InlineData("EFBB", "iso-8859-1", "1 \u00ef\u00bb")]
    [InlineData("EFBB61", "iso-8859-1", "1 \u00ef\u00bba")]
    [InlineData("E9", "iso-8859-1", "1 \u00e9")]
    [InlineData("FFFE6100", "utf-16", "1 a")]
    [InlineData("6100", "utf-16", "1 a")]
    public void AMarkOfUtf8IsNoText(string bytes, string encoding, string lines)
    {
        System.IO.File.WriteAllBytes(File, Convert.FromHexString(bytes));
        Assert.Equal(
            lines,
            string.Join('|', StrictText.Lines(File, Encoding.GetEncoding(encoding)).Select(line => $"{line.Number} {line.Line}"))
        );
    }

    [Theory]
    [InlineData("EFBBBF61", "iso-8859-1", "begins with UTF-8's byte order mark and is to be read as iso-8859-1; read it as UTF-8.", 1)]
    [InlineData(
        "610AE9",
        "utf-8",
        "the byte 0xE9 at offset 2 of the file is not valid utf-8; if the whole file is Latin-1, read it with Encoding.Latin1 "
            + "(\"encoding\": \"latin1\").",
        2
    )]
    [InlineData(
        "610D0A620D630AE96161",
        "utf-8",
        "the byte 0xE9 at offset 7 of the file is not valid utf-8; if the whole file is Latin-1, read it with Encoding.Latin1 "
            + "(\"encoding\": \"latin1\").",
        4
    )]
    [InlineData(
        "610AE9",
        "us-ascii",
        "the byte 0xE9 at offset 2 of the file is not valid us-ascii; read the file with the encoding that it was written in.",
        2
    )]
    public void AByteThatIsNoTextIsNamed(string bytes, string encoding, string reason, int line)
    {
        System.IO.File.WriteAllBytes(File, Convert.FromHexString(bytes));
        string message = Assert.Throws<InvalidDataException>(() => StrictText.Lines(File, Encoding.GetEncoding(encoding)).Count()).Message;
        Assert.Equal($"{File}, line {line}: {(reason.StartsWith("begins", StringComparison.Ordinal) ? "the file " : "")}{reason}", message);
    }

    [Fact]
    public void AFileThatChangesIsSaidTo()
    {
        // What could not be decoded is looked for again, and is gone.
        System.IO.File.WriteAllText(File, "a\n");
        Assert.Equal($"{File} changed while it was read.", StrictText.Undecodable(File, Encoding.UTF8).Message);
    }

    [Fact]
    public void TheFileIsClosedWhateverHappens()
    {
        System.IO.File.WriteAllBytes(File, [0xEF, 0xBB, 0xBF, 0x61]);
        Assert.Throws<InvalidDataException>(() => StrictText.Open(File, Encoding.Latin1));
        // An encoding that cannot be asked for is the caller's error.
        Assert.Throws<NotSupportedException>(() => StrictText.Open(File, new NoEncoding()));
        using (StrictText.Open(File, Encoding.UTF8)) { }

        using FileStream alone = new(File, FileMode.Open, FileAccess.ReadWrite, FileShare.None);
        Assert.Equal(4, alone.Length);
    }

    [Fact]
    public void LongTextsAreShownInPart()
    {
        string forty = new('a', 40);
        Assert.Equal(forty, StrictText.Shown(forty));
        Assert.Equal(forty + "...", StrictText.Shown(forty + "b"));
    }

    private sealed class NoEncoding : Encoding
    {
        public override int CodePage => throw new NotSupportedException();

        public override int GetByteCount(char[] chars, int index, int count) => throw new NotSupportedException();

        public override int GetBytes(char[] chars, int charIndex, int charCount, byte[] bytes, int byteIndex) =>
            throw new NotSupportedException();

        public override int GetCharCount(byte[] bytes, int index, int count) => throw new NotSupportedException();

        public override int GetChars(byte[] bytes, int byteIndex, int byteCount, char[] chars, int charIndex) =>
            throw new NotSupportedException();

        public override int GetMaxByteCount(int charCount) => throw new NotSupportedException();

        public override int GetMaxCharCount(int byteCount) => throw new NotSupportedException();
    }
}
