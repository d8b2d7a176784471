using Parquet;
using Parquet.Schema;
using SkillLoc.Models.Datasets;
using SkillLoc.Models.Tests.Checkpoints;

namespace SkillLoc.Models.Tests.Datasets;

/// <summary>Labels that are numbers, with the names that a file has for them.</summary>
public sealed class ParquetLabelTests : IDisposable
{
    private static readonly TaskFileFormat Format = new()
    {
        Layout = TaskFileLayout.Parquet,
        Text = "sentence",
        Label = "label",
    };

    private const string Named = """{"info": {"features": {"label": {"_type": "ClassLabel", "names": ["no", "yes"]}}}}""";

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task NumbersHaveNames()
    {
        Assert.Equal("yes", await LabelOf((byte)1));
        Assert.Equal("", await LabelOf((sbyte)-1));
        Assert.Equal("no", await LabelOf((ushort)0));
        Assert.Equal("yes", await LabelOf(1));
        Assert.Equal("yes", await LabelOf(1L));
        Assert.Equal("yes", await LabelOf(1UL));
        const string Names = ", and the file has names from 0 to 1.";
        Assert.Equal("is -2" + Names, await LabelOf(-2));
        Assert.Equal("is 2" + Names, await LabelOf(2L));
        Assert.Equal("is 18446744073709551615" + Names, await LabelOf(ulong.MaxValue));
        Assert.Equal("is -9223372036854775808" + Names, await LabelOf(long.MinValue));
        // Only whole numbers can have names.
        Assert.Equal("is 1" + Names, await LabelOf(1.0));
        Assert.Equal("is 0.5" + Names, await LabelOf(0.5f));
        Assert.Equal("is True" + Names, await LabelOf(true));
    }

    [Fact]
    public async Task TextsAreTheirOwnNamesAndNullIsNone()
    {
        var named = new DataField<string>("label");
        await Write(null, (rows, _) => rows.WriteAsync(named, ["maybe"]), named);
        Assert.Equal("maybe", TaskFileReader.Read(_folder.PathOf("file.parquet"), Format).Single().Label);
        var label = new DataField<long?>("label");
        await Write(null, (rows, stop) => rows.WriteAsync<long>(label, new long?[] { null }.AsMemory(), cancellationToken: stop), label);
        Assert.Equal(
            $"{_folder.PathOf("file.parquet")}, row 1: the column 'label' is null; leave rows without a label out.",
            Assert.Throws<InvalidDataException>(() => TaskFileReader.Read(_folder.PathOf("file.parquet"), Format).Count()).Message
        );
    }

    [Theory]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("""{"info": 1}""")]
    [InlineData("""{"info": {"features": {}}}""")]
    [InlineData("""{"info": {"features": {"label": 1}}}""")]
    [InlineData("""{"info": {"features": {"label": {}}}}""")]
    [InlineData("""{"info": {"features": {"label": {"_type": 1, "names": ["no", "yes"]}}}}""")]
    [InlineData("""{"info": {"features": {"label": {"_type": "Value", "names": ["no", "yes"]}}}}""")]
    [InlineData("""{"info": {"features": {"label": {"_type": "ClassLabel"}}}}""")]
    [InlineData("""{"info": {"features": {"label": {"_type": "ClassLabel", "names": "no"}}}}""")]
    public async Task NumbersWithoutNamesAreNumbers(string metadata)
    {
        Assert.Equal("1", await LabelOf(1L, metadata));
        Assert.Equal("0.5", await LabelOf(0.5, metadata));
        Assert.Equal("true", await LabelOf(true, metadata));
        Assert.Equal("18446744073709551615", await LabelOf(ulong.MaxValue, metadata));
    }

    [Theory]
    [InlineData("""{"info": {"features": {"label": {"_type": "ClassLabel", "names": ["no", null]}}}}""", "A name is null.")]
    [InlineData(
        """{"info": {"features": {"label": {"_type": "ClassLabel", "names": ["no", 1]}}}}""",
        "The requested operation requires an element of type 'String'"
    )]
    [InlineData(
        """{"info": {"features": {"label": {"_type": "ClassLabel", "names": ["no", "no"]}}}}""",
        "Names of label occur twice: no, no."
    )]
    [InlineData("{", "Expected depth to be zero")]
    public async Task NamesAreTextsThatDiffer(string metadata, string reason)
    {
        await Write(1L, metadata);
        string message = Assert
            .Throws<InvalidDataException>(() => TaskFileReader.Read(_folder.PathOf("file.parquet"), Format).Count())
            .Message;
        Assert.StartsWith(
            $"{_folder.PathOf("file.parquet")}: the metadata 'huggingface' do not name the classes of 'label' as they should: {reason}",
            message,
            StringComparison.Ordinal
        );
    }

    // The label of the only row, or what is said of it.
    private async Task<string> LabelOf<T>(T label, string? metadata = null)
        where T : struct
    {
        await Write(label, metadata ?? Named);
        string path = _folder.PathOf("file.parquet"),
            start = $"{path}, row 1: the column 'label' ";
        try
        {
            return TaskFileReader.Read(path, Format).Single().Label;
        }
        catch (InvalidDataException e)
        {
            Assert.StartsWith(start, e.Message, StringComparison.Ordinal);
            return e.Message[start.Length..];
        }
    }

    private Task Write<T>(T value, string metadata)
        where T : struct
    {
        var label = new DataField<T>("label");
        return Write(metadata, (rows, stop) => rows.WriteAsync<T>(label, new[] { value }.AsMemory(), cancellationToken: stop), label);
    }

    private async Task Write(string? metadata, Func<ParquetRowGroupWriter, CancellationToken, Task> write, DataField label)
    {
        CancellationToken stop = TestContext.Current.CancellationToken;
        var text = new DataField<string>("sentence");
        await using FileStream file = File.Create(_folder.PathOf("file.parquet"));
        await using ParquetWriter writer = await ParquetWriter.CreateAsync(new ParquetSchema(label, text), file, cancellationToken: stop);
        writer.CustomMetadata = new Dictionary<string, string> { ["huggingface"] = metadata ?? Named };
        using ParquetRowGroupWriter rows = writer.CreateRowGroup();
        await write(rows, stop);
        await rows.WriteAsync(text, ["a"]);
    }
}
