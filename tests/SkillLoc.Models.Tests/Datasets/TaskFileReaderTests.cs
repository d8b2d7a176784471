using System.Text;
using System.Text.Json;
using SkillLoc.Models.Datasets;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tests.Checkpoints;

namespace SkillLoc.Models.Tests.Datasets;

public sealed class TaskFileReaderTests : IDisposable
{
    private static readonly TaskFileFormat Json = new()
    {
        Layout = TaskFileLayout.JsonLines,
        Text = "question",
        Label = "answer",
    };
    private static readonly TaskFileFormat Csv = new()
    {
        Layout = TaskFileLayout.Csv,
        Text = 1,
        Label = 0,
    };

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void TabsPartColumnsAndQuotesAreText()
    {
        LabeledText[] rows = Read(new(), "\"quoted\t0\n she said \"hi\", twice \t1\r\n\t0\n");
        Assert.Equal([new("\"quoted", null, "0", 1), new(" she said \"hi\", twice ", null, "1", 2), new("", null, "0", 3)], rows);
    }

    [Fact]
    public void ColumnsHavePlacesFromEitherEndOrNames()
    {
        const string Text = "id\tclass\tbody\n7\tgood\tfine\n";
        Assert.Equal(
            [new("fine", null, "good", 2)],
            Read(
                new()
                {
                    HasHeader = true,
                    Text = "body",
                    Label = "class",
                },
                Text
            )
        );
        Assert.Equal(
            [new("fine", null, "good", 2)],
            Read(
                new()
                {
                    HasHeader = true,
                    Text = ^1,
                    Label = ^2,
                },
                Text
            )
        );
        Assert.Equal(
            [new("7", "fine", "good", 2)],
            Read(
                new()
                {
                    HasHeader = true,
                    TextPair = 2,
                    Label = 1,
                },
                Text
            )
        );
        Throws(new() { HasHeader = true, Text = "Body" }, Text, "line 1: there is no column 'Body'; the header has id, class, body.");
        Throws(new() { HasHeader = true, Text = 3 }, Text, "line 1: there is no column 3; there are 3 columns.");
        Throws(new() { HasHeader = true, Label = ^4 }, Text, "line 1: there is no column ^4; there are 3 columns.");
        Assert.Contains("'body'", Assert.Throws<ArgumentException>(() => Read(new() { Text = "body" }, Text)).Message);
        Assert.Throws<ArgumentException>(() => Read(Json with { Text = 0 }, "{}"));
    }

    [Fact]
    public void RowsAreAsWideAsTheFirst()
    {
        Throws(new(), "a\t0\nb\t1\tmore\n", "file, line 2: 3 columns were found and 2 expected, as the first row has.");
        Throws(new() { SkipsShortRows = true }, "a\t0\nb\nb\t1\tmore\n", "line 3: 3 columns were found and 2 expected");
        Throws(Csv, "0,a\n1,\"b\nc\"\n1,d,e\n", "line 4: 3 columns were found and 2 expected");
    }

    [Fact]
    public void EmptyLinesEndAFileAndAreNowhereElse()
    {
        Assert.Single(Read(new(), "a\t0\n\n\n"));
        Throws(new(), "a\t0\n\n\nb\t1\n", "line 2: the line is empty");
        Throws(new(), "", "file has no rows.");
        Throws(new() { HasHeader = true }, "a\tb\n\n", "file has no rows after its header.");
        Throws(Csv, "", "has no rows");
        Assert.Throws<FileNotFoundException>(() => TaskFileReader.Read(_folder.PathOf("none"), new()).Count());
    }

    [Fact]
    public void CommaSeparatedColumnsMayBeQuoted()
    {
        LabeledText[] rows = Read(Csv, "0,plain \"inner\" quotes\n\n1,\"comma, \"\"quote\"\"\nand line\"\r\n0,\n1, space\n");
        Assert.Equal(
            [
                new("plain \"inner\" quotes", null, "0", 1),
                new("comma, \"quote\"\nand line", null, "1", 3),
                new("", null, "0", 5),
                new(" space", null, "1", 6),
            ],
            rows
        );
        Throws(Csv, "0,a\n1,\"never\nended\n0,b\n", "line 2: the column beginning \"never");
        Throws(Csv, "0,\"a\rb\"\r\n1,\"never", "line 3: the column beginning \"never");
        Throws(Csv, "0,a\n1,\"never\nended\"\"", "line 2: the column beginning \"never");
        Throws(Csv, "0,\"a\nb\"c,\"d\n", "line 1: the column beginning \"a");
        Throws(Csv, "0,inner \"quote\",\"ended\" early\n", "line 1: the column beginning \"ended\" early");
        Throws(Csv, "0,a\n1,\"ended\" early\n", "line 2: the column beginning \"ended\" early has no closing quote");
        Assert.Equal([new("x", null, "1", 2)], Read(Csv with { HasHeader = true, Text = "b", Label = "a" }, "a,b\n1,x\n"));
    }

