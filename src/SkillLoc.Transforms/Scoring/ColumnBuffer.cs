using Microsoft.ML;
using Microsoft.ML.Data;

namespace SkillLoc.Transforms;

/// <summary>Buffers the values of a column for rows that were read ahead.</summary>
internal abstract class ColumnBuffer
{
    /// <summary>Creates a buffer for a column of any type.</summary>
    public static ColumnBuffer Create(DataViewRow source, DataViewSchema.Column column)
    {
        Type raw = column.Type.RawType;
        Type buffer = raw.IsGenericType && raw.GetGenericTypeDefinition() == typeof(VBuffer<>)
            ? typeof(Vectors<>).MakeGenericType(raw.GetGenericArguments())
            : typeof(Scalars<>).MakeGenericType(raw);
        return (ColumnBuffer)Activator.CreateInstance(buffer, source, column)!;
    }

    /// <summary>Allocates a number of rows.</summary>
    public abstract void Reserve(int rows);

    /// <summary>Reads the current row of the source into a slot.</summary>
    public abstract void Read(int place);

    /// <summary>Returns a <see cref="ValueGetter{TValue}"/> for the slot that <paramref name="place"/> returns.</summary>
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

    /// <summary>The reader owns the memory of a vector, so it is copied.</summary>
    private sealed class Vectors<T>(DataViewRow source, DataViewSchema.Column column)
        : Typed<VBuffer<T>>(source.GetGetter<VBuffer<T>>(column))
    {
        protected override void Copy(in VBuffer<T> from, ref VBuffer<T> to) => from.CopyTo(ref to);
    }
}
