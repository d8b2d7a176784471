using Microsoft.ML;
using Microsoft.ML.Data;

namespace SkillLoc.Transforms;

/// <summary>Keeps one column's values of the rows that were read ahead.</summary>
internal abstract class ColumnBuffer
{
    /// <summary>Makes a buffer for a column of any type.</summary>
    public static ColumnBuffer Create(DataViewRow source, DataViewSchema.Column column)
    {
        Type raw = column.Type.RawType;
        Type buffer = raw.IsGenericType && raw.GetGenericTypeDefinition() == typeof(VBuffer<>)
            ? typeof(Vectors<>).MakeGenericType(raw.GetGenericArguments())
            : typeof(Scalars<>).MakeGenericType(raw);
        return (ColumnBuffer)Activator.CreateInstance(buffer, source, column)!;
    }

    /// <summary>Makes room for a number of rows.</summary>
    public abstract void Reserve(int rows);

    /// <summary>Reads the source's current row into a place.</summary>
    public abstract void Read(int place);

    /// <summary>A <see cref="ValueGetter{TValue}"/> of the value at the place that <paramref name="place"/> tells.</summary>
    public abstract Delegate Getter(Func<int> place);

    private abstract class Typed<T>(ValueGetter<T> source) : ColumnBuffer
    {
        private T[] _values = [];

        public override void Reserve(int rows) => Array.Resize(ref _values, Math.Max(rows, _values.Length));

        public override void Read(int place) => source(ref _values[place]);

        public override Delegate Getter(Func<int> place) => (ValueGetter<T>)((ref T value) => Copy(in _values[place()], ref value));

        protected abstract void Copy(in T from, ref T to);
    }

    private sealed class Scalars<T>(DataViewRow source, DataViewSchema.Column column) : Typed<T>(source.GetGetter<T>(column))
    {
        protected override void Copy(in T from, ref T to) => to = from;
    }

    /// <summary>A vector's memory belongs to whoever reads it, so it is copied.</summary>
    private sealed class Vectors<T>(DataViewRow source, DataViewSchema.Column column)
        : Typed<VBuffer<T>>(source.GetGetter<VBuffer<T>>(column))
    {
        protected override void Copy(in VBuffer<T> from, ref VBuffer<T> to) => from.CopyTo(ref to);
    }
}
