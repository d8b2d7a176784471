using System.IO.Compression;
using System.Text;
using SkillLoc.Models.Datasets;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tests.Checkpoints;

namespace SkillLoc.Models.Tests.Datasets;

/// <summary>Arguments of readers of rows, the parts of their messages, and streams that are read in any pieces.</summary>
public sealed class RowReasonTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private string File => _folder.PathOf("file");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void FilesAreNamed()
    {
        const string None = "There are no files, or one has no name. (Parameter 'paths')";
        Assert.Equal(None, Wrong(() => TaskFileReader.Read([], new())));
        Assert.Equal(None, Wrong(() => TaskFileReader.Read(["a", ""], new())));
        var lines = new TaskFileFormat { Layout = TaskFileLayout.Lines };
        Assert.Equal(
            "One file of labels belongs to one file of texts. (Parameter 'paths')",
            Wrong(() => TaskFileReader.Read(["a", "b"], lines, "c"))
        );
        Assert.Equal("The layout Lines needs a file of labels. (Parameter 'labelsPath')", Wrong(() => TaskFileReader.Read(["a"], lines)));
        Assert.Equal(
            "The layout Tabs has its labels in the file itself. (Parameter 'labelsPath')",
            Wrong(() => TaskFileReader.Read(["a"], new(), "b"))
        );
        Assert.Throws<ArgumentException>(() => TaskFileReader.Read("", new()));
        Assert.Throws<ArgumentNullException>(() => TaskFileReader.Read(["a"], null!));
    }

    [Theory]
    [InlineData(TaskFileLayout.Tabs, "t", null, null, "t")]
    [InlineData(TaskFileLayout.Tabs, null, "p", null, "p")]
    [InlineData(TaskFileLayout.Csv, null, "1", "l", "l")]
    [InlineData(TaskFileLayout.Csv, null, null, "l", "l")]
    public void NamesNeedAHeader(TaskFileLayout layout, string? text, string? pair, string? label, string said)
    {
        TaskFileFormat format = Format(layout, text, pair, label);
        Assert.Equal(
            $"The column '{said}' is asked for by its name and the file has no header; give its place. (Parameter 'format')",
            Wrong(() => TaskFileReader.Read("a", format))
        );
        // With a header they are looked for there, and other layouts have names without one.
        Assert.NotNull(TaskFileReader.Read("a", format with { HasHeader = true }));
        Assert.NotNull(TaskFileReader.Read("a", format with { Layout = TaskFileLayout.LabelFirst }));
        Assert.NotNull(TaskFileReader.Read("a", format with { Layout = TaskFileLayout.Parquet }));
        Assert.NotNull(TaskFileReader.Read("a", format with { Layout = TaskFileLayout.Lines }, "b"));
    }

    [Theory]
    [InlineData("t", null, "l", true)]
    [InlineData("t", "p", "l", true)]
    [InlineData(null, null, "l", false)]
    [InlineData("t", null, null, false)]
    [InlineData("t", "1", "l", false)]
    public void JsonHasNames(string? text, string? pair, string? label, bool isRight)
    {
        TaskFileFormat format = Format(TaskFileLayout.JsonLines, text, pair, label);
        if (isRight)
        {
            Assert.NotNull(TaskFileReader.Read("a", format));
        }
        else
        {
            Assert.Equal(
                "The columns of JSON lines have names; give those instead of places. (Parameter 'format')",
                Wrong(() => TaskFileReader.Read("a", format))
            );
        }
    }

    [Theory]
    [InlineData(TaskFileLayout.JsonLines, ";", null, "The layout JsonLines has no Separator; Tabs and Csv have.")]
    [InlineData(TaskFileLayout.LabelFirst, null, "", "The layout LabelFirst has no Quote; Tabs and Csv have.")]
    [InlineData(TaskFileLayout.Tabs, "", null, "The Separator '' is not one ASCII character other than a line break.")]
    [InlineData(TaskFileLayout.Tabs, ";;", null, "The Separator ';;' is not one ASCII character other than a line break.")]
    [InlineData(TaskFileLayout.Tabs, "\u3001", null, "The Separator '\u3001' is not one ASCII character other than a line break.")]
    [InlineData(TaskFileLayout.Tabs, "\0", null, "The Separator '\0' is not one ASCII character other than a line break.")]
    [InlineData(TaskFileLayout.Tabs, "\r", null, "The Separator '\r' is not one ASCII character other than a line break.")]
    [InlineData(TaskFileLayout.Tabs, "\n", null, "The Separator '\n' is not one ASCII character other than a line break.")]
    [InlineData(
        TaskFileLayout.Csv,
        null,
        "''",
        "The Quote '''' is not one ASCII character other than a line break; an empty one says that"
    )]
    [InlineData(TaskFileLayout.Csv, "\"", null, "The Separator and the Quote are both '\"'.")]
    [InlineData(TaskFileLayout.Tabs, "'", "'", "The Separator and the Quote are both '''.")]
    [InlineData(TaskFileLayout.Tabs, "\u0001", "\u007f", null)]
    [InlineData(TaskFileLayout.Csv, "\t", "", null)]
    public void SeparatorsAreCharacters(TaskFileLayout layout, string? separator, string? quote, string? reason)
    {
        TaskFileFormat format = Format(
            layout,
            layout == TaskFileLayout.JsonLines ? "t" : null,
            null,
            layout == TaskFileLayout.JsonLines ? "l" : null
        ) with
        {
            Separator = separator,
            Quote = quote,
        };
        if (reason is null)
        {
            Assert.NotNull(TaskFileReader.Read("a", format));
        }
        else
        {
            Assert.StartsWith(reason, Wrong(() => TaskFileReader.Read("a", format)), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void FilesWithoutRowsAreAllNamed()
    {
        string other = _folder.PathOf("other");
        System.IO.File.WriteAllText(File, "a\tb\n");
        System.IO.File.WriteAllText(other, "a\tb\n");
        TaskFileFormat headed = new() { HasHeader = true };
        Assert.Equal($"{File} has no rows after its header.", Refused([File], headed));
        Assert.Equal($"{File}, {other} have no rows after its header.", Refused([File, other], headed));
        System.IO.File.WriteAllText(other, "a\tc\n");
        Assert.Equal(
            $"{other} has the columns a and c, and {File} has the columns a and b; files that are read together must be alike.",
            Refused([File, other], headed)
        );
    }

    [Fact]
    public void LabelsAndScoresAreKnown()
    {
        System.IO.File.WriteAllText(File, "x\t" + new string('a', 50) + "\n");
        string shown = new string('a', 40) + "...";
        Assert.Equal($"{File}, line 1: the label '{shown}' is unknown; known are 0, 1.", Refused([File], new() { Labels = ["0", "1"] }));
        var map = new Dictionary<string, string> { ["0"] = "no" };
        Assert.Equal($"{File}, line 1: the label '{shown}' is unknown; known are 0.", Refused([File], new() { LabelMap = map }));
        Assert.Equal(
            $"{File}, line 1: a score from 0 to 2.5 was expected and '{shown}' found.",
            Refused([File], new() { ScoreRange = new ScoreRange(0, 2.5f) })
        );
        System.IO.File.WriteAllText(File, "x\t0\ny\t1\n");
        Assert.Equal(
            $"{File}, line 1: the label 'no' is unknown; known are yes.",
            Refused([File], new() { LabelMap = map, Labels = ["yes"] })
        );
        Assert.Equal(["0", "1"], TaskFileReader.Read(File, new() { ScoreRange = new ScoreRange(0, 1) }).Select(row => row.Label));
        Assert.Equal(
            $"{File}, line 2: a score from 0 to 0.5 was expected and '1' found.",
            Refused([File], new() { ScoreRange = new ScoreRange(0, 0.5f) })
        );
    }

    [Fact]
    public void RowsAreWrittenWithFewQuotes()
    {
        using var stream = new MemoryStream();
        CsvRows.Write(
            stream,
            [
                ["a", "b c", "d,e"],
                ["f\"g", "", "h\ni"],
                [""],
            ]
        );
        Assert.Equal("a,b c,\"d,e\"\n\"f\"\"g\",,\"h\ni\"\n\"\"\n", Encoding.UTF8.GetString(stream.ToArray()));
        Assert.True(stream.CanRead);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(16)]
    [InlineData(17)]
    [InlineData(100_000)]
    public void CompressedTextIsReadInPiecesOfAnySize(int size)
    {
        byte[] text = Encoding.UTF8.GetBytes(string.Concat(Enumerable.Range(0, 3000).Select(i => $"{i * 7919 % 10007}\t")));
        foreach (bool isGzip in new[] { true, false })
        {
            byte[] compressed = Compress(text, isGzip);
            using var file = new MemoryStream(compressed);
            using Stream stream = isGzip ? new GzipText(file) : new BrotliText(file);
            Assert.Equal((true, false, false), (stream.CanRead, stream.CanSeek, stream.CanWrite));
            Assert.Equal(0, stream.Read([]));
            using var read = new MemoryStream();
            byte[] piece = new byte[size + 2];
            for (int count; (count = stream.Read(piece, 1, size)) > 0; )
            {
                read.Write(piece, 1, count);
            }

            Assert.Equal(text, read.ToArray());
            Assert.Equal(0, stream.Read(piece));
            Assert.Throws<NotSupportedException>(() => stream.Length);
            Assert.Throws<NotSupportedException>(() => stream.Position);
            Assert.Throws<NotSupportedException>(() => stream.Position = 1);
            Assert.Throws<NotSupportedException>(() => stream.Seek(0, SeekOrigin.Begin));
            Assert.Throws<NotSupportedException>(() => stream.SetLength(1));
            Assert.Throws<NotSupportedException>(() => stream.Write(piece, 0, 1));
            stream.Flush();
            stream.Dispose();
            Assert.False(file.CanRead);
            for (int cut = 20; cut < compressed.Length; cut += compressed.Length / 5)
            {
                using Stream half = isGzip
                    ? new GzipText(new MemoryStream(compressed[..cut]))
                    : new BrotliText(new MemoryStream(compressed[..cut]));
                Assert.Contains(
                    "cut off",
                    Assert
                        .Throws<InvalidDataException>(() =>
                        {
                            while (half.Read(piece) > 0) { }
                        })
                        .Message,
                    StringComparison.Ordinal
                );
            }
        }
    }

    private static TaskFileFormat Format(TaskFileLayout layout, string? text, string? pair, string? label) =>
        new()
        {
            Layout = layout,
            Text = text is null ? 0 : text,
            TextPair =
                pair is null ? (FileColumn?)null
                : pair == "1" ? 1
                : (FileColumn)pair,
            Label = label is null ? ^1 : label,
        };

    private static string Wrong(Func<object> read) =>
        Assert
            .Throws<ArgumentException>(() =>
            {
                _ = read();
            })
            .Message;

    private static string Refused(string[] paths, TaskFileFormat format) =>
        Assert.Throws<InvalidDataException>(() => TaskFileReader.Read(paths, format).Count()).Message;

    private static byte[] Compress(byte[] text, bool isGzip)
    {
        using var compressed = new MemoryStream();
        using (
            Stream stream = isGzip
                ? new GZipStream(compressed, CompressionLevel.Optimal)
                : new BrotliStream(compressed, CompressionLevel.Fastest)
        )
        {
            stream.Write(text);
        }

        return compressed.ToArray();
    }
}
