namespace Microsoft.ML.Transforms;

public sealed class KeyToValueMappingEstimator : TrivialEstimator<KeyToValueMappingTransformer>
{
    private readonly InputOutputColumnPair[] _columns;

    internal KeyToValueMappingEstimator(InputOutputColumnPair[] columns)
        : base(new KeyToValueMappingTransformer(columns)) => _columns = columns;

    public override SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        return inputSchema.With(_columns.Select(pair =>
        {
            var input = inputSchema.Require(pair.InputColumnName);
            if (!input.IsKey)
                throw Raise.ColumnMismatch(nameof(inputSchema), "input", input.Name, "key type", input.Describe());
            if (!input.Annotations.TryFind(SchemaAnnotationsExtensions.KeyValues, out var values))
                throw Raise.Param(nameof(inputSchema), $"Input column '{input.Name}' doesn't contain key values metadata");
            var annotations = input.Annotations.Where(a => a.Name == SchemaAnnotationsExtensions.SlotNames);
            return new SchemaShape.Column(pair.OutputColumnName, input.Kind, values.ItemType, values.IsKey, new(annotations));
        }));
    }
}
