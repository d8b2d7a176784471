using System.Globalization;
using Microsoft.ML;
using SkillLoc.Models.Datasets;
using SkillLoc.Models.Prompts;
using SkillLoc.Trainers;
using SkillLoc.Transforms;

namespace SkillLoc.PromptHead;

/// <summary>SST-2 with a prompt: label words and the learning rate are chosen on validation rows, which are training rows that nothing else
/// sees; the test rows are SST-2's dev file.</summary>
/// <param name="checkpoint">A checkpoint folder.</param>
/// <param name="data">The folder of labelled texts.</param>
internal sealed class Sentiment(string checkpoint, string data)
{
    /// <summary>Label words of published prompts for sentiment.</summary>
    public static readonly string[] UsualWords = ["terrible/great", "bad/good", "terrible/good", "bad/great", "awful/wonderful", "boring/fun", "bad/brilliant"];

    private const int TrainingRows = 1000;
    private const int ValidationRows = 2000;
    private const int LongestRow = 80;
    private const string Template = "*cls**sent_0*_It_was*mask*.*sep+*";

    private readonly MLContext _ml = new(seed: 1);

    /// <summary>Writes the table of one checkpoint.</summary>
    /// <param name="words">Label words to choose from.</param>
    /// <param name="rates">Learning rates to choose from.</param>
    /// <param name="seeds">Seeds of fine-tuning.</param>
    /// <param name="epochs">Its epochs.</param>
    /// <param name="test">Whether to look at the test rows.</param>
    public void Measure(string[] words, double[] rates, int[] seeds, int epochs, bool test)
    {
        Row[] all = [.. Rows("train.tsv")];
        new Random(1).Shuffle(all);

        // Many training rows are parts of others' sentences; validation and training come from different ends of the shuffled file, whole
        // sentences only.
        Row[] whole = [.. all.Where(row => row.Text.Count(letter => letter == ' ') >= 8)];
        IDataView train = _ml.Data.LoadFromEnumerable(whole[..TrainingRows]), validation = _ml.Data.LoadFromEnumerable(whole[^ValidationRows..]);
        IDataView dev = _ml.Data.LoadFromEnumerable(Rows("dev.tsv"));
        string best = words.MaxBy(pair =>
        {
            double accuracy = ZeroShot(pair, train, validation);
            Tell($"zero-shot\t{pair}\tvalidation\t{accuracy:P1}");
            return accuracy;
        })!;
        if (test)
        {
            Tell($"zero-shot\t{best}\ttest\t{ZeroShot(best, train, dev):P1}");
        }

        if (rates.Length == 0)
        {
            return;
        }

        IDataView few = _ml.Data.LoadFromEnumerable(whole[^500..]);
        double rate = rates.Length == 1 ? rates[0] : rates.MaxBy(candidate =>
        {
            using var tuned = Tune(best, train, few, candidate, epochs, seeds[0]);
            double accuracy = Accuracy(tuned, few);
            Tell($"fine-tuned\t{best}\trate {candidate}\tvalidation\t{accuracy:P1}");
            return accuracy;
        });
        foreach (int seed in seeds)
        {
            using var tuned = Tune(best, train, few, rate, epochs, seed);
            Tell($"fine-tuned\t{best}\trate {rate}\tseed {seed}\tvalidation\t{Accuracy(tuned, few):P1}");
            if (test)
            {
                Tell($"fine-tuned\t{best}\trate {rate}\tseed {seed}\ttest\t{Accuracy(tuned, dev):P1}");
            }
        }
    }

    private static void Tell(FormattableString line) => Console.WriteLine(line.ToString(CultureInfo.InvariantCulture));

    private IEnumerable<Row> Rows(string file) => File.ReadLines(Path.Join(data, "sst-2", file)).Skip(1).Select(line => line.Split('\t'))
        .Select(cells => new Row { Label = cells[0], Text = cells[1] });

    private double ZeroShot(string words, IDataView train, IDataView rows)
    {
        using var scorer = Tune(words, train, null, 1e-5, 0, 1);
        return Accuracy(scorer, rows);
    }

    private Tuned Tune(string words, IDataView train, IDataView? validation, double rate, int epochs, int seed)
    {
        string[] pair = words.Split('/');
        var keys = _ml.Transforms.Conversion.MapValueToKey("Label").Fit(train);
        return new(keys, _ml.SkillLoc().PromptFineTune(new PromptFineTuneTrainer.Options
        {
            Checkpoint = checkpoint,
            Task = new PromptTask("sentiment", PromptTemplate.Parse(Template), Verbalizer.ParseMapping($"{{'0':'{pair[0]}','1':'{pair[1]}'}}")) { MaxLength = LongestRow },
            LearningRate = rate,
            Epochs = epochs,
            Seed = seed,
            ValidationSet = validation is null ? null : keys.Transform(validation),
            EvaluationInterval = 63,
            FixHead = false,
        }).Fit(keys.Transform(train)));
    }

    private double Accuracy(Tuned tuned, IDataView rows) =>
        _ml.MulticlassClassification.Evaluate(tuned.Model.Transform(tuned.Keys.Transform(rows))).MicroAccuracy;

    private sealed record Tuned(ITransformer Keys, TextScoringTransformer Model) : IDisposable
    {
        public void Dispose() => Model.Dispose();
    }

    private sealed class Row
    {
        public string Label { get; set; } = "";

        public string Text { get; set; } = "";
    }
}
