using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms;

namespace Standins.MicrosoftML.Tests;

public sealed class ConversionTests
{
    private readonly MLContext _ml = new(seed: 1);
    private readonly IDataView _reviews;

    public ConversionTests() => _reviews = _ml.Data.LoadFromEnumerable(Review.Some);

    [Fact]
    public void Values_get_keys_in_the_order_in_which_they_occur()
    {
        var keyed = _ml.Transforms.Conversion.MapValueToKey("Label", "Sentiment").Fit(_reviews).Transform(_reviews);
        Assert.Equal([1u, 2u, 1u, 0u, 3u], keyed.GetColumn<uint>("Label"));
        Assert.Equal(["good", "bad", "neutral"], KeyValues(keyed.Schema["Label"]));
        Assert.Equal(new KeyDataViewType(typeof(uint), 3), keyed.Schema["Label"].Type);
        Assert.True(keyed.Schema["Label"].HasKeyValues());
    }

    [Fact]
    public void Values_get_keys_in_their_own_order_when_asked()
    {
        var keyed = _ml.Transforms.Conversion.MapValueToKey("Label", "Sentiment",
            keyOrdinality: ValueToKeyMappingEstimator.KeyOrdinality.ByValue)
            .Fit(_reviews).Transform(_reviews);
        Assert.Equal(["bad", "good", "neutral"], KeyValues(keyed.Schema["Label"]));
        Assert.Equal([2u, 1u, 2u, 0u, 3u], keyed.GetColumn<uint>("Label"));
    }

    [Fact]
    public void Values_that_the_fit_did_not_see_have_no_key()
    {
        var model = _ml.Transforms.Conversion.MapValueToKey("Label", "Sentiment").Fit(_ml.Data.TakeRows(_reviews, 2));
        Assert.Equal([1u, 2u, 1u, 0u, 0u], model.Transform(_reviews).GetColumn<uint>("Label"));
        var limited = _ml.Transforms.Conversion.MapValueToKey("Label", "Sentiment", maximumNumberOfKeys: 1).Fit(_reviews);
        Assert.Equal([1u, 0u, 1u, 0u, 0u], limited.Transform(_reviews).GetColumn<uint>("Label"));
    }

    [Fact]
    public void Key_data_says_which_keys_there_are()
    {
        var keys = _ml.Data.LoadFromEnumerable(new[] { "neutral", "good" }.Select(s => new OneColumn { Value = s }));
        var keyed = _ml.Transforms.Conversion.MapValueToKey("Label", "Sentiment", keyData: keys).Fit(_reviews).Transform(_reviews);
        Assert.Equal([2u, 0u, 2u, 0u, 1u], keyed.GetColumn<uint>("Label"));
    }

    [Fact]
    public void Numbers_can_be_keys_with_values_as_numbers_or_as_text()
    {
        var keyed = _ml.Transforms.Conversion.MapValueToKey("Label", "Stars").Fit(_reviews).Transform(_reviews);
        VBuffer<float> values = default;
        keyed.Schema["Label"].GetKeyValues(ref values);
        Assert.Equal([4f, 1.5f, 5f, 3f], values.DenseValues());
        Assert.Equal([1u, 2u, 3u, 0u, 4u], keyed.GetColumn<uint>("Label"));
        Assert.False(keyed.Schema["Label"].HasKeyValues());
        Assert.True(keyed.Schema["Label"].HasKeyValues(NumberDataViewType.Single));
        var asText = _ml.Transforms.Conversion.MapValueToKey("Label", "Stars", addKeyValueAnnotationsAsText: true).Fit(_reviews)
            .Transform(_reviews);
        Assert.Equal(["4", "1.5", "5", "3"], KeyValues(asText.Schema["Label"]));
    }

    [Fact]
    public void Keys_map_back_to_values_and_missing_keys_to_missing_values()
    {
        var chain = _ml.Transforms.Conversion.MapValueToKey([new("Label", "Sentiment"), new("StarsKey", "Stars")])
            .Append(_ml.Transforms.Conversion.MapKeyToValue([new("Label"), new("StarsBack", "StarsKey")]));
        var back = chain.Fit(_reviews).Transform(_reviews);
        Assert.Equal(Review.Some.Select(r => r.Sentiment), back.GetColumn<string>("Label"));
        Assert.Equal(Review.Some.Select(r => r.Stars), back.GetColumn<float>("StarsBack"));
    }

