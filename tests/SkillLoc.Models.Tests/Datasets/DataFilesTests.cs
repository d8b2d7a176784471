using SkillLoc.Models.Datasets;
using SkillLoc.Models.Tests.Checkpoints;

namespace SkillLoc.Models.Tests.Datasets;

public sealed class DataFilesTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void SeveralFilesAreReadOneAfterTheOther()
    {
        Write("b.tsv", "b\t1\n");
        Write("a.tsv", "a\t0\nA\t0\n");
        Write("B.tsv", "B\t1\n");
        Assert.Equal(["B", "a", "A", "b"], Read(["*.tsv"]).Select(row => row.Text));
        Assert.Equal([1, 1, 2, 1], Read(["*.tsv"]).Select(row => row.Line));
        Assert.Equal(["b", "a", "A"], Read(["b.tsv", "a.tsv"]).Select(row => row.Text));

        Write("empty.tsv", "");
        Assert.Single(Read(["b.tsv", "empty.tsv"]));
        Assert.EndsWith("empty.tsv have no rows.", Assert.Throws<InvalidDataException>(() => Read(["empty.tsv", "empty.tsv"])).Message);

        // A file's own name goes before the pattern it looks like.
        Write("*.tsv", "literal\t0\n");
        Assert.Equal("literal", Assert.Single(Read(["*.tsv"])).Text);

        Assert.Throws<FileNotFoundException>(() => Read(["*.csv"]));
        Assert.Throws<DirectoryNotFoundException>(() => Read(["none/*.csv"]));
        Assert.Throws<ArgumentException>(() => Read(["no*ne/*.csv"]));
        Assert.Throws<ArgumentException>(() => Read([]));
        Assert.Throws<ArgumentException>(() => TaskFileReader.Read(["a", ""], new()));
        Assert.Throws<ArgumentException>(() => TaskFileReader.Read(["a", "b"], new() { Layout = TaskFileLayout.Lines }, "labels"));
    }

    [Fact]
    public void PartsOfASetAreThereAllAndOfOneSet()
    {
        Write("train-00000-of-00002.tsv", "a\t0\n");
        Assert.Contains(
            "matches 1 of the 2 files of train-...-of-00002.tsv; the others are missing",
            Assert.Throws<InvalidDataException>(() => Read(["train-*"])).Message
        );
        Assert.Single(Read(["train-00000-of-00002.tsv"]));
        Write("train-00001-of-00002.tsv", "b\t1\n");
        Assert.Equal(["a", "b"], Read(["train-*"]).Select(row => row.Text));
        Write("test-00000-of-00001.tsv", "c\t1\n");
        Assert.Contains(
            "matches files of several sets: test-...-of-00001.tsv, train-...-of-00002.tsv. Name one, such as test-*.",
            Assert.Throws<InvalidDataException>(() => Read(["*.tsv"])).Message
        );
    }

    [Fact]
    public void FilesThatAreReadTogetherHaveTheSameColumns()
    {
        Write("1", "sentence\tlabel\na\t0\n");
        Write("2", "sentence\tlabel\tmore\nb\t0\tx\n");
        var names = new TaskFileFormat
        {
            HasHeader = true,
            Text = "sentence",
            Label = "label",
        };
        Assert.Equal(2, Read(["1", "2"], names).Length);
        Assert.Equal(
            $"{_folder.PathOf("2")} has the columns sentence and more, and {_folder.PathOf("1")} has the columns sentence and label; files that "
                + "are read together must be alike.",
            Assert.Throws<InvalidDataException>(() => Read(["1", "2"], names with { Label = ^1 })).Message
        );
        Assert.Contains("has 3 columns, and", Assert.Throws<InvalidDataException>(() => Read(["1", "2"], new TaskFileFormat())).Message);

        Write("1.json", "{\"text\": \"a\", \"label\": 1}\n");
        Write("2.json", "{\"text\": \"a\", \"label\": \"1\"}\n");
        Assert.StartsWith(
            $"{_folder.PathOf("2.json")}, line 1: the property 'label' is String and in the first row ({_folder.PathOf("1.json")}, line 1) Number",
            Assert
                .Throws<InvalidDataException>(() =>
                    Read(
                        ["?.json"],
                        new TaskFileFormat
                        {
                            Layout = TaskFileLayout.JsonLines,
                            Text = "text",
                            Label = "label",
                        }
                    )
                )
                .Message
        );
    }

    private void Write(string name, string text) => File.WriteAllText(_folder.PathOf(name), text);

    private LabeledText[] Read(string[] names, TaskFileFormat? format = null) =>
        [.. TaskFileReader.Read(Array.ConvertAll(names, _folder.PathOf), format ?? new())];
}
