using System.Buffers.Binary;
using System.Text;
using Parquet;
using Parquet.Schema;
using SkillLoc.Models.Datasets;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tests.Checkpoints;

namespace SkillLoc.Models.Tests.Datasets;

public sealed class ParquetTests : IDisposable
{
    private static readonly TaskFileFormat Hub = new()
    {
        Layout = TaskFileLayout.Parquet,
        Text = "sentence",
        Label = "label",
    };

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    /// <summary>The file was written by Arrow's C++ library, which is also pyarrow's: texts by dictionary, two groups of rows.</summary>
    [Fact]
    public void AFileOfTheHubHasTheNamesOfItsClasses()
    {
        string path = Oracles.PathOf("parquet", "hub.parquet");
        Assert.Equal(
            [
                new("a fine caf\u00e9 ", null, "positive", 1),
                new("bad", null, "negative", 2),
                new("bad", null, "negative", 3),
                new("", null, "", 4),
                new("good", null, "positive", 5),
            ],
            TaskFileReader.Read(path, Hub)
        );
        // By places, from either end.
        Assert.Equal(TaskFileReader.Read(path, Hub), TaskFileReader.Read(path, new() { Layout = TaskFileLayout.Parquet, Text = 1 }));

        Assert.StartsWith($"{path}, row 1: the label 'positive' is unknown; known are no.", Refused(path, Hub with { Labels = ["no"] }));
        Assert.Contains(
            "the column 'idx' is Int32; a text was expected. The columns are idx (Int32), sentence (text), label (Int64).",
            Refused(path, new() { Layout = TaskFileLayout.Parquet })
        );
        Assert.Contains("there is no column 'text'; there are idx (Int32), sentence", Refused(path, Hub with { Text = "text" }));
        Assert.Contains("there is no column ^4; there are idx", Refused(path, Hub with { Label = ^4 }));
        Assert.Contains("cannot be both", Refused(path, Hub with { Label = "sentence" }));
    }

    [Theory]
    [InlineData("b", "true", "false")]
    [InlineData("f", "1.5", "0.1")]
    [InlineData("i8", "1", "-1")]
    [InlineData("u8", "1", "255")]
    [InlineData("i16", "1", "-1")]
    [InlineData("u16", "1", "65535")]
    [InlineData("i32", "1", "-1")]
    [InlineData("u32", "1", "4294967295")]
    [InlineData("u64", "1", "18446744073709551615")]
    [InlineData("json", "{}", "[]")]
    public void LabelsAreTextsNumbersAndFlags(string label, params string[] expected) =>
        Assert.Equal(
            expected,
            TaskFileReader.Read(Oracles.PathOf("parquet", "kinds.parquet"), Hub with { Text = "s", Label = label }).Select(row => row.Label)
        );

    [Theory]
    [InlineData("s", "d", ", row 2: the column 'd' is null; leave rows without a label out.")]
    [InlineData("text", "b", ", row 2: the column 'text' has the byte 0xE9, which is not valid utf-8.")]
    [InlineData("nestedS", "b", ": the column 'nestedS' is nested (several values a row); a column with one value a row was expected.")]
    [InlineData("s", "nested", ": the column 'nested' is nested (several values a row)")]
    [InlineData("s", "ts", ": the column 'ts' is DateTime; a text, a number or a flag was expected.")]
    [InlineData("f", "b", ": the column 'f' is Single; a text was expected.")]
    public void WhatIsNoTextOrLabelIsRefusedByRowAndColumn(string text, string label, string expected)
    {
        string path = Oracles.PathOf("parquet", "kinds.parquet");
        Assert.StartsWith(path + expected, Refused(path, Hub with { Text = text, Label = label }));
    }

    [Fact]
    public async Task SeveralFilesHaveTheSameColumnsAndClasses()
    {
        await Write("train-00000-of-00002.parquet", ["a", "b"], [0, 1], Names("no", "yes"));
        await Write("train-00001-of-00002.parquet", ["c", "d"], [1, -1], Names("no", "yes"));
        string parts = _folder.PathOf("train-*.parquet");
        LabeledText[] rows = [.. TaskFileReader.Read(parts, Hub)];
        Assert.Equal(["a/no", "b/yes", "c/yes", "d/"], rows.Select(row => $"{row.Text}/{row.Label}"));
        Assert.Equal([1, 2, 1, 2], rows.Select(row => row.Line));

        await Write("train-00001-of-00002.parquet", ["c"], [0], Names("yes", "no"));
        Assert.Contains(
            "00001-of-00002.parquet has the columns sentence and label (Int64: yes, no), and "
                + $"{_folder.PathOf("train-00000-of-00002.parquet")} has the columns sentence and label (Int64: no, yes); files",
            Refused(parts, Hub)
        );
        File.Delete(_folder.PathOf("train-00001-of-00002.parquet"));
        Assert.Contains("1 of the 2 files", Refused(parts, Hub));
    }

