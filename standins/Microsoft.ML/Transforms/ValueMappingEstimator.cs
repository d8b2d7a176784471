namespace Microsoft.ML.Transforms;

public class ValueMappingEstimator : TrivialEstimator<ValueMappingTransformer>
{
    private readonly ValueMap _map;
    private readonly InputOutputColumnPair[] _columns;

    internal ValueMappingEstimator(ValueMap map, params InputOutputColumnPair[] columns)
        : base(new ValueMappingTransformer(map, columns))
    {
        _map = map;
        _columns = columns;
    }

    public sealed override SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        return inputSchema.With(_columns.Select(pair =>
        {
            var input = inputSchema.Require(pair.InputColumnName);
            if (!input.ItemType.Equals(_map.KeyType))
                throw Raise.ColumnMismatch(nameof(inputSchema), "input", input.Name, _map.KeyType.ToString(), input.Describe());
            var value = SchemaShape.Column.Create(pair.OutputColumnName, _map.ValueType, new(_map.KeyValueShapes()));
            return input.Kind == SchemaShape.Column.VectorKind.Scalar
                ? value
                : new(value.Name, input.Kind, value.ItemType, value.IsKey, value.Annotations);
        }));
    }
}
