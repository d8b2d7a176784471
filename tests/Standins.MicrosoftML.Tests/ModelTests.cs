using System.Text.Json;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms;

namespace Standins.MicrosoftML.Tests;

public sealed class ModelTests
{
    private readonly MLContext _ml = new(seed: 1);
    private readonly IDataView _reviews;

    public ModelTests() => _reviews = _ml.Data.LoadFromEnumerable(Review.Some);

    [Fact]
    public void A_chain_of_built_in_transformers_comes_back()
    {
        var signs = new Dictionary<string, float> { ["good"] = 1, ["bad"] = -1, [""] = 0, ["neutral"] = 0 };
        var chain = _ml.Transforms.Conversion.MapValueToKey("Label", "Sentiment")
            .Append(_ml.Transforms.Conversion.MapKeyToValue("Back", "Label"))
            .Append(_ml.Transforms.CopyColumns("Copy", "Back"))
            .Append(_ml.Transforms.Concatenate("Features", "Stars", "Stars"))
            .Append(_ml.Transforms.Conversion.MapValue("Sign", signs, "Copy"))
            .Append(_ml.Transforms.Conversion.ConvertType("Wide", "Sign", DataKind.Double))
            .Append(_ml.Transforms.DropColumns("Text"));
        var model = chain.Fit(_reviews);
        var loaded = SaveAndLoad(model, _reviews.Schema, out var schema);
        Assert.Equal(_reviews.Schema.Select(c => $"{c.Name} {c.Type}"), schema!.Select(c => $"{c.Name} {c.Type}"));
        Assert.Equal(7, Assert.IsType<TransformerChain<ITransformer>>(loaded).Count());
        var expected = model.Transform(_reviews);
        var actual = loaded.Transform(_reviews);
        Assert.Equal(expected.Schema.Select(c => c.ToString()), actual.Schema.Select(c => c.ToString()));
        Assert.Equal(expected.GetColumn<uint>("Label"), actual.GetColumn<uint>("Label"));
        Assert.Equal(expected.GetColumn<float[]>("Features"), actual.GetColumn<float[]>("Features"));
        Assert.Equal([1.0, -1, 1, 0, 0], actual.GetColumn<double>("Wide"));
        Assert.Equal(Review.Some.Select(r => r.Sentiment), actual.GetColumn<string>("Copy"));
    }

    [Fact]
    public void The_input_schema_keeps_its_annotations()
    {
        var keyed = _ml.Transforms.Conversion.MapValueToKey("Label", "Sentiment").Fit(_reviews).Transform(_reviews);
        SaveAndLoad(_ml.Transforms.CopyColumns("A", "Label").Fit(keyed), keyed.Schema, out var schema);
        VBuffer<ReadOnlyMemory<char>> values = default;
        schema!["Label"].GetKeyValues(ref values);
        Assert.Equal(["good", "bad", "neutral"], values.DenseValues().Select(v => v.ToString()));
        SaveAndLoad(_ml.Transforms.CopyColumns("A", "Label").Fit(keyed), null, out schema);
        Assert.Null(schema);
    }

