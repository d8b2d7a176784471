using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Datasets;

namespace SkillLoc.Transforms.Tests;

public sealed class DataTests : IDisposable
{
    private readonly MLContext _ml = new(seed: 1);
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void ATaskIsLoadedWithTextLabels()
    {
        Write("dev.tsv", "sentence\tlabel\n\"fine\t1\nbad \t0\n");
        IDataView view = _ml.SkillLoc().Data.LoadTask(_folder, "SST-2", DataSplit.Dev);
        Assert.Equal(["Label", "Text"], view.Schema.Select(column => column.Name).Order());
        Assert.Equal(["\"fine", "bad "], view.GetColumn<string>("Text"));
        Assert.IsType<TextDataViewType>(view.Schema["Label"].Type);

        IDataView keyed = _ml.Transforms.Conversion.MapValueToKey("Label").Fit(view).Transform(view);
        Assert.Equal([1u, 2u], keyed.GetColumn<uint>("Label"));
        VBuffer<ReadOnlyMemory<char>> labels = default;
        keyed.Schema["Label"].GetKeyValues(ref labels);
        Assert.Equal(["1", "0"], labels.DenseValues().Select(label => label.ToString()));
    }

    [Fact]
    public void PairsHaveTwoTextsAndRegressionsNumbers()
    {
        Write("train.tsv", "0\t1\t2\t3\t4\t5\t6\ta\tb\tscore\n0\t1\t2\t3\t4\t5\t6\tA\tB\t3.800\n");
        IDataView view = _ml.SkillLoc().Data.LoadTask(_folder, "sts-b");
        Assert.Equal(["Label", "Text", "TextPair"], view.Schema.Select(column => column.Name).Order());
        Assert.Equal([3.8f], view.GetColumn<float>("Label"));
        Assert.Equal(["A"], view.GetColumn<string>("Text"));
        Assert.Equal(["B"], view.GetColumn<string>("TextPair"));
    }

    [Fact]
    public void SeveralFilesMakeAView()
    {
        string[] files = [Write("b.tsv", "b\t1\n"), Write("a.tsv", "a\t0\n")];
        Assert.Equal(["b", "a"], _ml.SkillLoc().Data.LoadTaskFile(files, new()).GetColumn<string>("Text"));
        Assert.Equal(["a", "b"], _ml.SkillLoc().Data.LoadTaskFile(Path.Join(_folder, "?.tsv"), new()).GetColumn<string>("Text"));
    }

    [Fact]
    public void ParquetNeedsItsPackageAndSaysSo()
    {
        string path = Oracles.PathOf("parquet", "hub.parquet");
        string message = Assert
            .Throws<NotSupportedException>(() =>
                _ml.SkillLoc().Data.LoadTaskFile(path, new() { Layout = TaskFileLayout.Parquet, Text = "sentence" })
            )
            .Message;
        Assert.StartsWith(path, message, StringComparison.Ordinal);
        Assert.Contains("dotnet add package SkillLoc.Data.Parquet", message, StringComparison.Ordinal);
    }

    [Fact]
    public void MulticlassRowsBecomeBinaryOnesAndAreSplitByOneRule()
    {
        IDataView view = _ml.SkillLoc()
            .Data.LoadTaskFile(Write("t", "a\nb\nc\nd\ne\n"), new() { Layout = TaskFileLayout.Lines }, Write("l", "0\n2\n2\n1\n0\n"));
        IDataView binary = _ml.SkillLoc().Data.Binarize(view, ["0", "1", "2"]);
        Assert.Equal(["a", "b", "c", "e"], binary.GetColumn<string>("Text"));
        Assert.Equal(["0", "1", "1", "0"], binary.GetColumn<string>("Label"));
        Assert.Equal(["a", "d"], _ml.SkillLoc().Data.Binarize(view, ["0", "1", "2"], BinaryQuestion.Neutral).GetColumn<string>("Text"));
        Assert.Equal(["1", "0", "1"], _ml.SkillLoc().Data.SelectLabels(view, ["1", "0"]).GetColumn<string>("Label"));

        (IDataView train, IDataView dev, IDataView test) = _ml.SkillLoc().Data.Split([view, binary]);
        Assert.Equal(["a", "b", "c", "d", "e"], train.GetColumn<string>("Text").Concat(dev.GetColumn<string>("Text")).Order());
        Assert.Single(dev.GetColumn<string>("Text"));
        Assert.Equal(binary.GetColumn<string>("Text"), test.GetColumn<string>("Text"));
        Assert.Throws<ArgumentOutOfRangeException>(() =>
            _ml.SkillLoc().Data.Split([_ml.Transforms.Conversion.MapValueToKey("Label").Fit(view).Transform(view)])
        );
    }

