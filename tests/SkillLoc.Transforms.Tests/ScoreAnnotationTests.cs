using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Trainers;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Tasks;

namespace SkillLoc.Transforms.Tests;

/// <summary>The columns that scoring adds say of themselves what those of ML.NET's own scorers do.</summary>
public sealed class ScoreAnnotationTests
{
    private readonly MLContext _ml = new(seed: 1);

    [Fact]
    public void ClassesAreAnnotatedAsMlNetsMulticlassScorersDo()
    {
        IDataView data = Data();
        MulticlassPredictionTransformer<MaximumEntropyModelParameters> theirs = _ml
            .MulticlassClassification.Trainers.SdcaMaximumEntropy(maximumNumberOfIterations: 2)
            .Fit(data);
        using TextScoringTransformer ours = Toy.Scorer();
        DataViewSchema expected = theirs.GetOutputSchema(data.Schema),
            actual = ours.GetOutputSchema(data.Schema);
        Assert.Equal(Annotations(expected["Score"]), Annotations(actual["Score"]));
        Assert.Equal(Annotations(expected["PredictedLabel"]), Annotations(actual["PredictedLabel"]));
        Assert.Equal(expected["PredictedLabel"].Type, actual["PredictedLabel"].Type);

        // Each scorer after another gets the next number, whoever comes first.
        Assert.Equal(Annotations(theirs.GetOutputSchema(actual)["Score"]), Annotations(ours.GetOutputSchema(expected)["Score"]));
        Assert.Contains("ScoreColumnSetId Key<UInt32, 0-2147483646> 2", Annotations(ours.GetOutputSchema(expected)["Score"]));
        Assert.Contains(
            "ScoreColumnSetId Key<UInt32, 0-2147483646> 3",
            Annotations(ours.GetOutputSchema(ours.GetOutputSchema(expected))["Score"])
        );
    }

    [Fact]
    public void ARegressionIsAnnotatedAsMlNetsAre()
    {
        IDataView data = Data();
        RegressionPredictionTransformer<LinearRegressionModelParameters> theirs = _ml
            .Regression.Trainers.Sdca("Number", maximumNumberOfIterations: 2)
            .Fit(data);
        using var ours = new TextScoringTransformer(
            TextClassifier.Create(Oracles.PathOf("tiny-roberta"), Toy.Settings with { ScoreRange = new(-2, 3) }),
            new ScoringColumns()
        );
        Assert.Equal(Annotations(theirs.GetOutputSchema(data.Schema)["Score"]), Annotations(ours.GetOutputSchema(data.Schema)["Score"]));
    }

    [Fact]
    public void ShapesSayTheSame()
    {
        SchemaShape input = Shape(Data().Schema);
        SchemaShape.Column[] theirs = [.. _ml.MulticlassClassification.Trainers.SdcaMaximumEntropy().GetOutputSchema(input)];
        SchemaShape.Column[] ours = [.. ScoringSchema.Append(input, new ScoringColumns(), new TaskOutputs(Toy.Settings.Labels))];
        foreach (string name in new[] { "Score", "PredictedLabel" })
        {
            Assert.Equal(
                Annotations(theirs.Single(column => column.Name == name)),
                Annotations(ours.Single(column => column.Name == name))
            );
        }

        SchemaShape.Column theirScore = _ml
            .Regression.Trainers.Sdca("Number")
            .GetOutputSchema(input)
            .Single(column => column.Name == "Score");
        SchemaShape.Column ourScore = ScoringSchema
            .Append(input, new ScoringColumns(), TaskOutputs.Score)
            .Single(column => column.Name == "Score");
        Assert.Equal(Annotations(theirScore), Annotations(ourScore));
    }

    [Fact]
    public void FeaturesAndWrittenTextsAreNoScores()
    {
        DataViewSchema schema = Data().Schema;
        DataViewSchema.Column features = ScoringSchema.AppendVector(schema, new(), "Neurons", ["0.1"])["Neurons"];
        Assert.Equal(["SlotNames"], features.Annotations.Schema.Select(kind => kind.Name));
        Assert.Empty(ScoringSchema.Append(schema, new(), new TaskOutputs([], IsText: true))["PredictedText"].Annotations.Schema);
    }

    private static List<string> Annotations(DataViewSchema.Column column) =>
        [
            .. column
                .Annotations.Schema.Select(kind => $"{kind.Name} {kind.Type} {Value(column.Annotations, kind)}")
                .Order(StringComparer.Ordinal),
        ];

    private static string Value(DataViewSchema.Annotations annotations, DataViewSchema.Column kind)
    {
        if (kind.Type is VectorDataViewType)
        {
            VBuffer<ReadOnlyMemory<char>> names = default;
            annotations.GetValue(kind.Name, ref names);
            return string.Join('|', names.DenseValues());
        }

        if (kind.Type is KeyDataViewType)
        {
            uint key = 0;
            annotations.GetValue(kind.Name, ref key);
            return key.ToString(CultureInfo.InvariantCulture);
        }

        ReadOnlyMemory<char> text = default;
        annotations.GetValue(kind.Name, ref text);
        return text.ToString();
    }

    private static List<string> Annotations(SchemaShape.Column column) =>
        [.. column.Annotations.Select(kind => $"{kind.Name} {kind.Kind} {kind.ItemType} {kind.IsKey}").Order(StringComparer.Ordinal)];

    private static SchemaShape Shape(DataViewSchema schema) => new ShapeOf(schema).Append(new Nothing()).GetOutputSchema();

    private IDataView Data()
    {
        IDataView rows = _ml.Data.LoadFromEnumerable(
            Enumerable
                .Range(0, 8)
                .Select(i => new Row
                {
                    Label = i % 2 == 0 ? "neg" : "pos",
                    Text = $"row {i}",
                    Number = i,
                    Features = [i, i % 2],
                })
        );
        return _ml.Transforms.Conversion.MapValueToKey("Label").Fit(rows).Transform(rows);
    }

    private sealed class Row
    {
        public string Label { get; set; } = "";

        public string Text { get; set; } = "";

        public float Number { get; set; }

        [VectorType(2)]
        public float[] Features { get; set; } = [];
    }

    private sealed class ShapeOf(DataViewSchema schema) : IDataLoader<object>
    {
        public DataViewSchema GetOutputSchema() => schema;

        public IDataView Load(object input) => throw new NotSupportedException();

        public void Save(ModelSaveContext ctx) => throw new NotSupportedException();
    }

    private sealed class Nothing : IEstimator<ITransformer>
    {
        public ITransformer Fit(IDataView input) => throw new NotSupportedException();

        public SchemaShape GetOutputSchema(SchemaShape inputSchema) => inputSchema;
    }
}
