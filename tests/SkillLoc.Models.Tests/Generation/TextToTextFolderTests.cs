using System.Text;
using SkillLoc.Models.Datasets;
using SkillLoc.Models.Generation;
using SkillLoc.Models.Tests.Checkpoints;

namespace SkillLoc.Models.Tests.Generation;

public sealed class TextToTextFolderTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void PrefixesAreThoseOfTheSortedFileNames()
    {
        // A hyphen sorts before an underscore, so that a-b's files come before a's.
        foreach (
            string name in new[]
            {
                "a_train.tsv",
                "a_dev.tsv",
                "a-b_test.tsv",
                "a_16_13_dev.tsv",
                "notes.tsv",
                "a_train.tsv.bak",
                "z_train.txt",
                "c_other.tsv",
            }
        )
        {
            Write(name, "x\ty\n");
        }

        var folder = TextToTextFolder.Open(_folder.Path + Path.DirectorySeparatorChar);
        Assert.Equal(["a-b", "a_16_13", "a"], folder.Prefixes);
        Assert.Equal(Path.GetFileName(_folder.Path), folder.TaskName);
        Assert.Equal(_folder.Path, folder.Path);
    }

    [Fact]
    public void LinesAreATextAndItsAnswersWithoutQuoting()
    {
        Write("t_dev.tsv", "premise: \"A, [SEP] hypothesis: B\tentailment\r\nquestion: who? \t Anne \tAnne B.\tÅsa\n\tyes\r\n\n\n");
        IReadOnlyList<AnsweredText> rows = Read(DataSplit.Dev);
        Assert.Equal(["premise: \"A, [SEP] hypothesis: B", "question: who? ", ""], rows.Select(row => row.Text));
        Assert.Equal(["entailment"], rows[0].Answers);
        Assert.Equal(["Anne", "Anne B.", "Åsa"], rows[1].Answers);
        Assert.Equal([1, 2, 3], rows.Select(row => row.Line));
    }

    [Fact]
    public void TheTrainingFileIsHalvedAndAnyFileCutShort()
    {
        Write("t_train.tsv", "1\ta\n2\ta\n3\ta\n4\ta\n5\ta\n");
        Write("t_test.tsv", "1\ta\n2\ta\n3\ta\n");
        Assert.Equal("1 2", Texts(Read(DataSplit.Train, half: TrainingHalf.First)));
        Assert.Equal("3 4 5", Texts(Read(DataSplit.Train, half: TrainingHalf.Second)));
        Assert.Equal("3", Texts(Read(DataSplit.Train, 1, TrainingHalf.Second)));
        Assert.Equal("1 2", Texts(Read(DataSplit.Test, 2)));
        Assert.Equal("1 2 3", Texts(Read(DataSplit.Test, 3)));
        Assert.Equal("1 2 3", Texts(Read(DataSplit.Test, 1000)));
        Assert.Throws<ArgumentException>(() => Read(DataSplit.Test, half: TrainingHalf.First));
        Assert.Throws<ArgumentOutOfRangeException>(() => Read(DataSplit.Test, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => Read(DataSplit.Train, half: (TrainingHalf)3));

        Write("t_train.tsv", "1\ta\n");
        Assert.Contains(
            "no rows in that half",
            Assert.Throws<InvalidDataException>(() => Read(DataSplit.Train, half: TrainingHalf.First)).Message
        );
        Assert.Equal("1", Texts(Read(DataSplit.Train, half: TrainingHalf.Second)));

        static string Texts(IEnumerable<AnsweredText> rows) => string.Join(' ', rows.Select(row => row.Text));
    }

    [Fact]
    public void AnswersBecomeLettersForCartography()
    {
        Write("t_train.tsv", "1\tneutral\n2\tentailment\tcontradiction\n");
        Assert.Equal(["b", "a", "c"], Read(DataSplit.Train, answerMap: TextToTextFolder.CartographyLetters).SelectMany(row => row.Answers));
        Write("t_train.tsv", "1\tneutral\n2\tNeutral\n");
        Assert.Contains(
            "t_train.tsv, line 2: the answer 'Neutral' has no other in its place; known are entailment, neutral, contradiction.",
            Assert.Throws<InvalidDataException>(() => Read(DataSplit.Train, answerMap: TextToTextFolder.CartographyLetters)).Message
        );
    }

    [Theory]
    [InlineData("a\tb\nno tab\n", "line 2: a text, a tab and an answer were expected and 'no tab' found")]
    [InlineData("a\tb\nc\t\n", "line 2: answer 1 of 1 is empty")]
    [InlineData("a\tb\t \n", "line 1: answer 2 of 2 is empty")]
    [InlineData("a\tb\n\nc\td\n", "line 2: the line is empty")]
    [InlineData("", "has no rows")]
    [InlineData("\n", "has no rows")]
    public void WhatIsNoRowIsNamedByFileAndLine(string content, string expected)
    {
        Write("t_train.tsv", content);
        string message = Assert.Throws<InvalidDataException>(() => Read(DataSplit.Train, 1)).Message;
        Assert.Contains("t_train.tsv", message, StringComparison.Ordinal);
        Assert.Contains(expected, message, StringComparison.Ordinal);
    }

    [Fact]
    public void AByteThatIsNoUtf8IsFoundAndAnotherEncodingRead()
    {
        File.WriteAllBytes(_folder.PathOf("t_train.tsv"), [.. "a\tb\nc"u8, 0xE9, .. "\td\n"u8]);
        Assert.Contains("line 2: the byte 0xE9", Assert.Throws<InvalidDataException>(() => Read(DataSplit.Train)).Message);
        Assert.Equal("cé", TextToTextFolder.Open(_folder.Path, Encoding.Latin1).Read("t", DataSplit.Train)[1].Text);
    }

    [Fact]
    public void WhatIsMissingIsNamed()
    {
        Assert.Throws<DirectoryNotFoundException>(() => TextToTextFolder.Open(_folder.PathOf("absent")));
        Assert.Contains("{prefix}_train.tsv", Assert.Throws<FileNotFoundException>(() => TextToTextFolder.Open(_folder.Path)).Message);
        Write("t_train.tsv", "a\tb\n");
        Assert.Contains("t_dev.tsv", Assert.Throws<FileNotFoundException>(() => Read(DataSplit.Dev)).Message);
        Assert.Contains(
            "prefix 'u', only of t.",
            Assert.Throws<ArgumentException>(() => TextToTextFolder.Open(_folder.Path).Read("u", DataSplit.Train)).Message
        );
    }

    [Fact]
    public void RowsWrittenAreReadBack()
    {
        AnsweredText[] rows = [new("\"quoted\" ünd, 𝒳 \u2028", ["yes", "oh yes"]), new("", ["no"]), new(" b\\n ", ["\"c"])];
        string folder = _folder.PathOf("glue-sst2");
        Assert.Equal(Path.Combine(folder, "glue-sst2_16_dev.tsv"), TextToTextFolder.Write(folder, "glue-sst2_16", DataSplit.Dev, rows));
        Assert.Equal(
            "\"quoted\" ünd, 𝒳 \u2028\tyes\toh yes\n\tno\n b\\n \t\"c\n"u8.ToArray(),
            File.ReadAllBytes(Path.Combine(folder, "glue-sst2_16_dev.tsv"))
        );

        var read = TextToTextFolder.Open(folder);
        Assert.Equal(("glue-sst2", "glue-sst2_16"), (read.TaskName, Assert.Single(read.Prefixes)));
        IReadOnlyList<AnsweredText> again = read.Read("glue-sst2_16", DataSplit.Dev);
        Assert.Equal(rows.Select(row => row.Text), again.Select(row => row.Text));
        Assert.Equal(rows.Select(row => row.Answers), again.Select(row => row.Answers));
        Assert.Equal(["glue-sst2_16_dev.tsv"], Directory.EnumerateFileSystemEntries(folder).Select(Path.GetFileName));
    }

    [Fact]
    public void WhatTheFormatCannotHoldIsNotWritten()
    {
        AnsweredText right = new("a", ["b"]);
        AnsweredText[] wrong =
        [
            new("a\tb", ["c"]),
            new("a\nb", ["c"]),
            new("a\r", ["c"]),
            new("a", ["b\tc"]),
            new("a", ["b", "c\r\nd"]),
            new("a", []),
            new("a", [""]),
            new("a", ["b", " "]),
            new("a", [" b"]),
            new("a", ["b\u00A0"]),
            new("\uD800", ["c"]),
        ];
        foreach (AnsweredText row in wrong)
        {
            ArgumentException e = Assert.ThrowsAny<ArgumentException>(() =>
                TextToTextFolder.Write(_folder.Path, "t", DataSplit.Train, [right, row])
            );
            Assert.True(e is EncoderFallbackException || e.Message.StartsWith("Row 1", StringComparison.Ordinal), e.Message);
        }

        Assert.Throws<ArgumentException>(() => TextToTextFolder.Write(_folder.Path, "t", DataSplit.Train, []));
        Assert.Throws<ArgumentException>(() => TextToTextFolder.Write(_folder.Path, "t/u", DataSplit.Train, [right]));
        Assert.Throws<ArgumentOutOfRangeException>(() => TextToTextFolder.Write(_folder.Path, "t", (DataSplit)3, [right]));
        Assert.Empty(_folder.Names());
    }

    private void Write(string name, string content) => File.WriteAllText(_folder.PathOf(name), content);

    private IReadOnlyList<AnsweredText> Read(
        DataSplit split,
        int? maxRows = null,
        TrainingHalf half = TrainingHalf.Both,
        IReadOnlyDictionary<string, string>? answerMap = null
    ) => TextToTextFolder.Open(_folder.Path).Read("t", split, maxRows, half, answerMap);
}
