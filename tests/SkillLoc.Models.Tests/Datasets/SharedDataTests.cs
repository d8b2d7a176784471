using System.Text;
using SkillLoc.Models.Datasets;

namespace SkillLoc.Models.Tests.Datasets;

/// <summary>Public research sets as found in the wild; their counts are those of the folder's own README.</summary>
public class SharedDataTests
{
    private static readonly TaskFileFormat LabelFirst = new() { Layout = TaskFileLayout.LabelFirst, Labels = ["0", "1"] };

    [Theory]
    [InlineData("train.tsv", 67349)]
    [InlineData("dev.tsv", 872)]
    public void Sst2(string file, int count) =>
        Assert.Equal(
            count,
            Read(
                new()
                {
                    HasHeader = true,
                    Text = 1,
                    Label = 0,
                    Labels = ["0", "1"],
                },
                "sst-2",
                file
            ).Length
        );

    [Fact]
    public void AFilmReviewInLatin1IsNoUTF8()
    {
        InvalidDataException e = Assert.Throws<InvalidDataException>(() => Read(LabelFirst, "sent-conv", "rt-polarity.all"));
        // Found with Python: the first line that does not decode, and the byte in it.
        Assert.Contains("rt-polarity.all, line 32: the byte 0xE9", e.Message);
        LabeledText[] rows = Read(LabelFirst with { Encoding = Encoding.Latin1 }, "sent-conv", "rt-polarity.all");
        Assert.Equal(10662, rows.Length);
        Assert.Contains('\u00e9', rows[31].Text);
        Assert.Equal(5331, rows.Count(row => row.Label == "1"));
    }

    [Theory]
    [InlineData("custrev.all", 3775)]
    [InlineData("mpqa.all", 10606)]
    [InlineData("stsa.binary.dev", 872)]
    public void SentencesWithTheLabelFirst(string file, int count) => Assert.Equal(count, Read(LabelFirst, "sent-conv", file).Length);

    [Fact]
    public void Questions()
    {
        TaskFileFormat format = LabelFirst with { Labels = ["0", "1", "2", "3", "4", "5"], Encoding = Encoding.Latin1 };
        Assert.Equal(5452, Read(format, "sent-conv", "TREC.train.all").Length);
        Assert.Equal(500, Read(format, "sent-conv", "TREC.test.all").Length);
    }

    [Fact]
    public void EntailmentWithItsLabelsRenamed()
    {
        var format = new TaskFileFormat
        {
            HasHeader = true,
            Text = "sentence1",
            TextPair = "sentence2",
            Label = "label",
            LabelMap = new Dictionary<string, string> { ["0"] = "entailment", ["1"] = "not_entailment" },
            Labels = TaskFiles.Find("rte").Format.Labels,
        };
        Assert.Equal(2490, Read(format, "rte", "train.tsv").Length);
        LabeledText[] dev = Read(format, "rte", "dev.tsv");
        Assert.Equal(277, dev.Length);
        Assert.StartsWith("Dana Reeve, the widow", dev[0].Text);
        Assert.StartsWith("Christopher Reeve had an", dev[0].TextPair);
    }

    [Fact]
    public void ParaphrasesAfterAByteOrderMark()
    {
        var format = new TaskFileFormat
        {
            HasHeader = true,
            Text = "#1 String",
            TextPair = "#2 String",
            Label = "Quality",
            Labels = ["0", "1"],
        };
        Assert.Equal(4076, Read(format, "mrpc", "msr_paraphrase_train.txt").Length);
        LabeledText[] test = Read(format, "mrpc", "msr_paraphrase_test.txt");
        Assert.Equal(1725, test.Length);
        Assert.StartsWith("PCCW's chief operating officer", test[0].Text);
        Assert.DoesNotContain(test, row => row.TextPair!.Contains('\r'));
    }

    [Fact]
    public void LongReviewsAreBalanced()
    {
        LabeledText[] rows = Read(
            new()
            {
                HasHeader = true,
                Text = "text",
                Label = "label",
                Labels = ["0", "1"],
            },
            "imdb",
            "test.tsv"
        );
        Assert.Equal((5000, 2500), (rows.Length, rows.Count(row => row.Label == "1")));
    }

    [Fact]
    public void NewsByTheNamesOfTheirClasses()
    {
        var format = new TaskFileFormat
        {
            LabelMap = new Dictionary<string, string>
            {
                ["World"] = "0",
                ["Sports"] = "1",
                ["Business"] = "2",
                ["Sci/Tech"] = "3",
            },
            Labels = TaskFiles.Find("ag_news").Format.Labels,
        };
        LabeledText[] rows = Read(format, "ag-news", "test.tsv");
        Assert.Equal(7600, rows.Length);
        Assert.Equal("2", rows[0].Label);
    }

    [Fact]
    public void Acceptability()
    {
        var format = new TaskFileFormat { Labels = ["0", "1"] };
        Assert.Equal(8551, Read(format, "cola", "train.tsv").Length);
        Assert.Equal(516, Read(format, "cola", "dev.tsv").Length);
    }

    [Theory]
    [InlineData("val", 2000)]
    [InlineData("test", 12284)]
    public void TweetsBesideTheirLabels(string split, int count)
    {
        var format = new TaskFileFormat { Layout = TaskFileLayout.Lines, Labels = ["0", "1", "2"] };
        LabeledText[] rows = TaskFileReader
            .Read(PathOf("tweet-sentiment", $"{split}_text.txt"), format, PathOf("tweet-sentiment", $"{split}_labels.txt"))
            .ToArray();
        Assert.Equal(count, rows.Length);
        Assert.Equal("1", rows[0].Label);
    }

    private static LabeledText[] Read(TaskFileFormat format, params string[] parts) => [.. TaskFileReader.Read(PathOf(parts), format)];

    private static string PathOf(params string[] parts)
    {
        string path = Oracles.SharedPathOf(["data", .. parts]);
        Assert.SkipUnless(File.Exists(path), $"There is no {path}.");
        return path;
    }
}
