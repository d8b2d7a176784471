using FsCheck;
using FsCheck.Fluent;
using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Embeddings;
using SkillLoc.Models.Generation;
using SkillLoc.Models.Neurons;
using SkillLoc.Models.Prompts;
using SkillLoc.Transforms;

namespace SkillLoc.Trainers.Tests.Properties;

/// <summary>ML.NET's contract of estimators: the shape that they promise is that of the schema that they deliver.</summary>
public sealed class SchemaShapePropertyTests
{
    private static readonly string T5 = Oracles.PathOf("tiny-t5");

    private readonly MLContext _ml = new(seed: 1);

    /// <summary>Names for the columns, some of which are those of other columns, which they hide then.</summary>
    private static Gen<Names> Columns =>
        from text in Gen.Elements("Text", "Body", "t")
        from pair in Gen.Elements("TextPair", "Title")
        from label in Gen.Elements("Label", "y")
        from score in Gen.Elements("Score", "s", "Extra")
        from predicted in Gen.Elements("PredictedLabel", "p", "Label", "Other")
        from written in Gen.Elements("PredictedText", "Answer", "Extra")
        where score != written
        select new Names(text, pair, label, score, predicted, written);

    public static TheoryData<string> Kinds =>
        ["words", "pair", "classes", "regression", "labels", "flags", "t5 closed", "t5 free", "t5 several"];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void FineTuningDeliversWhatItPromises(string kind) =>
        PropertyCheck.ForAll(Columns, names => Keeps(_ml.SkillLoc().PromptFineTune(Options(kind, names)), View(kind, names)), 4);

    [Theory]
    [InlineData("words")]
    [InlineData("regression")]
    [InlineData("t5 closed")]
    public void GraftsDeliverWhatTheyPromise(string kind) =>
        PropertyCheck.ForAll(
            Columns,
            names =>
            {
                IDataView data = View(kind, names);
                PromptFineTuneTrainer.Options options = Options(kind, names);
                (options.MaxSteps, options.LearningRate) = (1, 1e-3);
                using TextScoringTransformer tuned = _ml.SkillLoc().PromptFineTune(options).Fit(data);
                Keeps(
                    _ml.SkillLoc()
                        .GraftMask(
                            new GraftMaskEstimator.Options
                            {
                                FineTuned = tuned,
                                LabelColumnName = names.Label,
                                Epochs = 0,
                                Sparsity = 0.01,
                            }
                        ),
                    data
                );
            },
            2
        );

    [Fact]
    public void FeaturesOfNeuronsAndActivationsAreAsPromised() =>
        PropertyCheck.ForAll(
            from names in Columns
            from pooling in Gen.Elements(Enum.GetValues<TextPooling>())
            from kind in Gen.Elements(NeuronProbeKind.TextMax, NeuronProbeKind.TextMean)
            from layer in Gen.Elements<int?>(null, 0, 1)
            select (names, pooling, kind, layer),
            given =>
            {
                IDataView data = View("words", given.names);
                using TextScoringTransformer model = _ml.SkillLoc().PromptFineTune(Options("words", given.names)).Fit(data);
                Keeps(
                    _ml.SkillLoc()
                        .ProbeSkillNeurons(
                            new SkillNeuronProbeEstimator.Options
                            {
                                Model = model,
                                Kind = given.kind,
                                LabelColumnName = given.names.Label,
                                OutputColumnName = given.names.Score,
                                Fraction = 0.05,
                            }
                        ),
                    data
                );
                Keeps(
                    _ml.SkillLoc()
                        .ReadActivations(
                            new ReadActivationsEstimator.Options
                            {
                                Model = model,
                                Point = "blocks.1.mlp.hook_post",
                                Pooling = given.pooling,
                                OutputColumnName = given.names.Score,
                            }
                        ),
                    data
                );
                Keeps(
                    _ml.SkillLoc()
                        .EmbedText(
                            new EmbedTextEstimator.Options
                            {
                                Checkpoint = Toy.Checkpoint,
                                Layer = given.layer,
                                Pooling = TextPooling.Mean,
                                TextColumnName = given.names.Text,
                                TextPairColumnName = given.layer is null ? given.names.Pair : null,
                                OutputColumnName = given.names.Score,
                            }
                        ),
                    data
                );
            },
            4
        );

    [Fact]
    public void CalibratedScoresAreAsPromised()
    {
        IDataView data = View("words", new("Text", "TextPair", "Label", "Score", "PredictedLabel", "PredictedText"));
        BinaryClassificationCatalog.BinaryClassificationTrainers binary = _ml.BinaryClassification.Trainers;
        IEstimator<ITransformer>[] scorers =
        [
            _ml.MulticlassClassification.Trainers.SdcaMaximumEntropy(maximumNumberOfIterations: 2),
            _ml.MulticlassClassification.Trainers.NaiveBayes(),
            binary.SdcaLogisticRegression("IsPositive", maximumNumberOfIterations: 2),
            binary.LinearSvm("IsPositive", numberOfIterations: 2),
        ];
        PropertyCheck.ForAll(
            from scorer in Gen.Elements(scorers)
            from form in Gen.Elements(ScoreForm.Detected, ScoreForm.Logits)
            select (scorer, form),
            given =>
            {
                IDataView scored = given.scorer.Fit(data).Transform(data);
                string label = scored.Schema["Score"].Type is VectorDataViewType ? "Label" : "IsPositive";
                Keeps(_ml.SkillLoc().CalibrateTemperature(label, form: given.form), scored);
            },
            12
        );
    }