    [Fact]
    public void Vectors_are_mapped_item_by_item()
    {
        var view = _ml.Data.LoadFromEnumerable([new Keyed { Many = [7, 8, 7] }, new Keyed { Many = [9] }]);
        var chain = _ml.Transforms.Conversion.MapValueToKey("Keys", "Many").Append(_ml.Transforms.Conversion.MapKeyToValue("Back", "Keys"));
        var mapped = chain.Fit(view).Transform(view);
        Assert.Equal([[1u, 2u, 1u], [3u]], mapped.GetColumn<uint[]>("Keys"));
        Assert.Equal([[7, 8, 7], [9]], mapped.GetColumn<int[]>("Back"));
    }

    [Fact]
    public void A_column_without_key_values_cannot_be_mapped_back()
    {
        var keyed = _ml.Data.LoadFromEnumerable([new Scored { Score = [0, 0, 0] }]);
        Assert.ThrowsAny<ArgumentException>(() => _ml.Transforms.Conversion.MapKeyToValue("Label").Fit(keyed));
    }

    [Fact]
    public void MapValue_looks_values_up()
    {
        var pairs = new Dictionary<string, int> { ["good"] = 1, ["bad"] = -1 };
        var mapped = _ml.Transforms.Conversion.MapValue("Sign", pairs, "Sentiment").Fit(_reviews).Transform(_reviews);
        Assert.Equal([1, -1, 1, 0, 0], mapped.GetColumn<int>("Sign"));
        Assert.Equal(NumberDataViewType.Int32, mapped.Schema["Sign"].Type);
    }

    [Fact]
    public void MapValue_takes_its_map_from_a_view_too()
    {
        var map = _ml.Data.LoadFromEnumerable([
            new Sentiment { Value = "good", Meaning = "Yes" }, new Sentiment { Value = "bad", Meaning = "No" }]);
        var mapped = _ml.Transforms.Conversion.MapValue("Meaning", map, map.Schema["Value"], map.Schema["Meaning"], "Sentiment")
            .Fit(_reviews).Transform(_reviews);
        Assert.Equal(["Yes", "No", "Yes", "", ""], mapped.GetColumn<string>("Meaning"));
    }

    [Fact]
    public void MapValue_gives_vectors_and_keys_as_well()
    {
        var vectors = new Dictionary<string, float[]> { ["good"] = [1, 2], ["bad"] = [3] };
        var mapped = _ml.Transforms.Conversion.MapValue("Vector", vectors, "Sentiment").Fit(_reviews)
            .Transform(_ml.Data.TakeRows(_reviews, 2));
        Assert.Equal([[1f, 2f], [3f]], mapped.GetColumn<float[]>("Vector"));
        var words = new Dictionary<string, string> { ["good"] = "Yes", ["bad"] = "No", ["neutral"] = "Yes" };
        var keyed = _ml.Transforms.Conversion.MapValue("Key", words, "Sentiment", treatValuesAsKeyType: true).Fit(_reviews)
            .Transform(_reviews);
        Assert.Equal([1u, 2u, 1u, 0u, 1u], keyed.GetColumn<uint>("Key"));
        Assert.Equal(["Yes", "No"], KeyValues(keyed.Schema["Key"]));
    }

    [Theory]
    [InlineData(DataKind.Double)]
    [InlineData(DataKind.Int32)]
    [InlineData(DataKind.String)]
    public void Types_are_converted(DataKind kind)
    {
        var view = _ml.Data.LoadFromEnumerable([new Keyed { Pair = [1, 2], Flag = true }]);
        var converted = _ml.Transforms.Conversion.ConvertType([new("Pair2", "Pair")], kind).Fit(view).Transform(view);
        object actual = kind switch
        {
            DataKind.Double => converted.GetColumn<double[]>("Pair2").Single(),
            DataKind.Int32 => converted.GetColumn<int[]>("Pair2").Single(),
            _ => converted.GetColumn<string[]>("Pair2").Single(),
        };
        object expected = kind switch
        {
            DataKind.Double => new[] { 1.0, 2.0 },
            DataKind.Int32 => new[] { 1, 2 },
            _ => new[] { "1", "2" },
        };
        Assert.Equal(expected, actual);
    }

