namespace Microsoft.ML.Transforms;

public sealed class ColumnSelectingEstimator : TrivialEstimator<ColumnSelectingTransformer>
{
    internal ColumnSelectingEstimator(string[] keep, string[] drop, bool keepHidden)
        : base(new ColumnSelectingTransformer(keep, drop, keepHidden))
    {
    }

    public override SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        var columns = Transformer.Names.Select(inputSchema.Require).ToArray();
        return Transformer.Drops ? new(inputSchema.Where(c => !Transformer.Names.Contains(c.Name))) : new(columns);
    }
}