    [Fact]
    public void A_model_is_saved_to_a_file_as_well()
    {
        var path = Path.GetTempFileName();
        try
        {
            _ml.Model.Save(_ml.Transforms.CopyColumns("A", "Text").Fit(_reviews), _reviews.Schema, path);
            Assert.Equal("fine", new MLContext().Model.Load(path, out _).Transform(_reviews).GetColumn<string>("A").First());
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void A_custom_mapping_is_found_again_by_its_contract()
    {
        var output = SchemaDefinition.Create(typeof(Doubled));
        output["Both"].ColumnType = new VectorDataViewType(NumberDataViewType.Single, 2);
        var model = _ml.Transforms.CustomMapping(new DoublingFactory().GetMapping(), "Doubling", outputSchemaDefinition: output)
            .Fit(_reviews);
        var loaded = SaveAndLoad(model, _reviews.Schema, out _);
        Assert.IsType<CustomMappingTransformer<StarsIn, Doubled>>(loaded);
        Assert.Equal([8f, 3f, 10f, float.NaN, 6f], loaded.Transform(_reviews).GetColumn<float>("Twice"));

        // The factory knows nothing of the schema definition that the mapping had.
        Assert.False(((VectorDataViewType)loaded.GetOutputSchema(_reviews.Schema)["Both"].Type).IsKnownSize);
    }

    [Fact]
    public void A_custom_mapping_without_a_contract_cannot_be_saved()
    {
        var model = _ml.Transforms.CustomMapping<StarsIn, Doubled>((_, _) => { }, contractName: null).Fit(_reviews);
        Assert.Throws<InvalidOperationException>(() => _ml.Model.Save(model, _reviews.Schema, new MemoryStream()));
    }

    [Fact]
    public void A_contract_that_nobody_offers_is_an_error_at_loading()
    {
        var model = _ml.Transforms.CustomMapping(new DoublingFactory().GetMapping(), "No such contract").Fit(_reviews);
        Assert.ThrowsAny<Exception>(() => SaveAndLoad(model, _reviews.Schema, out _));
    }

    [Fact]
    public void A_transformer_that_writes_nothing_cannot_be_saved()
    {
        var model = _ml.Transforms.Conversion.MapValueToKey("Label", "Sentiment").Append(new NearestMeanTrainer("Label", "Stars"))
            .Fit(_reviews);
        var error = Assert.Throws<InvalidOperationException>(() =>
            _ml.Model.Save(model.LastTransformer, _reviews.Schema, new MemoryStream()));
        Assert.Contains("ModelSignature not specified!", error.Message, StringComparison.Ordinal);
        Assert.Throws<InvalidOperationException>(() => _ml.Model.Save(model, _reviews.Schema, new MemoryStream()));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_transformer_that_has_another_saved_in_its_place_comes_back_as_that(bool inChain)
    {
        ITransformer model = new Delegating(_ml.Transforms.CustomMapping(new DoublingFactory().GetMapping(), "Doubling").Fit(_reviews));
        if (inChain)
            model = _ml.Transforms.CopyColumns("A", "Text").Fit(_reviews).Append(model);
        var loaded = SaveAndLoad(model, _reviews.Schema, out _);
        var last = inChain ? Assert.IsType<TransformerChain<ITransformer>>(loaded).Last() : loaded;
        Assert.IsType<CustomMappingTransformer<StarsIn, Doubled>>(last);
        Assert.Equal(8, loaded.Transform(_reviews).GetColumn<float>("Twice").First());
    }

    [Fact]
    public void State_travels_as_a_mapped_text()
    {
        var state = JsonSerializer.Serialize(new { Factor = 3 });
        var chain = _ml.Transforms.CustomMapping(new StateKeyFactory().GetMapping(), "StateKey")
            .Append(_ml.Transforms.Conversion.MapValue("State", [KeyValuePair.Create(0, state.AsMemory())], "StateKey"))
            .Append(_ml.Transforms.CustomMapping(new ScalingFactory().GetMapping(), "Scaling"));
        var loaded = SaveAndLoad(chain.Fit(_reviews), _reviews.Schema, out _);
        Assert.Equal([12f, 4.5f, 15f, float.NaN, 9f], loaded.Transform(_reviews).GetColumn<float>("Scaled"));
        using var engine = new MLContext().Model.CreatePredictionEngine<StarsIn, ScalingOutput>(loaded);
        Assert.Equal(6, engine.Predict(new StarsIn { Stars = 2 }).Scaled);
    }

    [Fact]
    public void Saved_text_is_compressed()
    {
        var random = new byte[75_000];
        new Random(1).NextBytes(random);
        var text = Convert.ToBase64String(random);
        using var stream = new MemoryStream();
        _ml.Model.Save(_ml.Transforms.Conversion.MapValue("State", [KeyValuePair.Create("fine", text)], "Text").Fit(_reviews),
            _reviews.Schema, stream);
        Assert.InRange(stream.Length, 75_000, 110_000);
        stream.Position = 0;
        Assert.Equal(text, new MLContext().Model.Load(stream, out _).Transform(_reviews).GetColumn<string>("State").First());
    }

    [Fact]
    public void An_engine_takes_names_and_types_from_definitions()
    {
        var input = SchemaDefinition.Create(typeof(StarsIn));
        input["Stars"].ColumnName = "Rating";
        var output = SchemaDefinition.Create(typeof(StarsIn));
        output["Stars"].ColumnName = "Copy";
        var rating = _ml.Transforms.CopyColumns("Rating", "Stars").Fit(_reviews).Transform(_reviews);
        var model = _ml.Transforms.CopyColumns("Copy", "Rating").Fit(rating);
        using var engine = _ml.Model.CreatePredictionEngine<StarsIn, StarsIn>(model, inputSchemaDefinition: input,
            outputSchemaDefinition: output);
        Assert.Equal(7, engine.Predict(new StarsIn { Stars = 7 }).Stars);
    }

    [Fact]
    public void An_engine_fills_what_it_can_unless_all_is_wanted()
    {
        var model = _ml.Transforms.CopyColumns("Twice", "Stars").Fit(_reviews);
        using var engine = _ml.Model.CreatePredictionEngine<StarsIn, Doubled>(model);
        Assert.Equal(2, engine.Predict(new StarsIn { Stars = 2 }).Twice);
        Assert.Throws<ArgumentOutOfRangeException>(() =>
            _ml.Model.CreatePredictionEngine<StarsIn, Doubled>(model, ignoreMissingColumns: false));
    }

    private ITransformer SaveAndLoad(ITransformer model, DataViewSchema? schema, out DataViewSchema? loadedSchema)
    {
        using var stream = new MemoryStream();
        _ml.Model.Save(model, schema, stream);
        stream.Position = 0;
        return new MLContext().Model.Load(stream, out loadedSchema);
    }

    private sealed class Delegating(ITransformer inner) : ITransformer
    {
        public bool IsRowToRowMapper => inner.IsRowToRowMapper;

        public DataViewSchema GetOutputSchema(DataViewSchema inputSchema) => inner.GetOutputSchema(inputSchema);

        public IDataView Transform(IDataView input) => inner.Transform(input);

        public IRowToRowMapper GetRowToRowMapper(DataViewSchema inputSchema) => inner.GetRowToRowMapper(inputSchema);

        void ICanSaveModel.Save(ModelSaveContext ctx) => inner.Save(ctx);
    }

    public sealed class NoColumns
    {
    }

    public sealed class StateKey
    {
        [ColumnName("StateKey")]
        public int Key { get; set; }
    }

    public sealed class ScalingInput
    {
        public float Stars { get; set; }

        public ReadOnlyMemory<char> State { get; set; }
    }

    public sealed class ScalingOutput
    {
        public float Scaled { get; set; }
    }

    [CustomMappingFactoryAttribute("Doubling")]
    public sealed class DoublingFactory : CustomMappingFactory<StarsIn, Doubled>
    {
        public override Action<StarsIn, Doubled> GetMapping() => (input, output) => output.Twice = 2 * input.Stars;
    }

    [CustomMappingFactoryAttribute("StateKey")]
    public sealed class StateKeyFactory : CustomMappingFactory<NoColumns, StateKey>
    {
        public override Action<NoColumns, StateKey> GetMapping() => (_, output) => output.Key = 0;
    }

    [CustomMappingFactoryAttribute("Scaling")]
    public sealed class ScalingFactory : CustomMappingFactory<ScalingInput, ScalingOutput>
    {
        public override Action<ScalingInput, ScalingOutput> GetMapping() => (input, output) =>
            output.Scaled = input.Stars * JsonDocument.Parse(input.State).RootElement.GetProperty("Factor").GetSingle();
    }
}
