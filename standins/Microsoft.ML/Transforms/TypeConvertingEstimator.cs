namespace Microsoft.ML.Transforms;

public sealed class TypeConvertingEstimator : TrivialEstimator<TypeConvertingTransformer>
{
    private readonly InputOutputColumnPair[] _columns;
    private readonly DataKind _kind;

    internal TypeConvertingEstimator(InputOutputColumnPair[] columns, DataKind kind)
        : base(new TypeConvertingTransformer(columns, kind))
    {
        _columns = columns;
        _kind = kind;
    }

    public override SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        return inputSchema.With(_columns.Select(pair =>
        {
            var input = inputSchema.Require(pair.InputColumnName);
            var annotations = input.Annotations.Where(a => a.Name == SchemaAnnotationsExtensions.SlotNames);
            return new SchemaShape.Column(pair.OutputColumnName, input.Kind, DataViewType.FromKind(_kind), false, new(annotations));
        }));
    }
}
