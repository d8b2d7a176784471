namespace SkillLoc.Models.Datasets;

/// <summary>
/// The files of a task as Gao et al. (2021), Making pre-trained language models better few-shot learners, and Panigrahi et al. (2023),
/// Task-specific skill localization in fine-tuned language models, publish them: one folder per task with one file per split.
/// </summary>
/// <param name="Name">The task's name, in lower case.</param>
/// <param name="Format">The format of its files.</param>
public sealed record TaskFiles(string Name, TaskFileFormat Format)
{
    private static readonly string[] ZeroOne = ["0", "1"];
    private static readonly string[] Entailment = ["entailment", "not_entailment"];

    private static readonly TaskFileFormat SentenceLabel = new()
    {
        Text = 0,
        Label = 1,
        Labels = ZeroOne,
    };
    private static readonly TaskFileFormat Inference = new()
    {
        HasHeader = true,
        Text = 8,
        TextPair = 9,
        Label = ^1,
        Labels = ["contradiction", "entailment", "neutral"],
    };
    private static readonly TaskFileFormat Questions = new()
    {
        HasHeader = true,
        Text = 1,
        TextPair = 2,
        Label = ^1,
        Labels = Entailment,
    };
    private static readonly TaskFileFormat SameMeaning = new()
    {
        HasHeader = true,
        Text = 3,
        TextPair = 4,
        Labels = ZeroOne,
    };

    private static readonly TaskFiles[] Tasks =
    [
        new(
            "cola",
            new()
            {
                Text = 3,
                Label = 1,
                Labels = ZeroOne,
            }
        ),
        new("sst-2", SentenceLabel with { HasHeader = true }),
        new("mnli", Inference) { EvaluationSuffix = "_matched" },
        new("mnli-mm", Inference) { EvaluationSuffix = "_mismatched" },
        .. Array.ConvertAll<string, TaskFiles>(
            [
                "telephone_telephone",
                "government_government",
                "telephone_letters",
                "telephone_facetoface",
                "telephone_government",
                "telephone_government_0.5",
                "telephone_government_0.9",
                "telephone_government_0.95",
                "telephone_government_0.99",
                "telephone_government_1.0",
            ],
            name => new(name, Inference)
        ),
        new("snli", Inference with { Text = 7, TextPair = 8 }),
        new("anli", Inference with { HasHeader = false, Text = 0, TextPair = 1, Label = 2 }),
        new(
            "hans",
            new()
            {
                HasHeader = true,
                Text = 5,
                TextPair = 6,
                Label = 0,
                Labels = ["non-entailment", "entailment"],
            }
        ),
        new("mrpc", SameMeaning with { Label = 0 }),
        new("qqp", SameMeaning with { Label = 5, SkipsShortRows = true }),
        new("qnli", Questions),
        new("rte", Questions),
        new("wnli", Questions with { Labels = ZeroOne }),
        new(
            "sts-b",
            new()
            {
                HasHeader = true,
                Text = 7,
                TextPair = 8,
                Label = ^1,
                ScoreRange = new(0, 5),
            }
        ),
        new("imdb", SentenceLabel),
        new("ag_news", SentenceLabel with { Labels = Numbers(4) }),
        new("yelp_polarity", SentenceLabel),
        new("mr", Csv(2)),
        new("sst-5", Csv(5)),
        new("subj", Csv(2)),
        new("trec", Csv(6)),
        new("cr", Csv(2)),
        new("mpqa", Csv(2)),
        new(
            "amazon_polarity",
            Csv(2) with
            {
                Text = 2,
                LabelMap = new Dictionary<string, string>(StringComparer.Ordinal) { ["1"] = "0", ["2"] = "1" },
            }
        ),
    ];

    /// <summary>All tasks with known files.</summary>
    public static IReadOnlyList<TaskFiles> All { get; } = Array.AsReadOnly(Tasks);

    private string EvaluationSuffix { get; init; } = "";

    /// <summary>Finds a task's files.</summary>
    /// <param name="name">The task's name; case is ignored.</param>
    /// <returns>The files.</returns>
    /// <exception cref="ArgumentException">No task has this name; the message lists the known ones.</exception>
    public static TaskFiles Find(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        return Array.Find(Tasks, task => string.Equals(task.Name, name, StringComparison.OrdinalIgnoreCase))
            ?? throw new ArgumentException(
                $"The files of a task '{name}' are not known. Known are {string.Join(", ", Tasks.Select(task => task.Name))}; "
                    + "another task's file needs a format of its own.",
                nameof(name)
            );
    }

    /// <summary>Returns the file name of a split.</summary>
    /// <param name="split">The split.</param>
    /// <returns>A name such as <c>train.tsv</c> or <c>dev_matched.tsv</c>.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The split is undefined.</exception>
    public string FileName(DataSplit split)
    {
        string extension = Format.Layout == TaskFileLayout.Csv ? ".csv" : ".tsv";
        return split switch
        {
            DataSplit.Train => "train" + extension,
            DataSplit.Dev => "dev" + EvaluationSuffix + extension,
            DataSplit.Test => "test" + EvaluationSuffix + extension,
            _ => throw new ArgumentOutOfRangeException(nameof(split), split, "There are the splits Train, Dev and Test."),
        };
    }

    private static TaskFileFormat Csv(int labels) =>
        new()
        {
            Layout = TaskFileLayout.Csv,
            Text = 1,
            Label = 0,
            Labels = Numbers(labels),
        };

    private static string[] Numbers(int count) =>
        [.. Enumerable.Range(0, count).Select(label => label.ToString(System.Globalization.CultureInfo.InvariantCulture))];
}