    [Fact]
    public async Task NullsAndNumbersWithoutANameAreRefusedByRow()
    {
        string path = _folder.PathOf("file.parquet");
        await Write("file.parquet", ["a", null], [0, 1], "{}");
        Assert.Equal($"{path}, row 2: the column 'sentence' is null; a text was expected.", Refused(path, Hub));
        await Write("file.parquet", ["a", "b"], [0, null], "{}");
        Assert.Equal($"{path}, row 2: the column 'label' is null; leave rows without a label out.", Refused(path, Hub));
        await Write("file.parquet", ["a", "b"], [0, 2], Names("no", "yes"));
        Assert.Equal($"{path}, row 2: the column 'label' is 2, and the file has names from 0 to 1.", Refused(path, Hub));
        await Write("file.parquet", ["a", "b"], [0, 1], Names("no", "no"));
        Assert.StartsWith($"{path}: the metadata 'huggingface' do not name the classes of 'label'", Refused(path, Hub));
        await Write("file.parquet", ["a", "b"], [0, 1], "{");
        Assert.StartsWith($"{path}: the metadata 'huggingface' do not name", Refused(path, Hub));
        await Write("file.parquet", ["a", "b"], [0, 7], "{}");
        Assert.Equal(["0", "7"], TaskFileReader.Read(path, Hub).Select(row => row.Label));
        Assert.StartsWith($"{path}, row 2: a score from 0 to 5", Refused(path, Hub with { ScoreRange = new ScoreRange(0, 5) }));
        await Write("file.parquet", [], [], "{}");
        Assert.Equal($"{path} has no rows.", Refused(path, Hub));
    }

    [Fact]
    public void AFileThatIsCutOffOrOfAnotherKindIsRefused()
    {
        byte[] valid = File.ReadAllBytes(Oracles.PathOf("parquet", "hub.parquet"));
        string path = _folder.PathOf("file.parquet");
        for (int length = 0; length < valid.Length; length += 13)
        {
            File.WriteAllBytes(path, valid[..length]);
            Assert.StartsWith(path, Refused(path, Hub));
        }

        File.WriteAllText(path, "sentence\tlabel\nsome text\t1\n");
        Assert.Equal($"{path} is no Parquet file: it does not begin as such files do.", Refused(path, Hub));
        Assert.Throws<FileNotFoundException>(() => TaskFileReader.Read(_folder.PathOf("none.parquet"), Hub).Count());
    }

    [Fact]
    public void AListThatIsLongerThanTheFileIsRefused()
    {
        // The library read on behind the file's end, for ever.
        byte[] file = File.ReadAllBytes(Oracles.PathOf("parquet", "hub.parquet"));
        int list = file.AsSpan().IndexOf((byte[])[0x19, 0x1C, 0x18, 11, .. "huggingface"u8]) + 1;
        byte[] endless = [.. file[..list], 0xFC, 0xFF, 0xFF, 0xFF, 0xFF, 0x07, .. file[(list + 1)..]];
        BinaryPrimitives.WriteInt32LittleEndian(
            endless.AsSpan(endless.Length - 8),
            BinaryPrimitives.ReadInt32LittleEndian(file.AsSpan(file.Length - 8)) + 5
        );
        string path = _folder.PathOf("endless.parquet");
        File.WriteAllBytes(path, endless);
        Assert.Contains("not complete", Refused(path, Hub));
    }

    [Fact]
    public void MetadataThatStandTwiceAreRefused()
    {
        // In the words of Thrift's compact protocol: a list of one entry becomes one of two.
        byte[] valid = File.ReadAllBytes(Oracles.PathOf("parquet", "hub.parquet"));
        int start = valid.AsSpan().IndexOf((byte[])[0x19, 0x1C, 0x18, 11, .. "huggingface"u8]) + 2;
        int end = start + valid.AsSpan(start).IndexOf("}\0"u8) + 2;
        byte[] entry = valid[start..end];
        byte[] twice = [.. valid[..(start - 1)], 0x2C, .. entry, .. valid[start..]];
        BinaryPrimitives.WriteInt32LittleEndian(
            twice.AsSpan(twice.Length - 8),
            BinaryPrimitives.ReadInt32LittleEndian(valid.AsSpan(valid.Length - 8)) + entry.Length
        );
        string path = _folder.PathOf("twice.parquet");
        File.WriteAllBytes(path, twice);
        Assert.Contains("same key", Refused(path, Hub));
    }

    [Fact]
    public void ADamagedFileIsReadOrRefusedByItsName()
    {
        string path = _folder.PathOf("file.parquet");
        byte[] valid = File.ReadAllBytes(Oracles.PathOf("parquet", "hub.parquet"));
        IEnumerable<byte[]> mutants = Mutants.OfBytes(valid, 150, 4);
        // Its last byte but eight ends what describes the file: without it, the library would never end.
        byte[] endless = [.. valid];
        endless[^9] = 1;
        Assert.True(Mutants.AreReadOrRefused(path, mutants.Append(endless), () => _ = TaskFileReader.Read(path, Hub).ToList()) > 50);
    }

    private static string Refused(string path, TaskFileFormat format) =>
        Assert.Throws<InvalidDataException>(() => TaskFileReader.Read(path, format).Count()).Message;

    private static string Names(params string[] names) =>
        "{\"info\": {\"features\": {\"label\": {\"_type\": \"ClassLabel\", \"names\": [\"" + string.Join("\", \"", names) + "\"]}}}}";

    private async Task Write(string name, string?[] texts, long?[] labels, string metadata)
    {
        var text = new DataField<string>("sentence");
        var label = new DataField<long?>("label");
        await using FileStream file = File.Create(_folder.PathOf(name));
        await using ParquetWriter writer = await ParquetWriter.CreateAsync(
            new ParquetSchema(label, text),
            file,
            cancellationToken: TestContext.Current.CancellationToken
        );
        writer.CustomMetadata = new Dictionary<string, string> { ["huggingface"] = metadata };
        using ParquetRowGroupWriter rows = writer.CreateRowGroup();
        await rows.WriteAsync<long>(label, labels.AsMemory(), cancellationToken: TestContext.Current.CancellationToken);
        await rows.WriteAsync(text, texts!);
    }
}