    [Fact]
    public void RowsInMemoryAreAView()
    {
        IDataView view = _ml.SkillLoc().Data.LoadRows([new("a", "b", "1.5"), new("c", "d", "2")], isRegression: true);
        Assert.Equal(["b", "d"], view.GetColumn<string>("TextPair"));
        Assert.Equal([1.5f, 2f], view.GetColumn<float>("Label"));
        Assert.Throws<ArgumentException>(() => _ml.SkillLoc().Data.LoadRows([]));
        Assert.Throws<ArgumentException>(() => _ml.SkillLoc().Data.LoadRows([new("a", "b", "1"), new("c", null, "2")]));
    }

    [Fact]
    public void ARowInMemoryThatIsWrongIsNamed()
    {
        Says(() => _ml.SkillLoc().Data.LoadRows([new("a", null, "x"), null!]), "Row 1 is null");
        Says(() => _ml.SkillLoc().Data.LoadRows([null!]), "Row 0 is null");
        Says(() => _ml.SkillLoc().Data.LoadRows([new(null!, null, "x")]), "Row 0 has no text");
        Says(() => _ml.SkillLoc().Data.LoadRows([new("a", null, "x"), new("b", null, null!)]), "Row 1 has no label");
        Says(
            () => _ml.SkillLoc().Data.LoadRows([new("a", null, "1"), new("b", null, "good", 7)], isRegression: true),
            "Row 1 (line 7) has the label 'good'"
        );
        Says(() => _ml.SkillLoc().Data.LoadRows([new("a", null, "NaN")], isRegression: true), "'NaN'");
        Says(() => _ml.SkillLoc().Data.LoadRows([new("a", "b", "1"), new("c", null, "2")]), "Row 1");

        static void Says(Action load, string said) => Assert.Contains(said, Assert.Throws<ArgumentException>(load).Message);
    }

    [Fact]
    public void BadInputIsFoundAtTheCall()
    {
        Write("train.tsv", "sentence\tlabel\ngood\t1\nbad\t2\n");
        InvalidDataException e = Assert.Throws<InvalidDataException>(() => _ml.SkillLoc().Data.LoadTask(_folder, "sst-2"));
        Assert.Contains("train.tsv, line 3: the label '2' is unknown; known are 0, 1.", e.Message);
        Assert.Throws<FileNotFoundException>(() => _ml.SkillLoc().Data.LoadTask(_folder, "sst-2", DataSplit.Test));
        Assert.Throws<ArgumentException>(() => _ml.SkillLoc().Data.LoadTask(_folder, "sst2"));
    }

    [Fact]
    public void FilesOfOtherFormatsAreLoaded()
    {
        string path = Write("rows.jsonl", "{\"q\": \"why\", \"a\": \"because\", \"good\": true}\n");
        IDataView view = _ml.SkillLoc()
            .Data.LoadTaskFile(
                path,
                TaskFileFormat.FromJson("""{"layout": "json_lines", "text": "q", "text_pair": "a", "label": "good"}""")
            );
        Assert.Equal(["because"], view.GetColumn<string>("TextPair"));
        Assert.Equal(["true"], view.GetColumn<string>("Label"));

        view = _ml.SkillLoc().Data.LoadTaskFile(Write("t", "one\ntwo\n"), new() { Layout = TaskFileLayout.Lines }, Write("l", "x\ny\n"));
        Assert.Equal(["x", "y"], view.GetColumn<string>("Label"));
    }

