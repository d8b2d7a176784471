using Microsoft.ML;
using Microsoft.ML.Data;

namespace Standins.MicrosoftML.Tests;

public sealed class TextTests : IDisposable
{
    private readonly MLContext _ml = new(seed: 1);
    private readonly string _path = Path.GetTempFileName();

    public void Dispose() => File.Delete(_path);

    [Fact]
    public void Fields_become_members()
    {
        File.WriteAllLines(_path, ["Text\tSentiment\tStars", "so it goes\tgood\t4", "meh\t\t1.5", "", "x\ty"]);
        var view = _ml.Data.LoadFromTextFile<Review>(_path, hasHeader: true);
        Assert.Equal(["so it goes", "meh", "x"], view.GetColumn<string>("Text"));
        Assert.Equal(["good", "", "y"], view.GetColumn<string>("Sentiment"));
        Assert.Equal([4f, 1.5f, 0f], view.GetColumn<float>("Stars"));
        Assert.Null(view.GetRowCount());
    }

    [Fact]
    public void Quotes_are_taken_off_only_if_quoting_is_allowed()
    {
        File.WriteAllLines(_path, ["\"a, b\",\"say \"\"hi\"\"\",3"]);
        var quoted = _ml.Data.LoadFromTextFile<Review>(_path, ',', allowQuoting: true);
        Assert.Equal("a, b", quoted.GetColumn<string>("Text").Single());
        Assert.Equal("say \"hi\"", quoted.GetColumn<string>("Sentiment").Single());
        Assert.Equal(3, quoted.GetColumn<float>("Stars").Single());
        Assert.Equal("\"a", _ml.Data.LoadFromTextFile<Review>(_path, ',').GetColumn<string>("Text").Single());
    }

    [Fact]
    public void Spaces_before_a_field_do_not_count_and_those_at_the_end_of_a_line_are_trimmed_on_request()
    {
        File.WriteAllLines(_path, ["  a b ,  c  "]);
        TextLoader.Column[] columns = [new("A", DataKind.String, 0), new("B", DataKind.String, 1)];
        var view = _ml.Data.LoadFromTextFile(_path, columns, ',');
        Assert.Equal("a b ", view.GetColumn<string>("A").Single());
        Assert.Equal("c  ", view.GetColumn<string>("B").Single());
        Assert.Equal("c", _ml.Data.LoadFromTextFile(_path, columns, ',', trimWhitespace: true).GetColumn<string>("B").Single());
    }

    [Fact]
    public void Numbers_that_are_missing_or_wrong()
    {
        File.WriteAllLines(_path, ["?\tx", "abc\tx", "\tx"]);
        TextLoader.Column[] columns = [new("A", DataKind.Single, 0)];
        Assert.Equal([float.NaN, float.NaN, 0], _ml.Data.LoadFromTextFile(_path, columns).GetColumn<float>("A"));
        var options = new TextLoader.Options { Columns = columns, MissingRealsAsNaNs = true };
        Assert.Equal([float.NaN, float.NaN, float.NaN], _ml.Data.LoadFromTextFile(_path, options).GetColumn<float>("A"));
        TextLoader.Column[] integers = [new("A", DataKind.Int32, 0)];
        Assert.Throws<FormatException>(() => _ml.Data.LoadFromTextFile(_path, integers).GetColumn<int>("A").ToArray());
    }

    [Fact]
    public void Ranges_are_vectors_with_the_header_as_slot_names()
    {
        File.WriteAllLines(_path, ["id,x,y,z", "1,2,3,4"]);
        TextLoader.Column[] columns = [new("V", DataKind.Double, 1, 3), new("Picked", DataKind.Int32, [new(3), new(0)])];
        var view = _ml.Data.LoadFromTextFile(_path, new TextLoader.Options { Columns = columns, Separators = [','], HasHeader = true });
        Assert.Equal([2.0, 3, 4], view.GetColumn<double[]>("V").Single());
        Assert.Equal([4, 1], view.GetColumn<int[]>("Picked").Single());
        VBuffer<ReadOnlyMemory<char>> names = default;
        view.Schema["V"].GetSlotNames(ref names);
        Assert.Equal(["x", "y", "z"], names.DenseValues().Select(n => n.ToString()));
        Assert.False(_ml.Data.LoadFromTextFile(_path, columns, ',', hasHeader: true).Schema["V"].HasSlotNames());
    }

