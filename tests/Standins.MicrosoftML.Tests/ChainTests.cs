using Microsoft.ML;
using Microsoft.ML.Data;

namespace Standins.MicrosoftML.Tests;

public sealed class ChainTests
{
    private readonly MLContext _ml = new(seed: 1);
    private readonly IDataView _reviews;

    public ChainTests() => _reviews = _ml.Data.LoadFromEnumerable(Review.Some);

    [Fact]
    public void A_foreign_trainer_stands_between_the_conversions()
    {
        var chain = _ml.Transforms.Conversion.MapValueToKey("Label", "Sentiment")
            .Append(new NearestMeanTrainer("Label", "Stars"))
            .Append(_ml.Transforms.Conversion.MapKeyToValue("PredictedLabel"));
        var model = chain.Fit(_reviews);
        Assert.Equal(["good", "bad", "good", "neutral"],
            model.Transform(_ml.Data.FilterRowsByMissingValues(_reviews, "Stars")).GetColumn<string>("PredictedLabel"));
        Assert.True(((ITransformer)model).IsRowToRowMapper);
        using var engine = _ml.Model.CreatePredictionEngine<StarsIn, Prediction>(new TransformerChain<ITransformer>([.. model.Skip(1)]));
        var prediction = engine.Predict(new StarsIn { Stars = 1 });
        Assert.Equal("bad", prediction.PredictedLabel);
        Assert.Equal(1, prediction.Score.Sum(), 1e-5);
        Assert.Equal("good", engine.Predict(new StarsIn { Stars = 6 }).PredictedLabel);
        engine.Predict(new StarsIn { Stars = 3 }, ref prediction);
        Assert.Equal("neutral", prediction.PredictedLabel);
    }

    [Fact]
    public void Fitting_a_chain_asks_for_the_output_shape_first()
    {
        var spy = new Spy();
        var chain = _ml.Transforms.CopyColumns("A", "Text").Append(spy);
        chain.Fit(_reviews);
        Assert.Equal(["shape", "fit"], spy.Calls);
        Assert.Contains(spy.Shape!, c => c.Name == "A");
    }

    [Fact]
    public void A_shape_that_lacks_a_column_stops_the_chain_before_anything_is_fitted()
    {
        var spy = new Spy();
        var chain = spy.Append(_ml.Transforms.Conversion.MapKeyToValue("Absent"));
        Assert.Throws<ArgumentOutOfRangeException>(() => chain.Fit(_reviews));
        Assert.DoesNotContain("fit", spy.Calls);
        Assert.ThrowsAny<ArgumentException>(() =>
            _ml.Transforms.CopyColumns("A", "Text").Append(_ml.Transforms.Conversion.MapKeyToValue("A")).Fit(_reviews));
    }

    [Fact]
    public void A_shape_with_two_columns_of_one_name_is_refused_by_what_comes_next()
    {
        var twice = _ml.Transforms.Conversion.MapValueToKey("Label", "Sentiment")
            .Append(new NearestMeanTrainer("Label", "Stars")).Append(new NearestMeanTrainer("Label", "Stars"));
        Assert.Throws<ArgumentException>(() => twice.Append(_ml.Transforms.CopyColumns("A", "Text")).Fit(_reviews));
    }

    [Fact]
    public void A_chain_lists_its_transformers_and_disposes_them()
    {
        var model = _ml.Transforms.Conversion.MapValueToKey("Label", "Sentiment").Append(new NearestMeanTrainer("Label", "Stars"))
            .Fit(_reviews);
        Assert.Equal(2, model.Count());
        Assert.Same(model.Last(), model.LastTransformer);
        model.Dispose();
        Assert.True(model.LastTransformer.IsDisposed);
    }

    [Fact]
    public void An_engine_owns_the_transformer_only_if_asked_to()
    {
        var model = _ml.Transforms.Conversion.MapValueToKey("Label", "Sentiment").Append(new NearestMeanTrainer("Label", "Stars"))
            .Fit(_reviews);
        _ml.Model.CreatePredictionEngine<StarsIn, Prediction2>(model.LastTransformer).Dispose();
        Assert.False(model.LastTransformer.IsDisposed);
        _ml.Model.CreatePredictionEngine<StarsIn, Prediction2>(model.LastTransformer, new PredictionEngineOptions()).Dispose();
        Assert.True(model.LastTransformer.IsDisposed);
    }

    [Fact]
    public void An_engine_wants_the_columns_that_the_model_reads()
    {
        var model = _ml.Transforms.Concatenate("Features", "Stars", "Absent");
        Assert.Throws<ArgumentOutOfRangeException>(() => _ml.Model.CreatePredictionEngine<StarsIn, Doubled>(
            _ml.Transforms.CopyColumns("Twice", "Absent").Append(model).Fit(_ml.Data.LoadFromEnumerable([new WithAbsent()]))));
    }

    [Fact]
    public void An_engine_wants_a_row_mapper()
    {
        Assert.ThrowsAny<ArgumentException>(() => _ml.Model.CreatePredictionEngine<StarsIn, Doubled>(new NotAMapper()));
    }

