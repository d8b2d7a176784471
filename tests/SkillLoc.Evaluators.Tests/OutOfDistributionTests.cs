using Microsoft.ML;
using Microsoft.ML.Data;

namespace SkillLoc.Evaluators.Tests;

public sealed class OutOfDistributionTests
{
    /// <summary>
    /// Right with 0.875, right with 0.75, wrong with 0.75, right with 0.625. Of yes 1 is found and 1 is false, of no 2 are found and 1 is
    /// missed: F1 of 2/3 and 4/5. Of 15 bins the 10th, 12th and 14th have rows.
    /// </summary>
    private static readonly (float, string)[] Usual = [(0.875f, "yes"), (0.25f, "no"), (0.75f, "no"), (0.375f, "no")];

    private sealed class Digit
    {
        public int Label { get; set; }

        public float Chance { get; set; }
    }

    private sealed class Unfit
    {
        [KeyType(2)]
        public uint Key { get; set; }

        [VectorType(2)]
        public float[] Vector { get; set; } = [];

        public float Chance { get; set; }
    }

    /// <summary>A model that gives one row less.</summary>
    private sealed class Shortened(ITransformer model) : ITransformer
    {
        public bool IsRowToRowMapper => false;

        public DataViewSchema GetOutputSchema(DataViewSchema inputSchema) => model.GetOutputSchema(inputSchema);

        public IRowToRowMapper GetRowToRowMapper(DataViewSchema inputSchema) => throw new NotSupportedException();

        public void Save(ModelSaveContext ctx) => throw new NotSupportedException();

        public IDataView Transform(IDataView input) => Fake.Ml.Data.TakeRows(model.Transform(input), 1);
    }

    private static OutOfDistributionMetrics Evaluate(
        ITransformer model,
        Dictionary<string, IDataView> sets,
        string inDistribution = "usual",
        Dictionary<string, IReadOnlyDictionary<string, string>>? labelMaps = null,
        string label = "Label",
        string score = "Score"
    ) =>
        Fake
            .Ml.SkillLoc()
            .Evaluation.EvaluateOutOfDistribution(
                new Dictionary<string, ITransformer> { ["m"] = model },
                sets,
                inDistribution,
                label,
                score,
                labelMaps
            );

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void SetsMatchWhatWasComputedByHandInAnyOrderOfLabels(bool reverse)
    {
        OutOfDistributionMetrics metrics = Evaluate(
            Fake.YesNo(reverse: reverse),
            new()
            {
                ["usual"] = Fake.Rows(Usual),
                ["keyed"] = Fake.KeyedRows([.. Usual.Reverse()]),
                ["one label"] = Fake.KeyedRows((0.25f, "no"), (0.125f, "no"), (0.625f, "no")),
            }
        );

        Assert.Equal("usual", metrics.InDistribution);
        Assert.Equal(["usual", "keyed", "one label"], metrics.Entries.Select(entry => entry.Set));
        foreach (OutOfDistributionEntry entry in metrics.Entries.Take(2))
        {
            Assert.Equal(4, entry.Count);
            Assert.Equal(0.75, entry.Accuracy, 6);
            Assert.Equal((2.0 / 3 + 4.0 / 5) / 2, entry.MacroF1, 6);
            Assert.Equal((0.125 + (2 * 0.25) + 0.375) / 4, entry.ExpectedCalibrationError, 6);
            Assert.Equal(-(Math.Log(0.875) + Math.Log(0.75) + Math.Log(0.25) + Math.Log(0.625)) / 4, entry.LogLoss, 5);
            Assert.Equal((0.875 + 0.75 + 0.75 + 0.625) / 4, entry.MeanConfidence, 6);
            Assert.Equal(0, entry.AccuracyDrop, 6);
        }

        // Nothing is yes and one row is said to be; 2 of 3 are found to be no.
        OutOfDistributionEntry subset = metrics.Entries[2];
        Assert.Equal(2.0 / 3, subset.Accuracy, 6);
        Assert.Equal((0 + 4.0 / 5) / 2, subset.MacroF1, 6);
        Assert.Equal(0.75 - 2.0 / 3, subset.AccuracyDrop, 6);
    }

