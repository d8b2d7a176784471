namespace Microsoft.ML.Transforms;

public sealed class CustomMappingEstimator<TSrc, TDst> : TrivialEstimator<CustomMappingTransformer<TSrc, TDst>>
    where TSrc : class, new()
    where TDst : class, new()
{
    internal CustomMappingEstimator(CustomMappingTransformer<TSrc, TDst> transformer)
        : base(transformer)
    {
    }

    public override SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        foreach (var wanted in SchemaShape.Create(Transformer.Input.Schema))
        {
            var column = inputSchema.Require(wanted.Name);
            var fits = wanted.Kind == column.Kind
                || (wanted.Kind == SchemaShape.Column.VectorKind.VariableVector && column.Kind == SchemaShape.Column.VectorKind.Vector);
            if (!fits || !wanted.ItemType.Equals(column.ItemType) || wanted.IsKey != column.IsKey)
                throw Raise.ColumnMismatch(nameof(inputSchema), "input", wanted.Name, wanted.Describe(), column.Describe());
        }

        return inputSchema.With(SchemaShape.Create(Transformer.Output.Schema));
    }
}
