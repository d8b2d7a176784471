using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;
using SkillLoc.Transforms;

namespace SkillLoc.Trainers.Tests;

/// <summary>Three toy tasks with words, labels and templates of their own.</summary>
internal static class ToyTasks
{
    public static PromptTask Film => Toy.Task;

    public static PromptTask Plot { get; } =
        new(
            "plot",
            PromptTemplate.Parse("*cls**sent_0*_They_were*mask*.*sep+*"),
            new Verbalizer([new("early", "just"), new("late", "more")])
        );

    public static PromptTask Stage { get; } =
        new(
            "stage",
            PromptTemplate.Parse("*cls**sent_0*_This*mask*_will*.*sep+*"),
            new Verbalizer([new("told", "story"), new("played", "acting")])
        );

    public static IReadOnlyList<PromptTask> All => [Film, Plot, Stage];

    public static Toy.Row[] Examples(PromptTask task, int count, int seed = 0) =>
        [
            .. Toy.Examples(count, seed)
                .Select(row => new Toy.Row
                {
                    Label = task.Verbalizer.Labels[row.Label == "pos" ? 1 : 0],
                    Text = task.Name switch
                    {
                        "plot" => row
                            .Text.Replace("film", "time", StringComparison.Ordinal)
                            .Replace("man", "plot", StringComparison.Ordinal),
                        "stage" => row
                            .Text.Replace("film", "scene", StringComparison.Ordinal)
                            .Replace("man", "life", StringComparison.Ordinal),
                        _ => row.Text,
                    },
                }),
        ];

    public static IDataView View(MLContext ml, PromptTask task, int count, int seed = 0) => Toy.View(ml, Examples(task, count, seed));

    public static Dictionary<string, IDataView> Views(MLContext ml, IEnumerable<PromptTask> tasks, int count, int seed = 0) =>
        tasks.ToDictionary(task => task.Name, task => View(ml, task, count, seed));

    /// <summary>The share of rows whose most probable label is the right one, counted here.</summary>
    public static double Accuracy(MLContext ml, ITransformer model, PromptTask task, int count, int seed)
    {
        Toy.Row[] rows = Examples(task, count, seed);
        IDataView scored = model.Transform(ml.Data.LoadFromEnumerable(rows));
        IReadOnlyList<string> labels = ((TextScoringTransformer)model).Labels;
        return scored
            .GetColumn<float[]>("Score")
            .Zip(rows, (scores, row) => labels[Array.IndexOf(scores, scores.Max())] == row.Label ? 1.0 : 0.0)
            .Average();
    }

    public static float[][] Scores(MLContext ml, ITransformer model, PromptTask task, int count, int seed) =>
        [.. model.Transform(View(ml, task, count, seed)).GetColumn<float[]>("Score")];

    public static void Same(TextClassifier expected, TextClassifier actual)
    {
        Dictionary<string, float[]> left = Trainings.Weights(expected),
            right = Trainings.Weights(actual);
        Assert.Equal(left.Keys, right.Keys);
        Assert.All(left, pair => Assert.True(Trainings.SameBits(pair.Value, right[pair.Key]), pair.Key));
    }
}
