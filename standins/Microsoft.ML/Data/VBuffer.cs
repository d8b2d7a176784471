using System.Collections;

namespace Microsoft.ML.Data;

public readonly struct VBuffer<T>
{
    public readonly int Length;
    private readonly T[] _values;
    private readonly int[] _indices;
    private readonly int _count;

    public VBuffer(int length, T[] values, int[] indices = null)
    {
        if (length < 0)
            throw Raise.Param(nameof(length), "Should be non-negative");
        if ((values?.Length ?? 0) < length)
            throw Raise.Param(nameof(values), "Not enough values");
        Length = length;
        _values = values;
        _indices = indices;
        _count = length;
    }

    public VBuffer(int length, int count, T[] values, int[] indices)
    {
        if (length < 0)
            throw Raise.Param(nameof(length), "Should be non-negative");
        if (count < 0 || count > length)
            throw Raise.Param(nameof(count), "Should be from 0 to the length");
        if ((values?.Length ?? 0) < count)
            throw Raise.Param(nameof(values), "Not enough values");
        if (count < length && (indices?.Length ?? 0) < count)
            throw Raise.Param(nameof(indices), "Not enough indices");
        Length = length;
        _values = values;
        _indices = indices;
        _count = count;
    }

    public bool IsDense => _count == Length;

    public static void Copy(T[] source, int sourceIndex, ref VBuffer<T> destination, int length)
    {
        var editor = VBufferEditor.Create(ref destination, length);
        source.AsSpan(sourceIndex, length).CopyTo(editor.Values);
        destination = editor.Commit();
    }

    public ReadOnlySpan<T> GetValues() => _values.AsSpan(0, _count);

    public ReadOnlySpan<int> GetIndices() => IsDense ? default : _indices.AsSpan(0, _count);

    public void CopyToDense(ref VBuffer<T> destination)
    {
        var editor = VBufferEditor.Create(ref destination, Length);
        if (IsDense)
            GetValues().CopyTo(editor.Values);
        else
            CopyTo(editor.Values);
        destination = editor.Commit();
    }

    public void CopyTo(ref VBuffer<T> destination)
    {
        var editor = VBufferEditor.Create(ref destination, Length, _count);
        GetValues().CopyTo(editor.Values);
        GetIndices().CopyTo(editor.Indices);
        destination = editor.Commit();
    }

    public void CopyTo(ref VBuffer<T> destination, int sourceIndex, int length)
    {
        if (sourceIndex < 0 || length < 0 || sourceIndex > Length - length)
            throw new ArgumentOutOfRangeException(nameof(sourceIndex));
        var items = Items().Where(i => i.Key >= sourceIndex && i.Key < sourceIndex + length).ToArray();
        destination = new VBuffer<T>(length, items.Length, [.. items.Select(i => i.Value)], [.. items.Select(i => i.Key - sourceIndex)]);
    }

    public void CopyTo(Span<T> destination) => CopyTo(destination, 0);

    public void CopyTo(Span<T> destination, int destinationIndex, T defaultValue = default)
    {
        var target = destination.Slice(destinationIndex, Length);
        if (IsDense)
        {
            GetValues().CopyTo(target);
            return;
        }

        target.Fill(defaultValue);
        for (var i = 0; i < _count; i++)
            target[_indices[i]] = _values[i];
    }

    public IEnumerable<KeyValuePair<int, T>> Items(bool all = false) =>
        all ? DenseValues().Select((v, i) => KeyValuePair.Create(i, v)) : Explicit(_values, _indices, _count, IsDense);

    public IEnumerable<T> DenseValues()
    {
        var (values, indices, count, length) = (_values, _indices, _count, Length);
        if (count == length)
            return Enumerable.Range(0, length).Select(i => values[i]);
        return Enumerate();

        IEnumerable<T> Enumerate()
        {
            for (int i = 0, slot = 0; slot < length; slot++)
                yield return i < count && indices[i] == slot ? values[i++] : default;
        }
    }

    public T GetItemOrDefault(int index)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, Length);
        if (IsDense)
            return _values[index];
        var i = Array.BinarySearch(_indices, 0, _count, index);
        return i >= 0 ? _values[i] : default;
    }

    public void GetItemOrDefault(int index, ref T destination) => destination = GetItemOrDefault(index);

    public IEnumerator GetEnumerator() => DenseValues().GetEnumerator();

    public override string ToString() =>
        IsDense ? $"Dense vector of size {Length}" : $"Sparse vector of size {Length}, {_count} explicit values";

    internal (T[] Values, int[] Indices, int Count) Parts => (_values, _indices, _count);

    private static IEnumerable<KeyValuePair<int, T>> Explicit(T[] values, int[] indices, int count, bool isDense) =>
        Enumerable.Range(0, count).Select(i => KeyValuePair.Create(isDense ? i : indices[i], values[i]));
}