    [Fact]
    public void A_range_without_an_end_reaches_to_the_last_field_of_the_sample()
    {
        File.WriteAllLines(_path, ["1,2,3", "4,5,6"]);
        var options = new TextLoader.Options { Columns = [new("V", DataKind.Single, [new TextLoader.Range(1, null)])], Separators = [','] };
        var view = _ml.Data.LoadFromTextFile(_path, options);
        Assert.Equal(new VectorDataViewType(NumberDataViewType.Single, 2), view.Schema["V"].Type);
        Assert.Equal([[2f, 3f], [5f, 6f]], view.GetColumn<float[]>("V"));
    }

    [Fact]
    public void Keys_in_text_are_zero_based()
    {
        File.WriteAllLines(_path, ["0", "2", "3", "-1"]);
        TextLoader.Column[] columns = [new("K", DataKind.UInt32, [new(0)], new KeyCount(3))];
        Assert.Equal([1u, 3u, 0u, 0u], _ml.Data.LoadFromTextFile(_path, columns).GetColumn<uint>("K"));
    }

    [Fact]
    public void Comments_are_passed_over()
    {
        File.WriteAllLines(_path, ["#@ TextLoader{", "// note", "a\tb\t1", "// note", "#c\td\t2"]);
        Assert.Equal(["a", "#c"], _ml.Data.LoadFromTextFile<Review>(_path).GetColumn<string>("Text"));
    }

    [Fact]
    public void A_file_that_is_not_there_is_refused_at_once() =>
        Assert.Throws<ArgumentOutOfRangeException>(() => _ml.Data.LoadFromTextFile<Review>(_path + ".absent"));

    [Fact]
    public void What_is_saved_can_be_loaded()
    {
        Review[] rows = [new() { Text = "tab\there", Sentiment = "\"q\"", Stars = 1.25f },
            new() { Text = "", Sentiment = "b: c", Stars = float.NaN }];
        using (var stream = File.Create(_path))
            _ml.Data.SaveAsText(_ml.Data.LoadFromEnumerable(rows), stream);
        var view = _ml.Data.LoadFromTextFile(_path,
            [new("Text", DataKind.String, 0), new("Sentiment", DataKind.String, 1), new("Stars", DataKind.Single, 2)],
            hasHeader: true, allowQuoting: true);
        Assert.Equal(rows.Select(r => r.Text), view.GetColumn<string>("Text"));
        Assert.Equal(rows.Select(r => r.Sentiment), view.GetColumn<string>("Sentiment"));
        Assert.Equal(rows.Select(r => r.Stars), view.GetColumn<float>("Stars"));
    }

    [Fact]
    public void Saved_text_starts_with_the_loader_that_reads_it()
    {
        using var stream = new MemoryStream();
        _ml.Data.SaveAsText(_ml.Data.LoadFromEnumerable([new Scored { Label = 2, PredictedLabel = 5, Score = [1, 0.5f, 0] }]), stream);
        string[] expected =
        [
            "#@ TextLoader{",
            "#@   header+",
            "#@   sep=tab",
            "#@   col=Label:U4[3]:0",
            "#@   col=PredictedLabel:U4[3]:1",
            "#@   col=Score:R4:2-4",
            "#@ }",
            "Label\tPredictedLabel\t\"\"\t\"\"\t\"\"",
            "2\t\t1\t0.5\t0",
        ];
        Assert.Equal(expected, System.Text.Encoding.UTF8.GetString(stream.ToArray()).TrimEnd().Split(Environment.NewLine));
    }
}
