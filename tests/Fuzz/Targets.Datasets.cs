using System.IO.Compression;
using System.Text;
using SkillLoc.Models.Cartography;
using SkillLoc.Models.Datasets;
using SkillLoc.Models.Prompts;

namespace SkillLoc.Fuzz;

internal static partial class Targets
{
    private const string Rows = "a film\tgood\nanother, \"one\"\tbad\nünd\tgood\n";

    private static IEnumerable<Target> Datasets(string scratch)
    {
        var plain = new TaskFileFormat { Labels = ["good", "bad"] };
        yield return Labelled("tsv", Shape.Text, "rows.tsv", plain, Utf8(Rows));
        yield return Labelled(
            "csv",
            Shape.Text,
            "rows.csv",
            plain with
            {
                Layout = TaskFileLayout.Csv,
                HasHeader = true,
                Text = "text",
                Label = "label",
            },
            Utf8("text,label\r\na film,good\n\"another, \"\"one\"\"\nof two lines\",bad\nünd,good\n")
        );
        yield return Labelled(
            "json-lines",
            Shape.Json,
            "rows.jsonl",
            plain with
            {
                Layout = TaskFileLayout.JsonLines,
                Text = "text",
                Label = "meta.label",
            },
            Utf8("{\"text\": \"a film\", \"meta\": {\"label\": \"good\"}}\n"),
            Utf8("{\"text\": \"a film\", \"meta.label\": \"good\"}\n{\"meta\": {\"label\": \"bad\"}, \"text\": \"ünd\"}\n")
        );
        yield return Labelled(
            "label-first",
            Shape.Text,
            "rows.txt",
            plain with
            {
                Layout = TaskFileLayout.LabelFirst,
            },
            Utf8("good a film\nbad another\ngood ünd\n")
        );
        yield return Labelled("latin1", Shape.Bytes, "rows.tsv", plain with { Encoding = Encoding.Latin1 }, Encoding.Latin1.GetBytes(Rows));
        yield return Labelled(
            "gzip",
            Shape.Gzip,
            "rows.tsv.gz",
            plain,
            Compressed(stream => new GZipStream(stream, CompressionLevel.Fastest))
        );
        yield return Labelled(
            "brotli",
            Shape.Bytes,
            "rows.tsv.br",
            plain,
            Compressed(stream => new BrotliStream(stream, CompressionLevel.Fastest))
        );
        yield return Labelled(
            "parquet",
            Shape.Parquet,
            "rows.parquet",
            new TaskFileFormat
            {
                Layout = TaskFileLayout.Parquet,
                Text = 1,
                Label = ^1,
            },
            Resource("hub.parquet")
        );
        yield return new(
            "tasks",
            Shape.Json,
            [
                Utf8(
                    """
                    [{"name": "films", "template": "*cls**sent_0*_It_was*mask*.*sep+*", "mapping": {"0": "bad", "1": "good"}, "max_length": 64,
                      "first_sentence_limit": 40, "other_sentence_limit": null, "metric": "accuracy",
                      "autoregressive": {"template": "{0} It was", "options": {"0": " bad", "1": " good"}, "max_length": 32}},
                     {"name": "rate", "template": "*cls**sent_0**mask**sep+*", "mapping": {"0": "no", "1": "yes"}, "score_range": [0, 5]}]
                    """
                ),
            ],
            "x/tasks.json",
            bytes => _ = PromptTaskFile.Read(bytes, "x/tasks.json")
        );
        yield return new(
            "format",
            Shape.Json,
            [
                Utf8(
                    """{"layout": "csv", "header": true, "text": "sentence", "text_pair": 2, "label": -1, "label_map": {"1": "yes", "0": "no"}, "labels": ["no", "yes"], "score_range": null, "skip_short_rows": true, "encoding": "latin1", "separator": ";", "quote": "'"}"""
                ),
            ],
            "x/format.json",
            bytes => _ = TaskFileFormat.FromJson(Encoding.UTF8.GetString(bytes), "x/format.json")
        );
        yield return OfFile(
            scratch,
            "cartography",
            Shape.Json,
            "cartography.json",
            path => _ = TrainingDynamics.Load(path).Map(),
            [Utf8("""{"0": {"acc": [0, 1], "confidence": [0.25, 0.5]}, "7": {"acc": [1, 1], "confidence": [0.75, 1]}}""")]
        );

        Target Labelled(string name, Shape shape, string file, TaskFileFormat format, params byte[][] seeds) =>
            OfFile(scratch, name, shape, file, path => _ = TaskFileReader.Read(path, format).Count(), seeds) with
            {
                AllocatesByTheWay = true,
                Words = [.. new[] { "\t", "\"", ",", "\r", "\r\n", "\0", "\uFEFF", "good", "bad" }.Select(Utf8)],
            };
    }

    private static byte[] Compressed(Func<Stream, Stream> compress)
    {
        using var bytes = new MemoryStream();
        using (Stream stream = compress(bytes))
        {
            stream.Write(Utf8(Rows));
        }

        return bytes.ToArray();
    }

    private static byte[] Resource(string name)
    {
        using Stream stream = typeof(Targets).Assembly.GetManifestResourceStream(name)!;
        using var bytes = new MemoryStream();
        stream.CopyTo(bytes);
        return bytes.ToArray();
    }
}