    [Fact]
    public void ColumnsMayBePartedAndQuotedOtherwise()
    {
        var excel = new TaskFileFormat
        {
            Layout = TaskFileLayout.Csv,
            Separator = ";",
            HasHeader = true,
            Text = "body",
            Label = "class",
        };
        Assert.Equal(
            [new("3,5; \"fine\"\nand more", null, "good", 2), new("a, b", null, "bad", 4)],
            Read(excel, "class;body\ngood;\"3,5; \"\"fine\"\"\nand more\"\r\nbad;a, b\r\n")
        );
        Throws(
            excel,
            "class;body\ngood;\"never\nbad;a\n",
            "line 2: the column beginning \"never\nbad;a\n has no closing quote before a separator"
        );
        Assert.Equal([new("it's\tthis", null, "1", 1)], Read(new() { Quote = "'" }, "'it''s\tthis'\t1\n"));
        Assert.Equal([new("a\tb", null, "1", 1)], Read(new() { Quote = "\"" }, "\"a\tb\"\t1\n"));
        Assert.Equal([new("\"a", null, "1", 1)], Read(Csv with { Quote = "" }, "1,\"a\n"));
        Assert.Equal([new("a,b", null, "1", 1)], Read(new() { Separator = "|" }, "a,b|1\n"));

        // What a file seems to have is said.
        Throws(
            excel with
            {
                Separator = null,
            },
            "class;body\ngood;a\n",
            "there is no column 'body'; the header has class;body. The columns seem to be separated by semicolons: set Separator "
                + "(\"separator\") to \";\"."
        );
        Throws(excel with { Separator = null }, "class\tbody\ngood\ta\n", "separated by tabs: set Separator (\"separator\") to \"\\t\".");
        Throws(
            new(),
            "fine, but long;good\nbad;a\n",
            "line 1: there is 1 column, and a text and a label are two. The columns seem to be separated by"
        );
        Throws(new(), "fine\n", "there is 1 column, and a text and a label are two.");
        Throws(new() { HasHeader = true, Text = "body" }, "\"class\"\t\"body\"\ngood\ta\n", "The columns seem to be quoted: set Quote");
        Assert.DoesNotContain("seem", Assert.Throws<InvalidDataException>(() => Read(excel, "class;text\ngood;a\n")).Message);

        foreach (
            TaskFileFormat wrong in new TaskFileFormat[]
            {
                new() { Separator = ";;" },
                new() { Separator = "" },
                new() { Separator = "\n" },
                new() { Separator = "\u3001" },
                Csv with
                {
                    Separator = "\"",
                },
                new() { Quote = "''" },
                Json with
                {
                    Separator = ";",
                },
                Json with
                {
                    Quote = "",
                },
            }
        )
        {
            Assert.Throws<ArgumentException>(() => Read(wrong, "a\t1\n"));
        }
    }

    [Theory]
    [InlineData("\n")]
    [InlineData("\r\n")]
    public void AMarkedFileWithQuotedLineBreaksIsRead(string end)
    {
        File.WriteAllText(
            _folder.PathOf("file"),
            $"label,text{end}1,\"two{end}lines, and{end}{end}more\"{end}0,\"\"{end}",
            new UTF8Encoding(encoderShouldEmitUTF8Identifier: true)
        );
        Assert.Equal(Encoding.UTF8.Preamble.ToArray(), File.ReadAllBytes(_folder.PathOf("file"))[..3]);
        Assert.Equal(
            [new($"two{end}lines, and{end}{end}more", null, "1", 2), new("", null, "0", 6)],
            TaskFileReader.Read(_folder.PathOf("file"), Csv with { HasHeader = true, Text = "text", Label = "label" })
        );
    }

    [Fact]
    public void JsonLinesHaveNamedProperties()
    {
        LabeledText[] rows = Read(
            Json,
            "{\"question\":\"why\\n?\",\"answer\":false}\n{\"more\":[],\"answer\":true,\"question\":\"\\u00e9\"}\n"
        );
        Assert.Equal([new("why\n?", null, "false", 1), new("\u00e9", null, "true", 2)], rows);
        Assert.Equal(
            [new("a", "b", "c", 1)],
            Read(Json with { TextPair = "pair" }, "{\"question\":\"a\",\"pair\":\"b\",\"answer\":\"c\"}")
        );
        const string First = "{\"question\":\"a\",\"answer\":1}\n";
        Throws(Json, First + "{\"question\":\"a\"}\n", "line 2: the object has no property 'answer', only question.");
        Throws(Json, First + "{\"question\":null,\"answer\":1}\n", "line 2: the property 'question' is Null; it must be a text");
        Throws(Json, First + "[1]\n", "line 2: a JSON object was expected and Array found");
        Throws(
            Json,
            First + "{\"question\":\"a\",\"answer\":\"1\"}\n",
            "line 2: the property 'answer' is String and in the first row (" + _folder.PathOf("file") + ", line 1) Number"
        );
        Throws(Json, First + "{\"question\n", "line 2: a JSON object was expected, and the line is not valid JSON");
    }

