using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms;
using SkillLoc.Models.Prompts;
using SkillLoc.Trainers;
using SkillLoc.Transforms;

namespace SkillLoc.PromptHead;

/// <summary>SST-2 with a prompt. Prompt, label words and learning rate are chosen on validation rows, which are training rows that nothing
/// else sees; the test rows are SST-2's dev file.</summary>
/// <param name="checkpoint">A checkpoint folder.</param>
/// <param name="data">The folder of labelled texts.</param>
internal sealed class Sentiment(string checkpoint, string data)
{
    private const int TrainingRows = 1000;
    private const int PromptRows = 3000;
    private const int ValidationRows = 1000;
    private const int LongestRow = 80;

    private static readonly string[] Templates =
    [
        "*cls**sent_0*_It_was*mask*.*sep+*",
        "*cls**sent_0*_All_in_all,_it_was*mask*.*sep+*",
        "*cls*A*mask*_movie:_*sent_0**sep+*",
        "*cls**sent_0*_A*mask*_film.*sep+*",
        "*cls**sent_0*_The_movie_was*mask*.*sep+*",
    ];

    private static readonly string[] Negative = ["terrible", "bad", "awful", "horrible", "boring", "dull", "poor", "disappointing"];
    private static readonly string[] Positive =
    [
        "great",
        "good",
        "wonderful",
        "excellent",
        "brilliant",
        "fun",
        "amazing",
        "fantastic",
        "beautiful",
    ];

    private readonly MLContext _ml = new(seed: 1);

    /// <summary>Writes the table of one checkpoint.</summary>
    /// <param name="rates">Learning rates to choose from; none leaves fine-tuning away.</param>
    /// <param name="seeds">Seeds of fine-tuning.</param>
    /// <param name="epochs">Its epochs.</param>
    /// <param name="test">Whether to look at the test rows.</param>
    public void Measure(double[] rates, int[] seeds, int epochs, bool test)
    {
        Row[] whole = [.. Sentences()];
        new Random(1).Shuffle(whole);
        Row[] train = whole[..TrainingRows],
            validation = whole[^ValidationRows..],
            chooses = whole[^PromptRows..],
            dev = [.. Rows("dev.tsv")];
        var tried = Templates.SelectMany(template => Pairs(template, chooses)).OrderByDescending(pair => pair.Accuracy).ToList();
        foreach (Trial trial in tried.Take(8).Concat(tried.Where(pair => pair is { Negative: "terrible", Positive: "great" })).Distinct())
        {
            Tell(
                $"zero-shot\tvalidation\t{trial.Accuracy:P1}\tat the median "
                    + $"{trial.AtMedian:P1}\t{trial.Negative}/{trial.Positive}\t{trial.Template}"
            );
        }

        Trial best = tried[0];
        if (test)
        {
            foreach (
                Trial trial in Pairs(best.Template, dev)
                    .Where(pair => pair.Negative == best.Negative && pair.Positive == best.Positive)
                    .Concat(Pairs(Templates[0], dev).Where(pair => pair is { Negative: "terrible", Positive: "great" }))
            )
            {
                Tell(
                    $"zero-shot\ttest\t{trial.Accuracy:P1}\tat the median "
                        + $"{trial.AtMedian:P1}\t{trial.Negative}/{trial.Positive}\t{trial.Template}"
                );
            }
        }

        if (rates.Length == 0)
        {
            return;
        }

        double rate =
            rates.Length == 1
                ? rates[0]
                : rates.MaxBy(candidate => Tune(best, train, validation, candidate, epochs, seeds[0], null).Validation);
        foreach (int seed in seeds)
        {
            Tune(best, train, validation, rate, epochs, seed, test ? dev : null);
        }
    }

    private static void Tell(string line) => Console.WriteLine(line);

    private static PromptTask Task(string template, IEnumerable<(string Label, string Word)> words) =>
        new("sentiment", PromptTemplate.Parse(template), new Verbalizer(words.Select(pair => KeyValuePair.Create(pair.Label, pair.Word))))
        {
            MaxLength = LongestRow,
        };

    private IEnumerable<Row> Rows(string file) =>
        File.ReadLines(Path.Join(data, "sst-2", file))
            .Skip(1)
            .Select(line => line.Split('\t'))
            .Select(cells => new Row { Label = cells[0], Text = cells[1] });

