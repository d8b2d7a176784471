using Parquet;
using Parquet.Schema;
using SkillLoc.Models.Datasets;
using SkillLoc.Models.Tests.Checkpoints;
using static SkillLoc.Models.Tests.Datasets.ParquetBytes;

namespace SkillLoc.Models.Tests.Datasets;

/// <summary>Whole files made byte by byte: what is read of them, and what is refused.</summary>
public sealed class ParquetFileTests : IDisposable
{
    private const int Texts = 6,
        Numbers = 1;
    private const int Gzip = 2;

    private static readonly TaskFileFormat Format = new()
    {
        Layout = TaskFileLayout.Parquet,
        Text = "text",
        Label = "label",
    };

    private static readonly Column Labels = new("label", Numbers, Page(3, 0, [1, 0, 0, 0, 2, 0, 0, 0, 255, 255, 255, 255]));

    private readonly TemporaryFolder _folder = new();

    private string Path => _folder.PathOf("file.parquet");

    public void Dispose() => _folder.Dispose();

    public static TheoryData<string, byte[]> Pages =>
        new()
        {
            { "plain", Page(3, 0, Plain("one", "once", "")) },
            { "two pages", [.. Page(1, 0, Plain("one")), .. Page(2, 0, Plain("once", ""))] },
            { "differences", Page(3, 7, DeltaTexts("one", "once", "")) },
            { "lengths", Page(3, 6, [.. Deltas(5, 3, 4, 0), .. "oneonce"u8]) },
            {
                "second format",
                PageV2(3, 0, 7, [], DeltaTexts("one", "once", ""), DeltaTexts("one", "once", "").Length, isCompressed: false)
            },
        };

    [Theory]
    [MemberData(nameof(Pages))]
    public void TextsAreReadInEveryForm(string form, byte[] pages)
    {
        Write(new("text", Texts, pages));
        Assert.Equal(["one/1", "once/2", "/-1"], TaskFileReader.Read(Path, Format).Select(row => $"{row.Text}/{row.Label}"));
        Assert.NotEmpty(form);
    }

    [Fact]
    public void TextsOfADictionaryAreRead()
    {
        // The entries by numbers of one bit: 0, 1 and 0.
        Write(new("text", Texts, Page(3, 8, [1, 3, 0b010])) { Dictionary = Dictionary(2, Plain("one", "once")) });
        Assert.Equal(["one", "once", "one"], TaskFileReader.Read(Path, Format).Select(row => row.Text));
    }

    [Fact]
    public void ValuesThatMayBeNullAreRead()
    {
        // Three levels of 1.
        Write(new("text", Texts, Page(3, 7, [2, 0, 0, 0, 6, 1, .. DeltaTexts("one", "once", "")])) { MayBeNull = true });
        Assert.Equal(["one", "once", ""], TaskFileReader.Read(Path, Format).Select(row => row.Text));
        Write(new("text", Texts, PageV2(3, 1, 0, [4, 1, 2, 0], Plain("one", "once"), 15, isCompressed: false)) { MayBeNull = true });
        Refused(", row 3: the column 'text' is null; a text was expected.");
    }

