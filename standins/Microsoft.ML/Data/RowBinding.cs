using System.Linq.Expressions;
using System.Reflection;

namespace Microsoft.ML.Data;

/// <summary>Binds the members of a user class to columns.</summary>
internal sealed class RowBinding<TRow>
{
    private readonly MemberInfo[] _members;

    public RowBinding(SchemaDefinition definition, SchemaDefinition.Direction direction)
    {
        definition ??= SchemaDefinition.Create(typeof(TRow), direction);
        _members = new MemberInfo[definition.Count];
        var builder = new DataViewSchema.Builder();
        for (var i = 0; i < definition.Count; i++)
        {
            var column = definition[i];
            _members[i] = (MemberInfo)typeof(TRow).GetField(column.MemberName) ?? typeof(TRow).GetProperty(column.MemberName)
                ?? throw Raise.Param("userSchemaDefinition",
                    $"No field or property with name '{column.MemberName}' found in type '{typeof(TRow).FullName}'");
            var name = string.IsNullOrEmpty(column.ColumnName) ? column.MemberName : column.ColumnName;
            builder.AddColumn(name, CheckedType(column, name, _members[i]), column.Annotations);
        }

        Schema = builder.ToSchema();
    }

    /// <summary>One column a member, in the members' order.</summary>
    public DataViewSchema Schema { get; }

    /// <summary>The getter of a column, from whatever object is current when it is called.</summary>
    public Delegate MakeGetter(int column, Func<TRow> current) =>
        (Delegate)Generic.Call(MakeGetter<int>, MemberType(_members[column]), _members[column], current, Schema[column].Type);

    /// <summary>Actions that fill an object from a row, one for each member whose column is there.</summary>
    public Action<TRow> MakeFiller(DataViewRow row, IEnumerable<DataViewSchema.Column> columns)
    {
        var setters = Match(row.Schema, columns)
            .Select(m => (Action<TRow>)Generic.Call(MakeSetter<int>, MemberType(m.Member), m.Member, row, m.Column)).ToArray();
        return target =>
        {
            foreach (var set in setters)
                set(target);
        };
    }

    /// <summary>The columns of a schema that members read; checks that they are there and that their types fit.</summary>
    public DataViewSchema.Column[] FindColumns(DataViewSchema schema, bool ignoreMissing)
    {
        var found = new List<DataViewSchema.Column>();
        foreach (var (wanted, member) in Schema.Zip(_members))
        {
            if (schema.GetColumnOrNull(wanted.Name) is { } column)
            {
                if (!UserValue.CanRead(MemberType(member), column.Type))
                    throw new InvalidOperationException($"Can't bind the IDataView column '{column.Name}' of type '{column.Type}' "
                        + $"to field or property '{member.Name}' of type '{MemberType(member).FullName}'.");
                found.Add(column);
            }
            else if (!ignoreMissing)
            {
                throw Raise.MissingColumn("Schema", "", wanted.Name);
            }
        }

        return [.. found];
    }

    private static DataViewType CheckedType(SchemaDefinition.Column column, string name, MemberInfo member)
    {
        var (isVector, item) = SchemaDefinition.ItemOf(member);
        var type = column.ColumnType ?? (isVector ? new VectorDataViewType(DataViewType.FromRaw(item)) : DataViewType.FromRaw(item));
        if (type is VectorDataViewType != isVector)
        {
            var (wanted, actual) = isVector ? ("scalar", "vector") : ("vector", "scalar");
            throw Raise.Param("userSchemaDefinition",
                $"Column '{name}' is supposed to be {wanted}, but type of associated field '{member.Name}' is {actual}");
        }

        if (type.ItemType.RawType != item)
            throw Raise.Param("userSchemaDefinition",
                $"Column '{name}' is supposed to have item type {type.ItemType.RawType}, but associated field has type {item}");
        return type;
    }

    private static Type MemberType(MemberInfo member) => member is FieldInfo field ? field.FieldType : ((PropertyInfo)member).PropertyType;

    private static Delegate MakeGetter<T>(MemberInfo member, Func<TRow> current, DataViewType type)
    {
        var row = Expression.Parameter(typeof(TRow));
        var get = Expression.Lambda<Func<TRow, T>>(Expression.MakeMemberAccess(row, member), row).Compile();
        return UserValue.MakeGetter(() => get(current()), type);
    }

    private static Action<TRow> MakeSetter<T>(MemberInfo member, DataViewRow row, DataViewSchema.Column column)
    {
        var target = Expression.Parameter(typeof(TRow));
        var value = Expression.Parameter(typeof(T));
        var set = Expression.Lambda<Action<TRow, T>>(Expression.Assign(Expression.MakeMemberAccess(target, member), value), target, value)
            .Compile();
        var read = UserValue.MakeReader<T>(row, column);
        return o => set(o, read());
    }

    private IEnumerable<(MemberInfo Member, DataViewSchema.Column Column)> Match(
        DataViewSchema schema, IEnumerable<DataViewSchema.Column> columns) =>
        columns.Select(c => (_members[Schema[c.Name].Index], schema[c.Index]));
}