    [Fact]
    public void PropertiesMayLieWithinOthers()
    {
        TaskFileFormat nested = Json with { Text = "data.text", Label = "data.meta.label" };
        Assert.Equal(
            [new("a", null, "x", 1), new("b", null, "y", 2), new("c", null, "z", 3)],
            Read(
                nested,
                """
                {"data": {"text": "a", "meta": {"label": "x"}}}
                {"data.text": "b", "data": {"text": "", "meta.label": "y"}}
                {"data.meta": {"label": "z"}, "data": {"text": "c"}}
                """
            )
        );
        Throws(nested, "{\"data\": {\"text\": \"a\", \"meta\": 1}}", "line 1: the object has no property 'data.meta.label', only data.");
        Throws(nested with { Label = "data" }, "{\"data\": {\"text\": \"a\"}}", "line 1: the property 'data' is Object; it must be a text");
    }

    [Fact]
    public void ALabelMayComeBeforeTheText()
    {
        var format = new TaskFileFormat { Layout = TaskFileLayout.LabelFirst, Labels = ["0", "1"] };
        Assert.Equal([new("a b . ", null, "0", 1), new("", null, "1", 2)], Read(format, "0 a b . \n1 \n"));
        Throws(format, "0 a\nword\n", "line 2: a label, a space and a text were expected and 'word' found");
        Throws(format, "0 a\nword two\n", "line 2: the label 'word' is unknown; known are 0, 1.");
    }

    [Fact]
    public void LabelsMayBeAFileOfTheirOwn()
    {
        var format = new TaskFileFormat
        {
            Layout = TaskFileLayout.Lines,
            LabelMap = new Dictionary<string, string> { ["0"] = "negative", ["1"] = "positive" },
        };
        Assert.Equal(
            [new("a\tb", null, "positive", 1), new("", null, "negative", 2), new("c", null, "positive", 3)],
            Both("a\tb\n\nc\n", "1\n0\n1\n")
        );
        Assert.Contains("labels has 1 lines and", Assert.Throws<InvalidDataException>(() => Both("a\nb\n", "1\n")).Message);
        Assert.Contains("labels has more", Assert.Throws<InvalidDataException>(() => Both("a\n", "1\n0\n")).Message);
        Assert.Contains(
            "labels, line 2: the label '7' is unknown; known are 0, 1.",
            Assert.Throws<InvalidDataException>(() => Both("a\nb\n", "1\n7\n")).Message
        );
        Assert.Throws<ArgumentException>(() => Read(format, "a\n"));
        Assert.Throws<ArgumentException>(() => TaskFileReader.Read("a", new(), "b"));

        LabeledText[] Both(string texts, string labels)
        {
            File.WriteAllText(_folder.PathOf("file"), texts);
            File.WriteAllText(_folder.PathOf("labels"), labels);
            return [.. TaskFileReader.Read(_folder.PathOf("file"), format, _folder.PathOf("labels"))];
        }
    }

    [Fact]
    public void BytesThatAreNoTextAreFoundAndNeverReplaced()
    {
        // Far enough for the reader to be blocks ahead: 32,768 rows of 10 bytes, then the row with the byte.
        byte[] bytes = [.. Enumerable.Range(0, 32768).SelectMany(_ => "caf\u00e9 a\t0\n"u8.ToArray()), .. "caf"u8, 0xE9, .. "\t1\n"u8];
        File.WriteAllBytes(_folder.PathOf("file"), bytes);
        foreach (Encoding? encoding in new[] { Encoding.UTF8, new UTF8Encoding(false) })
        {
            InvalidDataException e = Assert.Throws<InvalidDataException>(() =>
                TaskFileReader.Read(_folder.PathOf("file"), new() { Encoding = encoding }).Count()
            );
            Assert.Contains("file, line 32769: the byte 0xE9 at offset 327683 of the file is not valid utf-8", e.Message);
            Assert.Contains("Encoding.Latin1", e.Message);
        }
        Assert.Equal("caf\u00e9", TaskFileReader.Read(_folder.PathOf("file"), new() { Encoding = Encoding.Latin1 }).Last().Text);

        File.WriteAllBytes(_folder.PathOf("file"), [.. "0,a\u0085\r\n1,\"b\rc\"\n1,"u8, 0xFF]);
        InvalidDataException csv = Assert.Throws<InvalidDataException>(() => TaskFileReader.Read(_folder.PathOf("file"), Csv).Count());
        Assert.Contains("line 4: the byte 0xFF at offset 17", csv.Message);
    }

