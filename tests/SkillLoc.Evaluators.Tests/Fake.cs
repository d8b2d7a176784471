using Microsoft.ML;
using Microsoft.ML.Data;

namespace SkillLoc.Evaluators.Tests;

/// <summary>Models with known probabilities: a row's Chance is that of the first label, or what a function makes of it.</summary>
internal static class Fake
{
    public static MLContext Ml { get; } = new(seed: 1);

    public static IDataView Rows(params (float Chance, string Label)[] rows) =>
        Ml.Data.LoadFromEnumerable(
            rows.Select(
                (row, id) =>
                    new Row
                    {
                        Id = id,
                        Chance = row.Chance,
                        Label = row.Label,
                    }
            )
        );

    /// <summary>The rows with key-typed labels, whose keys are in the order of first occurrence.</summary>
    public static IDataView KeyedRows(params (float Chance, string Label)[] rows)
    {
        IDataView data = Rows(rows);
        return Ml.Transforms.Conversion.MapValueToKey("Label").Fit(data).Transform(data);
    }

    /// <summary>A model of the labels yes and no; in the reverse order of slots if asked.</summary>
    public static ITransformer YesNo(Func<Inputs, float>? chance = null, bool reverse = false) =>
        Ml
            .Transforms.CustomMapping<Inputs, YesNoScores>(
                (row, scores) =>
                {
                    scores.Yes = chance is null ? row.Chance : chance(row);
                    scores.No = 1 - scores.Yes;
                },
                null
            )
            .Append(reverse ? Ml.Transforms.Concatenate("Score", "no", "yes") : Ml.Transforms.Concatenate("Score", "yes", "no"))
            .Fit(Rows((0, "")));

    public class Inputs
    {
        public int Id { get; set; }

        public float Chance { get; set; }
    }

    public sealed class Row : Inputs
    {
        public string Label { get; set; } = "";
    }

    public sealed class YesNoScores
    {
        [ColumnName("yes")]
        public float Yes { get; set; }

        [ColumnName("no")]
        public float No { get; set; }
    }
}
