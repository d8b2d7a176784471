using Microsoft.ML;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;
using SkillLoc.Transforms;

namespace SkillLoc.Transforms.Tests;

/// <summary>A scorer over the tiny oracle checkpoint, and rows for it.</summary>
internal static class Toy
{
    public static ClassifierSettings Settings { get; } =
        new()
        {
            Task = "toy",
            Template = "*cls**sent_0*_It_was*mask*.*sep+*",
            Labels = ["neg", "pos"],
            Words = ["bad", "good"],
            MaxLength = 64,
        };

    public static string[] Texts { get; } =
    [.. Enumerable.Range(0, 100).Select(i => string.Join(' ', Enumerable.Range(0, (i * 7 % 23) + 1).Select(j => $"word{(i + j) % 13}")))];

    public static TextScoringTransformer Scorer() =>
        new(
            TextClassifier.Create(Oracles.PathOf("tiny-roberta"), Settings),
            new ScoringColumns(),
            baseCheckpoint: Oracles.PathOf("tiny-roberta")
        );

    public static IDataView Rows(MLContext ml, int count = 100) =>
        ml.Data.LoadFromEnumerable(
            Texts
                .Take(count)
                .Select(
                    (text, i) =>
                        new Row
                        {
                            Id = i,
                            Text = text,
                            Numbers = [i, i * 2],
                        }
                )
        );

    public sealed class Row
    {
        public int Id { get; set; }

        public string Text { get; set; } = "";

        [Microsoft.ML.Data.VectorType(2)]
        public float[] Numbers { get; set; } = [];
    }

    public sealed class Scored
    {
        public int Id { get; set; }

        public float[] Numbers { get; set; } = [];

        public float[] Score { get; set; } = [];

        [Microsoft.ML.Data.KeyType(2)]
        public uint PredictedLabel { get; set; }
    }
}
