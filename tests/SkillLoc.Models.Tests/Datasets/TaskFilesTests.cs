using SkillLoc.Models.Datasets;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tests.Checkpoints;

namespace SkillLoc.Models.Tests.Datasets;

public sealed class TaskFilesTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    // The published files (methods, A.5): columns are numbered, A, B and the label stand where the task has them. | is a tab.
    [Theory]
    [InlineData("cola", "train.tsv", "dev.tsv", "test.tsv", "0|{1}|2|A", null)]
    [InlineData("SST-2", "train.tsv", "dev.tsv", "test.tsv", "A|{1}", null)]
    [InlineData("mnli", "train.tsv", "dev_matched.tsv", "test_matched.tsv", "0|1|2|3|4|5|6|7|A|B|10|{entailment}", "B")]
    [InlineData("mnli-mm", "train.tsv", "dev_mismatched.tsv", "test_mismatched.tsv", "0|1|2|3|4|5|6|7|A|B|10|11|{neutral}", "B")]
    [InlineData("telephone_letters", "train.tsv", "dev.tsv", "test.tsv", "0|1|2|3|4|5|6|7|A|B|{contradiction}", "B")]
    [InlineData("telephone_government_0.95", "train.tsv", "dev.tsv", "test.tsv", "0|1|2|3|4|5|6|7|A|B|{neutral}", "B")]
    [InlineData("government_government", "train.tsv", "dev.tsv", "test.tsv", "0|1|2|3|4|5|6|7|A|B|{neutral}", "B")]
    [InlineData("snli", "train.tsv", "dev.tsv", "test.tsv", "0|1|2|3|4|5|6|A|B|9|{neutral}", "B")]
    [InlineData("anli", "train.tsv", "dev.tsv", "test.tsv", "A|B|{contradiction}", "B")]
    [InlineData("hans", "train.tsv", "dev.tsv", "test.tsv", "{non-entailment}|1|2|3|4|A|B|7", "B")]
    [InlineData("mrpc", "train.tsv", "dev.tsv", "test.tsv", "{1}|1|2|A|B", "B")]
    [InlineData("qqp", "train.tsv", "dev.tsv", "test.tsv", "0|1|2|A|B|{0}", "B")]
    [InlineData("qnli", "train.tsv", "dev.tsv", "test.tsv", "0|A|B|{not_entailment}", "B")]
    [InlineData("rte", "train.tsv", "dev.tsv", "test.tsv", "0|A|B|{entailment}", "B")]
    [InlineData("wnli", "train.tsv", "dev.tsv", "test.tsv", "0|A|B|{1}", "B")]
    [InlineData("sts-b", "train.tsv", "dev.tsv", "test.tsv", "0|1|2|3|4|5|6|A|B|{4.25}", "B")]
    [InlineData("imdb", "train.tsv", "dev.tsv", "test.tsv", "A|{0}", null)]
    [InlineData("ag_news", "train.tsv", "dev.tsv", "test.tsv", "A|{3}", null)]
    [InlineData("yelp_polarity", "train.tsv", "dev.tsv", "test.tsv", "A|{1}", null)]
    [InlineData("mr", "train.csv", "dev.csv", "test.csv", "{1},A", null)]
    [InlineData("sst-5", "train.csv", "dev.csv", "test.csv", "{4},A", null)]
    [InlineData("subj", "train.csv", "dev.csv", "test.csv", "{0},A", null)]
    [InlineData("trec", "train.csv", "dev.csv", "test.csv", "{5},A", null)]
    [InlineData("cr", "train.csv", "dev.csv", "test.csv", "{0},A", null)]
    [InlineData("mpqa", "train.csv", "dev.csv", "test.csv", "{1},A", null)]
    public void ColumnsLabelsAndNamesAreThoseOfTheSpecification(
        string task,
        string train,
        string dev,
        string test,
        string row,
        string? pair
    )
    {
        var files = TaskFiles.Find(task);
        Assert.Equal([train, dev, test], Enum.GetValues<DataSplit>().Select(files.FileName));

        string label = row[(row.IndexOf('{') + 1)..row.IndexOf('}')];
        // The files without a header, of those with tabs.
        bool hasHeader = !(task is "cola" or "anli" or "imdb" or "ag_news" or "yelp_polarity" || train.EndsWith(".csv"));
        string header = string.Join('|', row.Split('|').Select((_, i) => $"name{i}"));
        Assert.Equal(
            [new LabeledText("A", pair, label, hasHeader ? 2 : 1)],
            Read(files.Format, (hasHeader ? header + "\n" : "") + row.Replace("{", "").Replace("}", "") + "\n")
        );
        if (label != "4.25")
        {
            InvalidDataException e = Assert.Throws<InvalidDataException>(() =>
                Read(files.Format, (hasHeader ? header + "\n" : "") + row.Replace($"{{{label}}}", "9") + "\n")
            );
            Assert.Contains(
                $"line {(hasHeader ? 2 : 1)}: the label '9' is unknown; known are {string.Join(", ", files.Format.Labels!)}",
                e.Message
            );
        }
    }

    [Theory]
    [InlineData("1,title,\"a, b\"", "0")]
    [InlineData("2,title,\"a, b\"", "1")]
    public void AmazonCountsFromOne(string row, string label) =>
        Assert.Equal([new LabeledText("a, b", null, label, 1)], Read(TaskFiles.Find("amazon_polarity").Format, row));

    [Fact]
    public void ShortRowsOfQQPArePassedOver()
    {
        LabeledText[] rows = Read(TaskFiles.Find("qqp").Format, "id|q1|q2|a|b|label\n0|1|2|A|B|1\n3|4|5|cut\noff|0\n6|7|8|C|D|0\n");
        Assert.Equal([new("A", "B", "1", 2), new("C", "D", "0", 5)], rows);
        InvalidDataException e = Assert.Throws<InvalidDataException>(() => Read(TaskFiles.Find("mrpc").Format, "q|1|2|a|b\n1|2\n"));
        Assert.Contains("line 2: 2 columns were found and 5 expected, as the header has", e.Message);
    }

    [Theory]
    [InlineData("5.001")]
    [InlineData("-0.1")]
    [InlineData("nan")]
    [InlineData("high")]
    public void AScoreIsANumberInItsRange(string score)
    {
        InvalidDataException e = Assert.Throws<InvalidDataException>(() =>
            Read(TaskFiles.Find("sts-b").Format, $"0|1|2|3|4|5|6|a|b|s\n0|1|2|3|4|5|6|A|B|{score}\n")
        );
        Assert.Contains($"line 2: a score from 0 to 5 was expected and '{score}' found", e.Message);
    }

    [Fact]
    public void EveryPromptedTaskHasItsFilesAndTheirLabels()
    {
        foreach (PromptTask task in PromptTasks.All)
        {
            TaskFileFormat format = TaskFiles.Find(task.Name).Format;
            Assert.Equal(task.IsPair, format.TextPair is not null);
            Assert.Equal(task.ScoreRange, format.ScoreRange);
            if (!task.IsRegression)
            {
                Assert.Equal(task.Verbalizer.Labels, format.Labels);
            }
        }
        Assert.Contains("sst-2, mnli", Assert.Throws<ArgumentException>(() => TaskFiles.Find("sst2")).Message);
    }

    private LabeledText[] Read(TaskFileFormat format, string text)
    {
        string path = _folder.PathOf("file");
        File.WriteAllText(path, format.Layout == TaskFileLayout.Tabs ? text.Replace('|', '\t') : text);
        return [.. TaskFileReader.Read(path, format)];
    }
}
