namespace Microsoft.ML.Transforms;

public sealed class ColumnConcatenatingEstimator : IEstimator<ColumnConcatenatingTransformer>
{
    private readonly string _output;
    private readonly string[] _inputs;

    internal ColumnConcatenatingEstimator(string output, string[] inputs)
    {
        if (inputs.Any(string.IsNullOrEmpty))
            throw Raise.Param("inputColumnNames", "Contained some null or empty items");
        _output = output;
        _inputs = inputs;
    }

    public ColumnConcatenatingTransformer Fit(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        var transformer = new ColumnConcatenatingTransformer(_output, _inputs);
        transformer.GetOutputSchema(input.Schema);
        return transformer;
    }

    public SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        var inputs = Array.ConvertAll(_inputs, inputSchema.Require);
        foreach (var input in inputs)
        {
            if (input.IsKey || !input.ItemType.Equals(inputs[0].ItemType))
                throw Raise.ColumnMismatch(nameof(inputSchema), "input", input.Name, inputs[0].Describe(), input.Describe());
        }

        var known = inputs.All(c => c.Kind != SchemaShape.Column.VectorKind.VariableVector);
        var annotations = new List<SchemaShape.Column>();
        if (known && inputs.Any(c =>
            c.Kind == SchemaShape.Column.VectorKind.Scalar || c.Annotations.TryFind(SchemaAnnotationsExtensions.SlotNames, out _)))
            annotations.Add(new(SchemaAnnotationsExtensions.SlotNames, SchemaShape.Column.VectorKind.Vector, TextDataViewType.Instance,
                false));
        if (inputs.Length > 0 && inputs.All(c => c.Annotations.TryFind(SchemaAnnotationsExtensions.Normalized, out _)))
            annotations.Add(new(SchemaAnnotationsExtensions.Normalized, SchemaShape.Column.VectorKind.Scalar, BooleanDataViewType.Instance,
                false));
        var kind = known ? SchemaShape.Column.VectorKind.Vector : SchemaShape.Column.VectorKind.VariableVector;
        var item = inputs.Length == 0 ? NumberDataViewType.Single : inputs[0].ItemType;
        return inputSchema.With([new(_output, kind, item, false, new(annotations))]);
    }
}