    [Fact]
    public void A_checkpoint_caches_what_comes_before_it()
    {
        var reads = 0;
        var view = _ml.Data.LoadFromEnumerable(Review.Some.Select(r =>
        {
            reads++;
            return r;
        }));
        _ml.Transforms.Conversion.MapValueToKey("Label", "Sentiment").AppendCacheCheckpoint(_ml)
            .Append(new NearestMeanTrainer("Label", "Stars")).Append(new NearestMeanTrainer("Label", "Stars")).Fit(view);
        Assert.InRange(reads, 10, 20);
    }

    [Fact]
    public void A_scope_chooses_among_the_transformers()
    {
        var chain = _ml.Transforms.CopyColumns("Always", "Text")
            .Append(_ml.Transforms.CopyColumns("Train", "Text"), TransformerScope.Training);
        var model = chain.Fit(_reviews);
        Assert.NotNull(model.GetOutputSchema(_reviews.Schema).GetColumnOrNull("Train"));
        Assert.Null(model.GetModelFor(TransformerScope.Scoring).GetOutputSchema(_reviews.Schema).GetColumnOrNull("Train"));
    }

    [Fact]
    public void OnFit_hands_out_the_transformer()
    {
        NearestMean? seen = null;
        var chain = _ml.Transforms.Conversion.MapValueToKey("Label", "Sentiment")
            .Append(new NearestMeanTrainer("Label", "Stars").WithOnFitDelegate(t => seen = t));
        Assert.Same(chain.Fit(_reviews).LastTransformer, seen);
    }

    [Fact]
    public void A_loader_turns_a_schema_into_a_shape_with_annotations()
    {
        var keyed = _ml.Transforms.Conversion.MapValueToKey("Label", "Sentiment")
            .Append(_ml.Transforms.Concatenate("Features", "Stars", "Stars"))
            .Fit(_reviews).Transform(_reviews);
        var shape = SchemaLoader.ShapeOf(keyed.Schema);
        var label = shape.Single(c => c.Name == "Label");
        Assert.True(label.IsKey);
        Assert.Equal(NumberDataViewType.UInt32, label.ItemType);
        Assert.Equal(SchemaShape.Column.VectorKind.Scalar, label.Kind);
        var values = label.Annotations.Single(a => a.Name == "KeyValues");
        Assert.Equal(TextDataViewType.Instance, values.ItemType);
        Assert.Equal(SchemaShape.Column.VectorKind.Vector, values.Kind);
        Assert.Equal(SchemaShape.Column.VectorKind.Vector, shape.Single(c => c.Name == "Features").Kind);
        Assert.Equal(["SlotNames"], shape.Single(c => c.Name == "Features").Annotations.Select(a => a.Name));
        Assert.Empty(shape.Single(c => c.Name == "Text").Annotations);
    }

    [Fact]
    public void Shapes_of_estimators_agree_with_the_schemas_of_their_transformers()
    {
        var chain = _ml.Transforms.Conversion.MapValueToKey("Label", "Sentiment")
            .Append(_ml.Transforms.Concatenate("Features", "Stars", "Stars"))
            .Append(_ml.Transforms.Conversion.MapKeyToValue("Back", "Label"))
            .Append(_ml.Transforms.Conversion.ConvertType("Wide", "Stars", DataKind.Double))
            .Append(_ml.Transforms.Conversion.MapValue("Mapped", [KeyValuePair.Create("good", 1f)], "Sentiment"))
            .Append(_ml.Transforms.CustomMapping<StarsIn, Doubled>((_, _) => { }, null))
            .Append(_ml.Transforms.CopyColumns("LabelCopy", "Label"))
            .Append(_ml.Transforms.DropColumns("Text"));
        string[] Describe(SchemaShape shape) => [.. shape.Select(c =>
            $"{c.Name} {c.Kind} {c.ItemType} {c.IsKey} {string.Join('/', Describe(c.Annotations))}").Order(StringComparer.Ordinal)];
        var promised = chain.GetOutputSchema(SchemaLoader.ShapeOf(_reviews.Schema));
        Assert.Equal(Describe(SchemaLoader.ShapeOf(chain.Fit(_reviews).GetOutputSchema(_reviews.Schema))), Describe(promised));
    }

    public sealed class Prediction
    {
        public string PredictedLabel { get; set; } = "";

        public float[] Score { get; set; } = [];
    }

    public sealed class Prediction2
    {
        public uint PredictedLabel { get; set; }
    }

    public sealed class WithAbsent
    {
        public float Stars { get; set; }

        public float Absent { get; set; }
    }

    private sealed class Spy : IEstimator<ITransformer>
    {
        public List<string> Calls { get; } = [];

        public SchemaShape? Shape { get; private set; }

        public ITransformer Fit(IDataView input)
        {
            Calls.Add("fit");
            return new TransformerChain<ITransformer>();
        }

        public SchemaShape GetOutputSchema(SchemaShape inputSchema)
        {
            Calls.Add("shape");
            return Shape = inputSchema;
        }
    }

    private sealed class NotAMapper : ITransformer
    {
        public bool IsRowToRowMapper => false;

        public DataViewSchema GetOutputSchema(DataViewSchema inputSchema) => inputSchema;

        public IDataView Transform(IDataView input) => input;

        public IRowToRowMapper GetRowToRowMapper(DataViewSchema inputSchema) => throw new NotSupportedException();

        void ICanSaveModel.Save(ModelSaveContext ctx) => throw new NotSupportedException();
    }
}