    /// <summary>Compares as ML.NET's own tests do: every column is promised as it is delivered, with no annotation that is not
    /// there.</summary>
    private static void Keeps<T>(IEstimator<T> estimator, IDataView data)
        where T : class, ITransformer
    {
        SchemaShape promised = estimator.GetOutputSchema(Shape(data.Schema));
        T transformer = estimator.Fit(data);
        using var owned = transformer as IDisposable;
        foreach (DataViewSchema schema in new[] { transformer.GetOutputSchema(data.Schema), transformer.Transform(data).Schema })
        {
            SchemaShape delivered = Shape(schema);
            Assert.Equal(Sorted(delivered), Sorted(promised));
            foreach (SchemaShape.Column column in delivered)
            {
                SchemaShape.Column said = promised.Single(other => other.Name == column.Name);
                Assert.Equal(Described(column), Described(said));
                Assert.Subset(column.Annotations.Select(Described).ToHashSet(), said.Annotations.Select(Described).ToHashSet());

                // What SkillLoc scores is annotated as promised, no less; of a margin's probability only the type is promised.
                Assert.True(column.Name == "Probability" || column.Annotations.Count == said.Annotations.Count, column.Name);
            }
        }

        static IEnumerable<string> Sorted(SchemaShape shape) => shape.Select(column => column.Name).Order(StringComparer.Ordinal);

        static string Described(SchemaShape.Column column) => $"{column.Name}: {column.Kind} {column.ItemType} {column.IsKey}";
    }

    private static SchemaShape Shape(DataViewSchema schema) => new ShapeOf(schema).Append(new Nothing()).GetOutputSchema();

    private static PromptFineTuneTrainer.Options Options(string kind, Names names)
    {
        bool isT5 = kind.StartsWith("t5", StringComparison.Ordinal);
        return new()
        {
            Checkpoint = isT5 ? T5 : Toy.Checkpoint,
            Task = kind switch
            {
                "classes" or "labels" or "flags" => null,
                "pair" => new PromptTask("pair", PromptTemplate.Parse("*cls**sent_0**mask**+sent_1**sep+*"), Toy.Task.Verbalizer),
                "regression" => Toy.Task with { ScoreRange = new(0, 4), Metric = PromptMetric.Correlation },
                _ => isT5 ? new TextToTextTask("toy", TextMetric.Accuracy) : Toy.Task,
            },
            Head = kind == "classes" ? HeadKind.SequenceClassification : null,
            MultiLabel = kind is "labels" or "flags",
            Epochs = 0,
            Seed = 1,
            TextColumnName = names.Text,
            TextPairColumnName = kind == "pair" ? names.Pair : null,
            LabelColumnName = names.Label,
            ScoreColumnName = names.Score,
            PredictedLabelColumnName = names.Predicted,
            PredictedTextColumnName = names.Written,
        };
    }

    /// <summary>Rows with the kind's label and some columns more.</summary>
    private IDataView View(string kind, Names names)
    {
        IDataView data = _ml.Data.LoadFromEnumerable(
            Toy.Examples(8)
                .Select(
                    (row, i) =>
                        new Row
                        {
                            Words = row.Text,
                            OtherWords = $"{row.Text} {i}",
                            Name = row.Label,
                            IsPositive = i % 2 == 1,
                            Number = i % 4,
                            Several = [row.Label, $"it {i % 2}"],
                            Features = [i, i % 2],
                            Zero = i % 2,
                            One = i % 3 == 0 ? 1 : 0,
                        }
                )
        );
        IEstimator<ITransformer> copies = _ml
            .Transforms.CopyColumns(names.Text, nameof(Row.Words))
            .Append(_ml.Transforms.CopyColumns(names.Pair, nameof(Row.OtherWords)))
            .Append(_ml.Transforms.CopyColumns("Extra", nameof(Row.Number)));
        copies = kind switch
        {
            "regression" => copies.Append(_ml.Transforms.CopyColumns(names.Label, nameof(Row.Number))),
            "labels" => copies.Append(_ml.Transforms.Conversion.MapValueToKey(names.Label, nameof(Row.Several))),
            "flags" => copies.Append(_ml.Transforms.Concatenate(names.Label, "Zero", "One")),
            "t5 free" => copies.Append(_ml.Transforms.CopyColumns(names.Label, nameof(Row.Name))),
            "t5 several" => copies.Append(_ml.Transforms.CopyColumns(names.Label, nameof(Row.Several))),
            _ => copies.Append(_ml.Transforms.Conversion.MapValueToKey(names.Label, nameof(Row.Name))),
        };
        return copies.Fit(data).Transform(data);
    }

    private sealed record Names(string Text, string Pair, string Label, string Score, string Predicted, string Written);

    private sealed class Row
    {
        public string Words { get; set; } = "";

        public string OtherWords { get; set; } = "";

        public string Name { get; set; } = "";

        public bool IsPositive { get; set; }

        public float Number { get; set; }

        public float Zero { get; set; }

        public float One { get; set; }

        public string[] Several { get; set; } = [];

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
