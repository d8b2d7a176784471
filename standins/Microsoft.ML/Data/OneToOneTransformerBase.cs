namespace Microsoft.ML.Data;

public abstract class OneToOneTransformerBase : RowToRowTransformerBase
{
    private protected OneToOneTransformerBase(InputOutputColumnPair[] columns) => Columns = columns;

    private protected InputOutputColumnPair[] Columns { get; }

    private protected sealed override IEnumerable<ColumnMapping> Bind(DataViewSchema schema) =>
        Columns.Select((pair, i) => Bind(i, pair.OutputColumnName, Require(schema, pair.InputColumnName)));

    private protected abstract ColumnMapping Bind(int pair, string output, DataViewSchema.Column input);
}