    /// <summary>The sentences of the training file, as the test rows are: of each only the longest of the parts that end with a stop, so
    /// that
    /// no validation row is part of a training row.</summary>
    private IEnumerable<Row> Sentences()
    {
        (string Reversed, Row Row)[] ends =
        [
            .. Rows("train.tsv")
                .Where(row => row.Text.TrimEnd().EndsWith('.'))
                .Select(row => (Reversed: string.Concat(row.Text.TrimEnd().Reverse()), Row: row))
                .OrderBy(pair => pair.Reversed, StringComparer.Ordinal),
        ];
        return ends.Where((end, i) => i + 1 == ends.Length || !ends[i + 1].Reversed.StartsWith(end.Reversed, StringComparison.Ordinal))
            .Select(end => end.Row);
    }

    /// <summary>All pairs of label words under a template: every word is a label of its own, scored once.</summary>
    private IEnumerable<Trial> Pairs(string template, Row[] rows)
    {
        string[] words = [.. Negative, .. Positive];
        IDataView labels = _ml.Data.LoadFromEnumerable(words.Select(word => new Row { Label = word, Text = "x" }));
        ValueToKeyMappingTransformer keys = _ml.Transforms.Conversion.MapValueToKey("Label").Fit(labels);
        using TextScoringTransformer scorer = _ml.SkillLoc()
            .PromptFineTune(
                new PromptFineTuneTrainer.Options
                {
                    Checkpoint = checkpoint,
                    Task = Task(template, words.Select(word => (word, word))),
                    Epochs = 0,
                }
            )
            .Fit(keys.Transform(labels));
        IDataView texts = _ml.Data.LoadFromEnumerable(rows.Select(row => new Row { Label = words[0], Text = row.Text }));
        float[][] scores = [.. scorer.Transform(keys.Transform(texts)).GetColumn<float[]>("Score")];
        bool[] positive = [.. rows.Select(row => row.Label == "1")];
        for (int n = 0; n < Negative.Length; n++)
        {
            for (int p = Negative.Length; p < words.Length; p++)
            {
                double[] margins = [.. scores.Select(score => Math.Log(score[p]) - Math.Log(score[n]))];
                double median = margins.Order().ElementAt(margins.Length / 2);
                yield return new(template, words[n], words[p], Share(margins, 0), Share(margins, median));
            }
        }

        double Share(double[] margins, double threshold) =>
            margins.Zip(positive, (margin, isPositive) => margin > threshold == isPositive).Count(right => right) / (double)positive.Length;
    }

    private (double Validation, double Test) Tune(
        Trial trial,
        Row[] train,
        Row[] validation,
        double rate,
        int epochs,
        int seed,
        Row[]? test
    )
    {
        IDataView rows = _ml.Data.LoadFromEnumerable(train),
            chooses = _ml.Data.LoadFromEnumerable(validation);
        ValueToKeyMappingTransformer keys = _ml.Transforms.Conversion.MapValueToKey("Label").Fit(rows);
        using TextScoringTransformer tuned = _ml.SkillLoc()
            .PromptFineTune(
                new PromptFineTuneTrainer.Options
                {
                    Checkpoint = checkpoint,
                    Task = Task(trial.Template, [("0", trial.Negative), ("1", trial.Positive)]),
                    LearningRate = rate,
                    Epochs = epochs,
                    Seed = seed,
                    ValidationSet = keys.Transform(chooses),
                    EvaluationInterval = 63,
                }
            )
            .Fit(keys.Transform(rows));
        double onValidation = Accuracy(chooses),
            onTest = test is null ? double.NaN : Accuracy(_ml.Data.LoadFromEnumerable(test));
        Tell(
            $"fine-tuned\trate {rate}\tseed {seed}\tvalidation "
                + $"{onValidation:P1}\t{(test is null ? "" : $"test {onTest.ToString("P1", CultureInfo.InvariantCulture)}")}"
        );
        return (onValidation, onTest);

        double Accuracy(IDataView view) => _ml.MulticlassClassification.Evaluate(tuned.Transform(keys.Transform(view))).MicroAccuracy;
    }

    private sealed record Trial(string Template, string Negative, string Positive, double Accuracy, double AtMedian);

    private sealed class Row
    {
        public string Label { get; set; } = "";

        public string Text { get; set; } = "";
    }
}