    [Fact]
    public void LabelsAreMappedBySet()
    {
        OutOfDistributionMetrics metrics = Evaluate(
            Fake.YesNo(),
            new()
            {
                ["usual"] = Fake.Rows(Usual),
                ["three"] = Fake.KeyedRows((0.25f, "contradiction"), (0.875f, "neutral"), (0.75f, "entailment"), (0.25f, "no")),
                ["swapped"] = Fake.Rows((0.25f, "yes"), (0.75f, "no")),
            },
            labelMaps: new()
            {
                ["three"] = new Dictionary<string, string>
                {
                    ["contradiction"] = "no",
                    ["neutral"] = "no",
                    ["entailment"] = "yes",
                },
                ["swapped"] = new Dictionary<string, string> { ["yes"] = "no", ["no"] = "yes" },
            }
        );
        Assert.Equal([0.75, 0.75, 1], metrics.Entries.Select(entry => entry.Accuracy));
        Assert.Equal([0, 0, -0.25], metrics.Entries.Select(entry => entry.AccuracyDrop));
    }

    [Fact]
    public void EveryModelScoresEverySetOnce()
    {
        int first = 0,
            second = 0;
        OutOfDistributionMetrics metrics = Fake
            .Ml.SkillLoc()
            .Evaluation.EvaluateOutOfDistribution(
                new Dictionary<string, ITransformer>
                {
                    ["a"] = Fake.YesNo(row => row.Chance + (0 * ++first)),
                    ["b"] = Fake.YesNo(row => 1 - row.Chance + (0 * ++second)),
                },
                new Dictionary<string, IDataView>
                {
                    ["other"] = Fake.Rows((0.75f, "yes"), (0.75f, "no"), (0.75f, "yes")),
                    ["usual"] = Fake.Rows(Usual),
                },
                "usual"
            );
        Assert.Equal((7, 7), (first, second));
        Assert.Equal(
            [("a", "other", 2.0 / 3), ("a", "usual", 0.75), ("b", "other", 1.0 / 3), ("b", "usual", 0.25)],
            metrics.Entries.Select(entry => (entry.Model, entry.Set, entry.Accuracy))
        );
        Assert.Equal(0.25 - 1.0 / 3, metrics.Entries[2].AccuracyDrop, 9);

        IDataView rows = metrics.ToDataView(Fake.Ml);
        Assert.Equal(
            ["Model", "Set", "Count", "Accuracy", "MacroF1", "ExpectedCalibrationError", "LogLoss", "MeanConfidence", "AccuracyDrop"],
            rows.Schema.Select(column => column.Name)
        );
        Assert.Equal(["other", "usual", "other", "usual"], rows.GetColumn<string>("Set"));
        Assert.Equal([3L, 4, 3, 4], rows.GetColumn<long>("Count"));
    }

    [Fact]
    public void RowsWithoutALabelAreLeftOut()
    {
        Assert.Equal(1, Evaluate(Fake.YesNo(), new() { ["usual"] = Fake.Rows((0.5f, ""), (0.75f, "yes")) }).Entries[0].Count);

        // The key of 7 is missing, and the value of a missing integer key would be 0.
        IDataView known = Fake.Ml.Data.LoadFromEnumerable(
            new[]
            {
                new Digit { Label = 1 },
                new Digit(),
            }
        );
        IDataView rows = Fake.Ml.Data.LoadFromEnumerable(
            new[]
            {
                new Digit { Label = 7, Chance = 0.25f },
                new Digit { Label = 0, Chance = 0.75f },
            }
        );
        OutOfDistributionEntry entry = Evaluate(
            Fake.YesNo(),
            new() { ["usual"] = Fake.Ml.Transforms.Conversion.MapValueToKey("Label").Fit(known).Transform(WithId(rows)) },
            labelMaps: new()
            {
                ["usual"] = new Dictionary<string, string> { ["0"] = "yes", ["1"] = "no" },
            }
        ).Entries[0];
        Assert.Equal((1, 1), (entry.Count, entry.Accuracy));

        static IDataView WithId(IDataView rows) =>
            Fake.Ml.Transforms.Conversion.ConvertType("Id", "Label", DataKind.Int32).Fit(rows).Transform(rows);
    }

    [Fact]
    public void AModelThatMapsItsOwnLabelsDoesNotHideRows()
    {
        // The chain maps labels by the keys of its training data, which lack "maybe".
        IDataView training = Fake.Rows((1, "yes"), (0, "no"));
        ITransformer model = Fake.Ml.Transforms.Conversion.MapValueToKey("Label").Fit(training).Append(Fake.YesNo());
        Assert.Equal(0.75, Evaluate(model, new() { ["usual"] = Fake.Rows(Usual) }).Entries[0].Accuracy);
        Assert.Contains(
            "'maybe'",
            Assert
                .Throws<InvalidOperationException>(() => Evaluate(model, new() { ["usual"] = Fake.Rows((0.5f, "yes"), (0.5f, "maybe")) }))
                .Message
        );
    }

