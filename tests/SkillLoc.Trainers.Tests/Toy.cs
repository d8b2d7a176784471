using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Prompts;
using SkillLoc.Trainers;

namespace SkillLoc.Trainers.Tests;

/// <summary>A task that the tiny oracle model can learn in seconds: whether a text speaks of a film or of a man.</summary>
internal static class Toy
{
    public static string Checkpoint { get; } = Oracles.PathOf("tiny-roberta");

    public static PromptTask Task { get; } =
        new("toy", PromptTemplate.Parse("*cls**sent_0*_It_was*mask*.*sep+*"), new Verbalizer([new("neg", "bad"), new("pos", "good")]));

    public static Row[] Examples(int count, int seed = 0)
    {
        var random = new Random(seed);
        string[] fillers = ["the", "was", "and", "it"];
        return
        [
            .. Enumerable
                .Range(0, count)
                .Select(i =>
                {
                    bool positive = i % 2 == 1;
                    List<string> words = [.. Enumerable.Range(0, random.Next(1, 7)).Select(_ => fillers[random.Next(fillers.Length)])];
                    words.Insert(random.Next(words.Count + 1), positive ? "film" : "man");
                    return new Row { Label = positive ? "pos" : "neg", Text = string.Join(' ', words) };
                }),
        ];
    }

    /// <summary>Rows with a key-typed label whose keys are in the order of first occurrence.</summary>
    public static IDataView View(MLContext ml, IEnumerable<Row> rows)
    {
        IDataView data = ml.Data.LoadFromEnumerable(rows);
        return ml.Transforms.Conversion.MapValueToKey("Label").Fit(data).Transform(data);
    }

    public static PromptFineTuneTrainer.Options Options(Action<PromptFineTuneTrainer.Options>? change = null)
    {
        var options = new PromptFineTuneTrainer.Options
        {
            Checkpoint = Checkpoint,
            Task = Task,
            LearningRate = 2e-3,
            Epochs = 10,
            BatchSize = 8,
            Dropout = 0,
            Seed = 5,
        };
        change?.Invoke(options);
        return options;
    }

    public sealed class Row
    {
        public string Label { get; set; } = "";

        public string Text { get; set; } = "";
    }

    public sealed class Prediction
    {
        public string PredictedLabel { get; set; } = "";

        public float[] Score { get; set; } = [];
    }
}
