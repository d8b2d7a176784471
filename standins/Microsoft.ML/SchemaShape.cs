using System.Collections;

namespace Microsoft.ML;

public sealed class SchemaShape : IReadOnlyList<SchemaShape.Column>
{
    private readonly Column[] _columns;

    public SchemaShape(IEnumerable<Column> columns)
    {
        ArgumentNullException.ThrowIfNull(columns);
        _columns = [.. columns];
        if (_columns.Any(c => c.Name is null))
            throw Raise.Param(nameof(columns), "Some items are not initialized properly.");
    }

    public int Count => _columns.Length;

    public Column this[int index] => _columns[index];

    public IEnumerator<Column> GetEnumerator() => ((IEnumerable<Column>)_columns).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    internal static SchemaShape Empty { get; } = new([]);

    internal static SchemaShape Create(DataViewSchema schema) =>
        new(schema.Where(c => !c.IsHidden).Select(c =>
            Column.Create(c.Name, c.Type, new(c.Annotations.Schema.Select(a => Column.Create(a.Name, a.Type, Empty))))));

    internal bool TryFind(string name, out Column column)
    {
        column = _columns.FirstOrDefault(c => c.Name == name);
        return column.Name is not null;
    }

    internal Column Require(string name) =>
        TryFind(name, out var column) ? column : throw Raise.MissingColumn("inputSchema", "input", name);

    /// <summary>This shape, of which no two columns may have one name, with columns added; one of the same name is replaced.</summary>
    internal SchemaShape With(IEnumerable<Column> added)
    {
        var columns = _columns.ToDictionary(c => c.Name);
        foreach (var column in added)
            columns[column.Name] = column;
        return new(columns.Values);
    }

    public readonly struct Column
    {
        public readonly string Name;
        public readonly VectorKind Kind;
        public readonly DataViewType ItemType;
        public readonly bool IsKey;
        public readonly SchemaShape Annotations;

        internal Column(string name, VectorKind kind, DataViewType itemType, bool isKey, SchemaShape annotations = null)
        {
            Name = name;
            Kind = kind;
            ItemType = itemType;
            IsKey = isKey;
            Annotations = annotations ?? Empty;
        }

        internal static Column Create(string name, DataViewType type, SchemaShape annotations)
        {
            var kind = type is VectorDataViewType vector
                ? vector.IsKnownSize ? VectorKind.Vector
                : VectorKind.VariableVector : VectorKind.Scalar;
            var item = type.ItemType;
            return item is KeyDataViewType
                ? new(name, kind, DataViewType.FromRaw(item.RawType), true, annotations)
                : new(name, kind, item, false, annotations);
        }

        internal string Describe() => (Kind, IsKey) switch
        {
            (VectorKind.Scalar, false) => $"{ItemType}",
            (VectorKind.Scalar, true) => $"Key<{ItemType}>",
            (VectorKind.Vector, false) => $"Vector<{ItemType}>",
            (VectorKind.Vector, true) => $"Vector<Key<{ItemType}>>",
            (_, false) => $"VarVector<{ItemType}>",
            _ => $"VarVector<Key<{ItemType}>>",
        };

        public enum VectorKind
        {
            Scalar,
            Vector,
            VariableVector,
        }
    }
}