    [Fact]
    public void KShotDrawsTheRowsThatTheSamplerDraws()
    {
        // Drawn by Python's own Mersenne twister, as in KShotSamplerTests.
        Write("train.tsv", "sentence\tlabel\n" + string.Concat(Enumerable.Range(0, 8).Select(i => $"row {i}\t{i % 2}\n")));
        (IDataView train, IDataView dev) = _ml.SkillLoc().Data.SampleKShot(_ml.SkillLoc().Data.LoadTask(_folder, "sst-2"), 2, 100);
        Assert.Equal(["row 1", "row 5", "row 4", "row 2"], train.GetColumn<string>("Text"));
        Assert.Equal(["1", "1", "0", "0"], train.GetColumn<string>("Label"));
        Assert.Equal(["row 3", "row 7", "row 6", "row 0"], dev.GetColumn<string>("Text"));
    }

    [Fact]
    public void KShotOfARegressionNeedsABorder()
    {
        float[] scores = [0, 2.4f, 2.5f, 5, 1, 3, 2.499f, 4];
        Similarity[] rows =
        [
            .. scores.Select(
                (score, i) =>
                    new Similarity
                    {
                        Text = $"{i}",
                        TextPair = $"p{i}",
                        Label = score,
                    }
            ),
        ];
        IDataView data = _ml.Data.LoadFromEnumerable(rows.Append(new() { Text = "unknown", Label = float.NaN }));
        (IDataView train, IDataView dev) = _ml.SkillLoc().Data.SampleKShot(data, 2, 13, scoreBorder: 2.5f);
        Assert.Equal([2.4f, 1, 5, 3], train.GetColumn<float>("Label"));
        Assert.Equal(["p1", "p4", "p3", "p5"], train.GetColumn<string>("TextPair"));
        Assert.Equal(["6", "0", "7", "2"], dev.GetColumn<string>("Text"));

        Assert.Contains(
            "scoreBorder",
            Assert.Throws<ArgumentOutOfRangeException>(() => _ml.SkillLoc().Data.SampleKShot(data, 2, 13)).Message
        );
        Assert.Contains(
            "8 rows",
            Assert.Throws<InvalidDataException>(() => _ml.SkillLoc().Data.SampleKShot(data, 8, 13, scoreBorder: 5.5f)).Message
        );
    }

    [Fact]
    public void KShotNeedsTextAndALabelThatIsNoKey()
    {
        Write("train.tsv", "sentence\tlabel\na\t1\nb\t0\n");
        IDataView view = _ml.SkillLoc().Data.LoadTask(_folder, "sst-2");
        IDataView keyed = _ml.Transforms.Conversion.MapValueToKey("Label").Fit(view).Transform(view);
        Assert.Contains(
            "MapValueToKey",
            Assert.Throws<ArgumentOutOfRangeException>(() => _ml.SkillLoc().Data.SampleKShot(keyed, 1, 1)).Message
        );
        Assert.Throws<ArgumentOutOfRangeException>(() => _ml.SkillLoc().Data.SampleKShot(view, 1, 1, scoreBorder: 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => _ml.SkillLoc().Data.SampleKShot(view, 0, 1));
        IDataView bare = _ml.Data.LoadFromEnumerable(new[] { new Toy.Row() });
        Assert.Contains("missing", Assert.Throws<ArgumentOutOfRangeException>(() => _ml.SkillLoc().Data.SampleKShot(bare, 1, 1)).Message);
    }

    private string Write(string name, string text)
    {
        string path = Path.Join(_folder, name);
        File.WriteAllText(path, text);
        return path;
    }

    private sealed class Similarity
    {
        public string Text { get; set; } = "";

        public string TextPair { get; set; } = "";

        public float Label { get; set; }
    }
}
