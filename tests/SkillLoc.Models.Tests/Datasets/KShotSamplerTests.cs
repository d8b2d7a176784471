using System.Text;
using SkillLoc.Models.Datasets;
using SkillLoc.Models.Tests.Checkpoints;

namespace SkillLoc.Models.Tests.Datasets;

// What is expected follows LM-BFF's script (methods, A.7), drawn by Python's own Mersenne twister.
public sealed class KShotSamplerTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private string Input => _folder.PathOf("original");

    private string Output => _folder.PathOf("data");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void RowsAreShuffledGroupedAndSliced()
    {
        // The first rows after the shuffle with seed 21 are 1 (a), 7, 4; the groups follow in the order in which they appear.
        LabeledText[] rows = [.. Enumerable.Range(0, 9).Select(i => new LabeledText($"{i}", null, "bac"[i % 3].ToString()))];
        (IReadOnlyList<LabeledText>? train, IReadOnlyList<LabeledText>? dev) = KShotSampler.Sample(rows, 2, 21);
        Assert.Equal(["1", "7", "2", "5", "3", "6"], train.Select(row => row.Text));
        Assert.Equal(["4", "8", "0"], dev.Select(row => row.Text));
        Assert.Equal("0", rows[0].Text);
    }

    [Fact]
    public void AClassTooSmallIsNamedWithItsSizeAndK()
    {
        LabeledText[] rows =
        [
            new("a", null, "0"),
            new("b", null, "0"),
            new("c", null, "0"),
            new("d", null, "rare"),
            new("e", null, "rare"),
        ];
        InvalidDataException e = Assert.Throws<InvalidDataException>(() => KShotSampler.Sample(rows, 2, 1));
        Assert.Contains("2 rows of class 'rare'; k = 2 needs at least 3", e.Message, StringComparison.Ordinal);
        Assert.Throws<InvalidDataException>(() => KShotSampler.Sample([], 2, 1));

        Write(
            "RTE",
            "train.tsv",
            ["header", .. Enumerable.Range(0, 9).Select(i => $"{i}\ta\tb\t{(i == 0 ? "entailment" : "not_entailment")}")]
        );
        Write("RTE", "dev.tsv", "header");
        e = Assert.Throws<InvalidDataException>(() => KShotSampler.Write(Input, Output, 4, tasks: ["RTE"]));
        Assert.Contains("RTE", e.Message, StringComparison.Ordinal);
        Assert.Contains("1 rows of class 'entailment'; k = 4", e.Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Path.Combine(Output, "k-shot", "RTE", "4-100")));
    }

    [Fact]
    public void TabSeparatedFilesKeepTheirHeaderAndTheirBytes()
    {
        // 0xE9 is no UTF-8; the sixth line ends in CR LF, the last in nothing.
        byte[][] lines =
        [
            .. Enumerable
                .Range(0, 8)
                .Select(i => Encoding.Latin1.GetBytes($"row {i} \"\xE9\t{i % 2}{(i == 5 ? "\r\n" : i == 7 ? "" : "\n")}")),
        ];
        Write("SST-2", "train.tsv", [.. "sentence\tlabel\n"u8, .. lines.SelectMany(line => line)]);
        Write("SST-2", "dev.tsv", [.. "sentence\tlabel\r\n"u8, 0xFF, .. " dev\t0"u8]);
        IReadOnlyList<string> written = KShotSampler.Write(Input, Output, 2, [100, 13], ["SST-2"]);
        Assert.Equal([KShotFolder("SST-2", "2-100"), KShotFolder("SST-2", "2-13")], written);
        AssertBytes("2-100", "train.tsv", 1, 5, 4, 2);
        AssertBytes("2-100", "dev.tsv", 3, 7, 6, 0);
        AssertBytes("2-13", "train.tsv", 1, 3, 4, 6);
        AssertBytes("2-13", "dev.tsv", 5, 7, 0, 2);
        Assert.Equal(File.ReadAllBytes(Path.Combine(Input, "SST-2", "dev.tsv")), File.ReadAllBytes(Path.Combine(written[0], "test.tsv")));

        void AssertBytes(string split, string file, params int[] rows)
        {
            byte[] expected = [.. "sentence\tlabel\n"u8, .. rows.SelectMany(row => row == 7 ? [.. lines[7], (byte)'\n'] : lines[row])];
            Assert.Equal(expected, File.ReadAllBytes(Path.Combine(KShotFolder("SST-2", split), file)));
        }
    }

    [Fact]
    public void CoLAIsShuffledOnFromTheLastSeed()
    {
        string[] lines = [.. Enumerable.Range(0, 8).Select(i => $"src\t{i % 2}\t\tsentence {i}")];
        Write("CoLA", "train.tsv", lines);
        Write("CoLA", "dev.tsv", "d\t0\t\tdev");
        KShotSampler.Write(Input, Output, 2, [100, 13], ["CoLA"]);
        Assert.Equal(Rows(1, 5, 4, 2), Read("CoLA", "2-100", "train.tsv"));
        Assert.Equal(Rows(3, 7, 6, 0), Read("CoLA", "2-100", "dev.tsv"));
        Assert.Equal(Rows(4, 6, 3, 7), Read("CoLA", "2-13", "train.tsv"));
        Assert.Equal(Rows(2, 0, 1, 5), Read("CoLA", "2-13", "dev.tsv"));
        Assert.Equal("d\t0\t\tdev\n", Read("CoLA", "2-13", "test.tsv"));

        // Alone, the second seed begins with the file's order.
        KShotSampler.Write(Input, Output, 2, [13], ["CoLA"]);
        Assert.Equal(Rows(1, 3, 4, 6), Read("CoLA", "2-13", "train.tsv"));

        string Rows(params int[] rows) => string.Concat(rows.Select(row => lines[row] + "\n"));
    }

    [Fact]
    public void SimilarityIsGroupedBelowAndAboveTheMiddle()
    {
        string[] scores = ["0.000", "2.400", "2.500", "5.000", "1.000", "3.000", "2.499", "4.000"];
        Write("STS-B", "train.tsv", ["header", .. scores.Select((score, i) => $"{i}\tx\t{score}")]);
        Write("STS-B", "dev.tsv", "header");
        KShotSampler.Write(Input, Output, 2, [13], ["STS-B"]);
        Assert.Equal(["header", .. Rows(1, 4, 3, 5)], Lines("train.tsv"));
        Assert.Equal(["header", .. Rows(6, 0, 7, 2)], Lines("dev.tsv"));

        LabeledText[] rows = [.. scores.Select((score, i) => new LabeledText($"{i}", "pair", score))];
        (IReadOnlyList<LabeledText>? train, IReadOnlyList<LabeledText> _) = KShotSampler.Sample(rows, 2, 13, scoreBorder: 2.5f);
        Assert.Equal(["1", "4", "3", "5"], train.Select(row => row.Text));

        IEnumerable<string> Rows(params int[] places) => places.Select(i => $"{i}\tx\t{scores[i]}");

        string[] Lines(string file) => File.ReadAllLines(Path.Combine(KShotFolder("STS-B", "2-13"), file));
    }

    [Fact]
    public void MNLIHasTwoTestFiles()
    {
        string[] labels = ["neutral", "entailment"];
        Write("MNLI", "train.tsv", ["header", .. Enumerable.Range(0, 8).Select(i => $"{i}\tx\t{labels[i % 2]}")]);
        Write("MNLI", "dev_matched.tsv", "matched");
        Write("MNLI", "dev_mismatched.tsv", "mismatched");
        string folder = Assert.Single(KShotSampler.Write(Input, Output, 2, [13], ["MNLI"]));
        Assert.Equal(
            ["dev_matched.tsv", "test_matched.tsv", "test_mismatched.tsv", "train.tsv"],
            Directory.EnumerateFiles(folder).Select(Path.GetFileName).Order(StringComparer.Ordinal)
        );
        Assert.Equal("mismatched\n", Read("MNLI", "2-13", "test_mismatched.tsv"));
        Assert.Equal("header\n1\tx\tentailment\n3\tx\tentailment\n4\tx\tneutral\n6\tx\tneutral\n", Read("MNLI", "2-13", "train.tsv"));
    }

    [Fact]
    public void ParaphrasesAreGroupedByTheirFirstColumnAndBrokenQuestionsCarriedAlong()
    {
        Write("MRPC", "train.tsv", ["header", .. Enumerable.Range(0, 8).Select(i => $"{i % 2}\t{i}\tx\ty\tlast")]);
        Write("MRPC", "dev.tsv", "header");
        KShotSampler.Write(Input, Output, 2, [13], ["MRPC"]);
        Assert.StartsWith("header\n1\t1\tx", Read("MRPC", "2-13", "train.tsv"), StringComparison.Ordinal);

        string[] rows = [.. Enumerable.Range(0, 8).Select(i => i == 6 ? "6\tbroken" : $"{i}\t1\t2\ta\tb\t{i % 2}")];
        Write("QQP", "train.tsv", ["header", .. rows]);
        Write("QQP", "dev.tsv", "header");
        KShotSampler.Write(Input, Output, 1, [42], ["QQP"]);
        Assert.Equal($"header\n{rows[1]}\n{rows[0]}\n6\tbroken\n", Read("QQP", "1-42", "train.tsv"));
        Assert.Equal($"header\n{rows[5]}\n{rows[2]}\n", Read("QQP", "1-42", "dev.tsv"));
    }

    [Fact]
    public void CommaSeparatedFilesAreWrittenAsPandasDoes()
    {
        // Quoted without need, with a comma, with quotes, over two lines, with spaces, with quotes inside, empty.
        string[] rows =
        [
            "0,\"plain\"",
            "1,\"a, b\"",
            "0,\"say \"\"hi\"\"\"",
            "1,\"two\nlines\"",
            "0, spaces ",
            "1,a \"b\" c",
            "0,",
            "1,caf\u00e9",
        ];
        string[] written = ["0,plain", rows[1], rows[2], rows[3], rows[4], "1,\"a \"\"b\"\" c\"", rows[6], rows[7]];
        Write("mr", "train.csv", rows);
        Write("mr", "test.csv", rows[0], rows[3]);
        KShotSampler.Write(Input, Output, 2, [42], ["mr"]);
        Assert.Equal(Rows(1, 5, 0, 2), Read("mr", "2-42", "train.csv"));
        Assert.Equal(Rows(7, 3, 4, 6), Read("mr", "2-42", "dev.csv"));
        Assert.Equal(Rows(0, 3), Read("mr", "2-42", "test.csv"));

        string Rows(params int[] places) => string.Concat(places.Select(i => written[i] + "\n"));
    }

    [Fact]
    public void TenTimesAsManyRowsCanBeForDevelopment()
    {
        Write("cr", "train.csv", [.. Enumerable.Range(0, 24).Select(i => $"{i % 2},{i}")]);
        Write("cr", "test.csv", "0,t");
        KShotSampler.Write(Input, Output, 1, [42], ["cr"], tenfoldDev: true);
        string folder = Path.Combine(Output, "k-shot-10x", "cr", "1-42");
        Assert.Equal(["0,8", "1,11"], File.ReadAllLines(Path.Combine(folder, "train.csv")));
        int[] dev = [16, 0, 18, 2, 12, 4, 22, 20, 10, 14, 9, 13, 1, 21, 5, 15, 3, 17, 23, 7];
        Assert.Equal(dev.Select(i => $"{i % 2},{i}"), File.ReadAllLines(Path.Combine(folder, "dev.csv")));
    }

    [Fact]
    public void WrongLabelsTasksAndFilesAreNamed()
    {
        Write("QNLI", "train.tsv", "header", "0\ta\tb\tentailment", "1\ta\tb\tmaybe");
        InvalidDataException e = Assert.Throws<InvalidDataException>(() => KShotSampler.Write(Input, Output, 1, tasks: ["QNLI"]));
        Assert.Contains(
            "train.tsv, line 3: the label 'maybe' is unknown; known are entailment, not_entailment",
            e.Message,
            StringComparison.Ordinal
        );
        Write("CoLA", "train.tsv", "one column");
        e = Assert.Throws<InvalidDataException>(() => KShotSampler.Write(Input, Output, 1, tasks: ["CoLA"]));
        Assert.Contains("train.tsv, line 1: there are 1 columns", e.Message, StringComparison.Ordinal);
        Assert.Contains(
            "imdb",
            Assert.Throws<ArgumentException>(() => KShotSampler.Write(Input, Output, tasks: ["imdb"])).Message,
            StringComparison.Ordinal
        );
        Assert.Throws<DirectoryNotFoundException>(() => KShotSampler.Write(Input, Output, tasks: ["SNLI"]));
        Assert.Throws<ArgumentException>(() => KShotSampler.Write(Input, Output, seeds: []));
    }

    private string KShotFolder(string task, string split) => Path.Combine(Output, "k-shot", task, split);

    private string Read(string task, string split, string file) => File.ReadAllText(Path.Combine(KShotFolder(task, split), file));

    private void Write(string task, string file, params string[] lines) =>
        Write(task, file, Encoding.UTF8.GetBytes(string.Join("\n", lines) + "\n"));

    private void Write(string task, string file, byte[] bytes)
    {
        Directory.CreateDirectory(Path.Combine(Input, task));
        File.WriteAllBytes(Path.Combine(Input, task, file), bytes);
    }
}