    [Fact]
    public void AByteOrderMarkIsNoText()
    {
        foreach (
            TaskFileFormat? format in new[]
            {
                new TaskFileFormat(),
                new TaskFileFormat { Encoding = new UTF8Encoding(false) },
            }
        )
        {
            File.WriteAllBytes(_folder.PathOf("file"), [.. Encoding.UTF8.Preamble, .. "a\t0\n"u8]);
            Assert.Equal([new("a", null, "0", 1)], TaskFileReader.Read(_folder.PathOf("file"), format));
        }
        InvalidDataException e = Assert.Throws<InvalidDataException>(() =>
            TaskFileReader.Read(_folder.PathOf("file"), new() { Encoding = Encoding.Latin1 }).Count()
        );
        Assert.Contains("byte order mark and is to be read as iso-8859-1", e.Message);
        // The mark does not make what follows lenient.
        File.WriteAllBytes(_folder.PathOf("file"), [.. Encoding.UTF8.Preamble, .. "a\xC0\t0\n".Select(c => (byte)c)]);
        Assert.Throws<InvalidDataException>(() => TaskFileReader.Read(_folder.PathOf("file"), new()).Count());

        File.WriteAllText(_folder.PathOf("file"), "\u00e9\t0\n", Encoding.Unicode);
        Assert.Equal([new("\u00e9", null, "0", 1)], TaskFileReader.Read(_folder.PathOf("file"), new() { Encoding = Encoding.Unicode }));
    }

    [Fact]
    public void AFormatCanBeJSON()
    {
        var format = TaskFileFormat.FromJson(
            """
            {
              // Hand-written files have comments.
              "layout": "csv", "header": true, "text": "body", "text_pair": 3, "label": -1, "skip_short_rows": true, "encoding": "windows-1252",
              "separator": ";", "quote": "'", "labels": ["no", "yes"], "label_map": { "0": "no", "1": "yes" }, "score_range": [0, 2.5],
            }
            """
        );
        Assert.Equal(
            (TaskFileLayout.Csv, true, (FileColumn)"body", (FileColumn?)3, (FileColumn)(^1), true),
            (format.Layout, format.HasHeader, format.Text, format.TextPair, format.Label, format.SkipsShortRows)
        );
        Assert.Equal((";", "'"), (format.Separator, format.Quote));
        Assert.Equal(1252, format.Encoding.CodePage);
        Assert.Equal(["no", "yes"], format.Labels);
        Assert.Equal("yes", format.LabelMap!["1"]);
        Assert.Equal(new ScoreRange(0, 2.5f), format.ScoreRange);
        Assert.Equal(new TaskFileFormat(), TaskFileFormat.FromJson("{}"));

        // Also as a part of somebody else's JSON, whatever their options.
        TaskFileFormat copy = JsonSerializer.Deserialize<TaskFileFormat>(JsonSerializer.Serialize(format))!;
        Assert.Equal(format, copy with { Labels = format.Labels, LabelMap = format.LabelMap });
        Assert.Equal(format.Labels, copy.Labels);
        Assert.Equal(format.LabelMap, copy.LabelMap);
    }

    [Theory]
    [InlineData("{\n\"delimiter\": \",\"}", "line 2, at $.delimiter")]
    [InlineData(
        "{\n\"layout\": \"tsv\"}",
        "line 2, at $.layout: \"tsv\" was found; expected one of tabs, csv, json_lines, label_first, lines, parquet."
    )]
    [InlineData("{\n\n\"text\": 1.5}", "line 3, at $.text: A column is a whole number")]
    [InlineData("{\"encoding\": \"klingon\"}", "line 1, at $.encoding: There is no encoding \"klingon\"")]
    [InlineData("{\"score_range\": [5, 0]}", "at $.score_range: A score range is")]
    [InlineData("{\"header\": true, \"header\": false}", "header")]
    [InlineData("{\n\"header\": true", "line 2")]
    [InlineData("null", "null")]
    public void AWrongFormatIsAnsweredWithLineAndProperty(string json, string expected)
    {
        InvalidDataException e = Assert.Throws<InvalidDataException>(() => TaskFileFormat.FromJson(json, "study.json"));
        Assert.StartsWith("study.json", e.Message);
        Assert.Contains(expected, e.Message);
        Assert.DoesNotContain("LineNumber", e.Message);
    }

    private LabeledText[] Read(TaskFileFormat format, string text)
    {
        File.WriteAllText(_folder.PathOf("file"), text);
        return [.. TaskFileReader.Read(_folder.PathOf("file"), format)];
    }

    private void Throws(TaskFileFormat format, string text, string expected) =>
        Assert.Contains(expected, Assert.Throws<InvalidDataException>(() => Read(format, text)).Message);
}
