namespace Microsoft.ML.Data;

/// <summary>Shows the rows that another cursor stops at, as a row of this one sees them.</summary>
internal class WrappingCursor(DataViewRowCursor source, DataViewRow row) : DataViewRowCursor
{
    public override long Position => row.Position;

    public override long Batch => row.Batch;

    public override DataViewSchema Schema => row.Schema;

    public override ValueGetter<DataViewRowId> GetIdGetter() => row.GetIdGetter();

    public override bool IsColumnActive(DataViewSchema.Column column) => row.IsColumnActive(column);

    public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column) => row.GetGetter<TValue>(column);

    public override bool MoveNext() => source.MoveNext();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            row.Dispose();
            source.Dispose();
        }

        base.Dispose(disposing);
    }
}
