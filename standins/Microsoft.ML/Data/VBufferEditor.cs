namespace Microsoft.ML.Data;

public static class VBufferEditor
{
    public static VBufferEditor<T> CreateFromBuffer<T>(ref VBuffer<T> destination)
    {
        var (values, indices, count) = destination.Parts;
        return new VBufferEditor<T>(destination.Length, count, values ?? [], indices, false, false);
    }

    public static VBufferEditor<T> Create<T>(
        ref VBuffer<T> destination,
        int newLogicalLength,
        int? valuesCount = null,
        int? maxValuesCapacity = null,
        bool keepOldOnResize = false,
        bool requireIndicesOnDense = false)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(newLogicalLength);
        var count = valuesCount ?? newLogicalLength;
        if (count < 0 || count > newLogicalLength)
            throw Raise.Param(nameof(valuesCount), "Should be from 0 to the logical length");
        var capacity = Math.Max(count, maxValuesCapacity ?? newLogicalLength);
        var (values, indices, _) = destination.Parts;
        var newValues = Ensure(ref values, count, capacity, keepOldOnResize);
        var newIndices = (count < newLogicalLength || requireIndicesOnDense) && Ensure(ref indices, count, capacity, keepOldOnResize);
        return new VBufferEditor<T>(newLogicalLength, count, values, indices, newValues, newIndices);
    }

    private static bool Ensure<T>(ref T[] array, int count, int capacity, bool keepOld)
    {
        if (array is not null && array.Length >= count)
            return false;
        var grown = new T[Math.Max(count, Math.Min(capacity, 2 * (array?.Length ?? 0)))];
        if (keepOld)
            array?.CopyTo(grown, 0);
        array = grown;
        return true;
    }
}
