namespace Microsoft.ML.Transforms;

public sealed class ValueToKeyMappingEstimator : IEstimator<ValueToKeyMappingTransformer>
{
    private readonly InputOutputColumnPair[] _columns;
    private readonly int _maximumNumberOfKeys;
    private readonly KeyOrdinality _ordinality;
    private readonly bool _asText;
    private readonly IDataView _keyData;

    internal ValueToKeyMappingEstimator(
        InputOutputColumnPair[] columns, int maximumNumberOfKeys, KeyOrdinality ordinality, bool asText, IDataView keyData)
    {
        if (maximumNumberOfKeys <= 0)
            throw Raise.Param(nameof(maximumNumberOfKeys), "The maximum number of keys must be positive.");
        if (keyData is not null && keyData.Schema.Count(c => !c.IsHidden) != 1)
            throw Raise.Param(nameof(keyData), "If specified, this data should contain only a single column.");
        _columns = columns;
        _maximumNumberOfKeys = maximumNumberOfKeys;
        _ordinality = ordinality;
        _asText = asText;
        _keyData = keyData;
    }

    public enum KeyOrdinality : byte
    {
        ByOccurrence = 0,
        ByValue = 1,
    }

    public ValueToKeyMappingTransformer Fit(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        var maps = Array.ConvertAll(_columns, pair =>
        {
            var column = input.Schema.GetColumnOrNull(pair.InputColumnName)
                ?? throw Raise.MissingColumn("inputSchema", "input", pair.InputColumnName);
            if (_keyData is null)
                return KeyMap.Train(input, column, _maximumNumberOfKeys, _ordinality, _asText);
            var keys = _keyData.Schema.First(c => !c.IsHidden);
            return keys.Type.ItemType.Equals(column.Type.ItemType)
                ? KeyMap.Train(_keyData, keys, int.MaxValue, _ordinality, _asText)
                : throw Raise.ColumnMismatch("inputSchema", "input", column.Name, keys.Type.ToString(), column.Type);
        });
        return new(_columns, maps);
    }

    public SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        return inputSchema.With(_columns.Select(pair =>
        {
            var input = inputSchema.Require(pair.InputColumnName);
            var values = _asText ? TextDataViewType.Instance : input.ItemType;
            var annotations = input.Annotations.Where(a => a.Name == SchemaAnnotationsExtensions.SlotNames)
                .Append(new(SchemaAnnotationsExtensions.KeyValues, SchemaShape.Column.VectorKind.Vector, values, input.IsKey && !_asText));
            return new SchemaShape.Column(pair.OutputColumnName, input.Kind, NumberDataViewType.UInt32, true, new(annotations));
        }));
    }
}