    [Fact]
    public void Text_converts_to_numbers_and_Booleans()
    {
        Review[] rows = [new() { Text = "2.5", Sentiment = "true" }, new() { Text = "x", Sentiment = "0" }, new()];
        var view = _ml.Data.LoadFromEnumerable(rows);
        var chain = _ml.Transforms.Conversion.ConvertType("Number", "Text")
            .Append(_ml.Transforms.Conversion.ConvertType("Flag", "Sentiment", DataKind.Boolean));
        var converted = chain.Fit(view).Transform(view);
        Assert.Equal([2.5f, float.NaN, float.NaN], converted.GetColumn<float>("Number"));
        Assert.Equal([true, false, false], converted.GetColumn<bool>("Flag"));
    }

    [Fact]
    public void A_custom_mapping_runs_once_a_row_whatever_is_read()
    {
        var runs = 0;
        void Map(StarsIn input, Doubled output)
        {
            Interlocked.Increment(ref runs);
            output.Twice = 2 * input.Stars;
            output.Both = [input.Stars, output.Twice];
        }

        var mapped = _ml.Transforms.CustomMapping<StarsIn, Doubled>(Map, contractName: null).Fit(_reviews).Transform(_reviews);
        Assert.Equal(0, runs);
        Assert.Equal([8f, 3f, 10f, float.NaN, 6f], _ml.Data.CreateEnumerable<Doubled>(mapped, reuseRowObject: false).Select(r => r.Twice));
        Assert.Equal(5, runs);
        Assert.Equal("fine", mapped.GetColumn<string>("Text").First());
        Assert.Equal(5, runs);
        Assert.False(((VectorDataViewType)mapped.Schema["Both"].Type).IsKnownSize);
        Assert.Equal([4f, 8f], mapped.GetColumn<float[]>("Both").First());
    }

    [Fact]
    public void A_custom_mapping_takes_its_types_from_schema_definitions()
    {
        var output = SchemaDefinition.Create(typeof(Doubled));
        output["Both"].ColumnType = new VectorDataViewType(NumberDataViewType.Single, 2);
        var input = SchemaDefinition.Create(typeof(StarsIn));
        input["Stars"].ColumnName = "Rating";
        var estimator = _ml.Transforms.CopyColumns("Rating", "Stars")
            .Append(_ml.Transforms.CustomMapping<StarsIn, Doubled>(
                (i, o) => (o.Twice, o.Both) = (i.Stars, [i.Stars, 0]), null, input, output));
        Assert.Equal(2, ((VectorDataViewType)estimator.Fit(_reviews).Transform(_reviews).Schema["Both"].Type).Size);
    }

    [Fact]
    public void A_custom_mapping_checks_its_input()
    {
        var absent = _ml.Data.LoadFromEnumerable([new Sentiment()]);
        Assert.Throws<ArgumentOutOfRangeException>(() => _ml.Transforms.CustomMapping<StarsIn, Doubled>((_, _) => { }, null).Fit(absent));
        var text = _ml.Transforms.CopyColumns("Stars", "Text").Append(_ml.Transforms.CustomMapping<StarsIn, Doubled>((_, _) => { }, null));
        Assert.ThrowsAny<ArgumentException>(() => text.Fit(_reviews));
        Assert.Throws<InvalidOperationException>(() => _ml.Transforms.CustomMapping<StarsIn, Doubled>((_, _) => { }, null)
            .Fit(_ml.Transforms.CopyColumns("Stars", "Text").Fit(_reviews).Transform(_reviews)));
    }

    private static string[] KeyValues(DataViewSchema.Column column)
    {
        VBuffer<ReadOnlyMemory<char>> values = default;
        column.GetKeyValues(ref values);
        return [.. values.DenseValues().Select(v => v.ToString())];
    }

    public sealed class OneColumn
    {
        public string Value { get; set; } = "";
    }

    public sealed class Sentiment
    {
        public string Value { get; set; } = "";

        public string Meaning = "";
    }
}