    [Fact]
    public void ALabelThatTheModelDoesNotKnowIsNamedBeforeAnythingIsScored()
    {
        int scored = 0;
        ITransformer model = Fake.YesNo(row => 0.5f + (0 * ++scored));
        Dictionary<string, IDataView> sets = new()
        {
            ["usual"] = Fake.Rows(Usual),
            ["other"] = Fake.Rows((0.5f, "yes"), (0.5f, "neutral")),
        };
        string message = Assert.Throws<InvalidOperationException>(() => Evaluate(model, sets)).Message;
        Assert.All(["'m'", "'other'", "Row 1", "'neutral'", "'yes', 'no'"], part => Assert.Contains(part, message));
        message = Assert
            .Throws<InvalidOperationException>(() =>
                Evaluate(model, sets, labelMaps: new() { ["other"] = new Dictionary<string, string> { ["neutral"] = "nein" } })
            )
            .Message;
        Assert.Contains("'neutral', which is mapped to 'nein'", message);
        Assert.Equal(0, scored);
    }

    [Fact]
    public void BadInputIsRefused()
    {
        Dictionary<string, IDataView> usual = new() { ["usual"] = Fake.Rows(Usual) };
        Assert.Contains("'usual'", Assert.Throws<ArgumentException>(() => Evaluate(Fake.YesNo(), usual, "nothing")).Message);
        Assert.Contains(
            "'nothing'",
            Assert
                .Throws<ArgumentException>(() =>
                    Evaluate(Fake.YesNo(), usual, labelMaps: new() { ["nothing"] = new Dictionary<string, string>() })
                )
                .Message
        );
        Assert.Contains("'Wrong'", Assert.Throws<ArgumentException>(() => Evaluate(Fake.YesNo(), usual, label: "Wrong")).Message);
        Assert.Contains("'Wrong'", Assert.Throws<InvalidOperationException>(() => Evaluate(Fake.YesNo(), usual, score: "Wrong")).Message);
        Assert.Contains(
            "'usual'",
            Assert.Throws<InvalidOperationException>(() => Evaluate(Fake.YesNo(), new() { ["usual"] = Fake.Rows((0.5f, "")) })).Message
        );
        Assert.Contains(
            "4 rows and the model gives 1",
            Assert.Throws<InvalidOperationException>(() => Evaluate(new Shortened(Fake.YesNo()), usual)).Message
        );
        Assert.Contains(
            "Row 3",
            Assert.Throws<InvalidOperationException>(() => Evaluate(Fake.YesNo(row => row.Id == 3 ? 2 : 0.5f), usual)).Message
        );
        Assert.Throws<ArgumentException>(() =>
            Fake.Ml.SkillLoc().Evaluation.EvaluateOutOfDistribution(new Dictionary<string, ITransformer>(), usual, "usual")
        );

        IDataView unfit = Fake.Ml.Data.LoadFromEnumerable(new[] { new Unfit { Vector = [0.5f, 0.5f] } });
        Assert.Contains(
            "no values",
            Assert.Throws<ArgumentException>(() => Evaluate(Fake.YesNo(), new() { ["usual"] = unfit }, label: "Key")).Message
        );
        Assert.Contains(
            "'Vector'",
            Assert.Throws<ArgumentException>(() => Evaluate(Fake.YesNo(), new() { ["usual"] = unfit }, label: "Vector")).Message
        );

        // Scores without names, and with the same name twice.
        IDataView labeled = Fake.Ml.Transforms.Conversion.ConvertType("Label", "Chance", DataKind.String).Fit(unfit).Transform(unfit);
        ITransformer nameless = Fake.Ml.Transforms.CopyColumns("Score", "Vector").Fit(labeled);
        ITransformer twice = Fake.Ml.Transforms.Concatenate("Score", "Chance", "Chance").Fit(labeled);
        Assert.Contains(
            "named after the labels",
            Assert.Throws<InvalidOperationException>(() => Evaluate(nameless, new() { ["usual"] = labeled })).Message
        );
        Assert.Contains(
            "different names",
            Assert.Throws<InvalidOperationException>(() => Evaluate(twice, new() { ["usual"] = labeled })).Message
        );
    }
}