    [Fact]
    public void TextsThatBecomeTooManyAreRefusedBeforeTheyAreRead()
    {
        // 64 MB and 200 times the file are allowed, and these are 300 MB of less than a MB.
        string[] texts = [.. Enumerable.Repeat(new string('a', 30_000), 10_000)];
        byte[] page = Page(texts.Length, 7, DeltaTexts(texts));
        File.WriteAllBytes(
            Path,
            Whole(texts.Length, new("text", Texts, page), new("label", Numbers, Page(texts.Length, 0, new byte[4 * texts.Length])))
        );
        long before = GC.GetAllocatedBytesForCurrentThread();
        Refused(", column 'text', rows from 1: the Parquet file is damaged");
        Assert.Contains("its pages hold more than", Message(), StringComparison.Ordinal);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 20 << 20);
    }

    [Fact]
    public void ABlockOfNumbersThatWouldTakeGigabytesIsRefused()
    {
        byte[] numbers = [.. (byte[])[0x80, 0x80, 0x80, 0x80, 0x04, 1, 3, 2], .. new byte[20]];
        File.WriteAllBytes(
            Path,
            Whole(3, new("text", Texts, Page(3, 0, Plain("a", "b", "c"))), new("label", Numbers, Page(3, 5, numbers)))
        );
        Refused(", column 'label', rows from 1: the Parquet file is damaged");
        Assert.Contains("in blocks of 1073741824", Message(), StringComparison.Ordinal);
    }

    [Fact]
    public void PagesWithoutAllTheirLevelsDoNotLeadBehindThem()
    {
        // Two levels for three values: the library would take the next column for more pages.
        Write(new("text", Texts, Page(3, 0, [2, 0, 0, 0, 4, 1, .. Plain("one", "once", "")])) { MayBeNull = true });
        Refused(", column 'text', rows from 1: the Parquet file is damaged");
        Assert.Contains("there is nothing to be read at byte", Message(), StringComparison.Ordinal);
    }

    [Fact]
    public void APageThatIsNotWhatItsCompressionMakesIsRefused()
    {
        Write(new("text", Texts, Page(3, 0, Plain("a", "b", "c"))) { Codec = Gzip });
        Refused(", column 'text', rows from 1: the Parquet file is damaged");
    }

    [Fact]
    public async Task AColumnOfColumnsIsRefused()
    {
        var schema = new ParquetSchema(new StructField("text", new DataField<int>("x")), new DataField<int>("label"));
        await using (FileStream file = File.Create(Path))
        await using (
            ParquetWriter writer = await ParquetWriter.CreateAsync(schema, file, cancellationToken: TestContext.Current.CancellationToken)
        )
        {
            using ParquetRowGroupWriter rows = writer.CreateRowGroup();
            DataField[] fields = schema.GetDataFields();
            CancellationToken cancellation = TestContext.Current.CancellationToken;
            await rows.WriteAsync<int>(fields[0], new int?[] { 1, 2 }.AsMemory(), cancellationToken: cancellation);
            await rows.WriteAsync<int>(fields[1], new int[] { 1, 2 }.AsMemory(), cancellationToken: cancellation);
        }

        Refused(
            ": the column 'text' is nested (several columns); a column with one value a row was expected. "
                + "There are text (several columns), label (Int32)."
        );
    }

    [Fact]
    public void AColumnOfSeveralValuesARowIsRefused()
    {
        Write(new("text", Texts, Page(3, 0, Plain("a", "b", "c"))) { IsRepeated = true });
        Refused(": the column 'text' is nested (several values a row); a column with one value a row was expected.");
    }

    [Theory]
    [InlineData(2)]
    [InlineData(9)]
    public void AColumnBehindTheLastIsRefused(int place)
    {
        Write(new("text", Texts, Page(3, 0, Plain("a", "b", "c"))));
        Assert.Equal(
            $"{Path}: there is no column {place}; there are text (text), label (Int32).",
            Assert.Throws<InvalidDataException>(() => TaskFileReader.Read(Path, Format with { Text = place }).Count()).Message
        );
    }

    [Theory]
    [InlineData("", "it has 0 bytes")]
    [InlineData("50415231", "it has 4 bytes")]
    [InlineData("50415231 00 00 00 50415231", "it has 11 bytes")]
    [InlineData("50415232 01000000 50415231", "does not begin as such files do")]
    [InlineData("50415231 01000000 50415231", "does not end as such files do")]
    [InlineData("50415231 00 01000000 50415232", "does not end as such files do")]
    [InlineData("50415231 01 01000000 50415231", "does not end as such files do")]
    [InlineData("50415231 00 02000000 50415231", "does not end as such files do")]
    [InlineData("50415231 00 FFFFFFFF 50415231", "does not end as such files do")]
    [InlineData("50415231 0000 02000000 50415231", "what describes its columns is not complete")]
    public void TheEndsOfAFileAreLookedAt(string hex, string reason)
    {
        File.WriteAllBytes(Path, Convert.FromHexString(hex.Replace(" ", "", StringComparison.Ordinal)));
        Assert.StartsWith(Path, Message(), StringComparison.Ordinal);
        Assert.Contains(reason, Message(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0, "what describes its columns is not complete")]
    [InlineData(1, "does not end as such files do")]
    public void WhatDescribesAFileHasALimit(int more, string reason)
    {
        int footer = (1 << 26) + more;
        using (FileStream file = File.Create(Path))
        {
            file.Write("PAR1"u8);
            file.SetLength(4 + footer);
            file.Position = 4 + footer;
            file.Write([.. BitConverter.GetBytes(footer), .. "PAR1"u8]);
        }

        Assert.Contains(reason, Message(), StringComparison.Ordinal);
    }

    private void Write(Column texts) => File.WriteAllBytes(Path, Whole(3, texts, Labels));

    private string Message() => Assert.Throws<InvalidDataException>(() => TaskFileReader.Read(Path, Format).Count()).Message;

    private void Refused(string expected) => Assert.StartsWith(Path + expected, Message(), StringComparison.Ordinal);
}
