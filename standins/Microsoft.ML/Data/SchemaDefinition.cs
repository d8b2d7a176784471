using System.Reflection;

namespace Microsoft.ML.Data;

public sealed class SchemaDefinition : List<SchemaDefinition.Column>
{
    private SchemaDefinition()
    {
    }

    [Flags]
    public enum Direction
    {
        Read = 1,
        Write = 2,
        Both = Read | Write,
    }

    public Column this[string columnName]
    {
        get => Find(c => c.ColumnName == columnName);
        set
        {
            ArgumentNullException.ThrowIfNull(value);
            if (value.ColumnName != columnName)
                throw Raise.Param(nameof(columnName),
                    $"The column name is specified as '{value.ColumnName}' but must match the selector '{columnName}'.");
            var index = FindIndex(c => c.ColumnName == columnName);
            if (index >= 0)
                this[index] = value;
            else
                Add(value);
        }
    }

    public static SchemaDefinition Create(Type userType, Direction direction = Direction.Both)
    {
        ArgumentNullException.ThrowIfNull(userType);
        var definition = new SchemaDefinition();
        var properties = userType.GetProperties(BindingFlags.Public | BindingFlags.Instance).Where(p =>
            p.GetIndexParameters().Length == 0
            && ((direction.HasFlag(Direction.Read) && p.GetGetMethod() is not null)
                || (direction.HasFlag(Direction.Write) && p.GetSetMethod() is not null)));
        var members = userType.GetFields(BindingFlags.Public | BindingFlags.Instance).Concat<MemberInfo>(properties);
        foreach (var member in members.Where(m => !m.IsDefined(typeof(NoColumnAttribute))))
        {
            var (isVector, item) = ItemOf(member);
            PrimitiveDataViewType itemType = DataViewType.FromRaw(item);
            if (member.GetCustomAttribute<KeyTypeAttribute>() is { } key)
            {
                if (!KeyDataViewType.IsValidDataType(item))
                    throw Raise.Param(nameof(userType),
                        $"Member {member.Name} marked with KeyType attribute, but does not appear to be a valid kind of data for a key type");
                itemType = new KeyDataViewType(item, key.Count ?? KeyDataViewType.MaxCount(item));
            }

            var dimensions = member.GetCustomAttribute<VectorTypeAttribute>();
            if (!isVector && dimensions is not null)
                throw Raise.Param(nameof(userType),
                    $"Member {member.Name} marked with VectorType attribute, but does not appear to be a vector type");
            var name = member.GetCustomAttribute<ColumnNameAttribute>()?.Name ?? member.Name;
            if (definition[name] is not null)
                throw Raise.Param(nameof(userType), $"Duplicate column name '{name}' detected");
            DataViewType type = isVector ? new VectorDataViewType(itemType, dimensions?.Dimensions ?? [0]) : itemType;
            definition.Add(new Column(member.Name, type, name));
        }

        return definition;
    }

    /// <summary>Whether a field or property holds a vector, and the raw type of the column's items.</summary>
    internal static (bool IsVector, Type Item) ItemOf(MemberInfo member)
    {
        var type = member is FieldInfo field ? field.FieldType : ((PropertyInfo)member).PropertyType;
        var item = type.IsArray ? type.GetElementType()
            : type.IsGenericType && type.GetGenericTypeDefinition() == typeof(VBuffer<>) ? type.GetGenericArguments()[0]
            : null;
        var raw = DataViewType.FromRawOrNull(item ?? type)?.RawType
            ?? throw Raise.Param("rawType", $"Could not determine an IDataView type and registered custom types for member {member.Name}");
        return (item is not null, raw);
    }

    public sealed class Column
    {
        private readonly DataViewSchema.Annotations.Builder _annotations = new();
        private readonly HashSet<string> _kinds = [];

        internal Column(string memberName, DataViewType columnType, string columnName)
        {
            MemberName = memberName;
            ColumnType = columnType;
            ColumnName = columnName;
        }

        public string MemberName { get; }

        public string ColumnName { get; set; }

        public DataViewType ColumnType { get; set; }

        public DataViewSchema.Annotations Annotations => _annotations.ToAnnotations();

        public void AddAnnotation<T>(string kind, T value, DataViewType annotationType)
        {
            ArgumentNullException.ThrowIfNull(kind);
            ArgumentNullException.ThrowIfNull(annotationType);
            if (!_kinds.Add(kind))
                throw new InvalidOperationException("Column already contains an annotation of this kind.");
            _annotations.Add(kind, annotationType, UserValue.MakeGetter(() => value, annotationType));
        }

        internal void CopyAnnotations(DataViewSchema.Annotations annotations) => _annotations.Add(annotations, _kinds.Add);
    }
}
