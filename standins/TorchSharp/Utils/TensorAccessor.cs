using System.Collections;

namespace TorchSharp.Utils;

/// <summary>The elements of a tensor on the CPU, in row-major order whatever its strides are.</summary>
public sealed unsafe class TensorAccessor<T> : IDisposable, IEnumerable<T> where T : unmanaged
{
    private readonly torch.Tensor _tensor;
    private readonly T* _data;
    private readonly bool _contiguous;

    internal TensorAccessor(torch.Tensor tensor)
    {
        _tensor = tensor;
        _data = (T*)tensor.DataPointer();
        _contiguous = tensor.is_contiguous();
        Count = tensor.NumberOfElements;
    }

    public long Count { get; }
    public bool IsReadOnly => false;

    public T this[params long[] indices]
    {
        get => At(Offset(indices));
        set
        {
            Data[Offset(indices)] = value;
            GC.KeepAlive(_tensor);
        }
    }

    public T[] ToArray()
    {
        var array = new T[Count];
        CopyTo(array);
        return array;
    }

    public Array ToNDArray()
    {
        var shape = _tensor.shape;
        if (shape.Length == 0) return new[] { At(0) };
        var array = Array.CreateInstance(typeof(T), shape);
        var position = new long[shape.Length];
        foreach (var value in this)
        {
            array.SetValue(value, position);
            for (var d = shape.Length - 1; d >= 0 && ++position[d] == shape[d]; d--) position[d] = 0;
        }
        return array;
    }

    public void CopyTo(T[] array, int arrayIndex = 0, long tensorIndex = 0)
    {
        if (_contiguous)
        {
            new ReadOnlySpan<T>(Data + tensorIndex, checked((int)(Count - tensorIndex))).CopyTo(array.AsSpan(arrayIndex));
        }
        else
        {
            for (var i = tensorIndex; i < Count; i++) array[arrayIndex++] = At(Strided(i));
        }
        GC.KeepAlive(_tensor);
    }

    public void CopyFrom(T[] array, int arrayIndex = 0, long tensorIndex = 0)
    {
        for (var i = tensorIndex; i < Count && arrayIndex < array.Length; i++) Data[Strided(i)] = array[arrayIndex++];
        GC.KeepAlive(_tensor);
    }

    public IEnumerator<T> GetEnumerator()
    {
        for (long i = 0; i < Count; i++) yield return At(Strided(i));
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    public void Dispose()
    {
    }

    /// <summary>The memory, unless the tensor has been disposed.</summary>
    private T* Data => _tensor.Handle != IntPtr.Zero ? _data : null;

    private T At(long offset)
    {
        var value = Data[offset];
        GC.KeepAlive(_tensor);
        return value;
    }

    private long Offset(long[] indices)
    {
        if (indices.Length == 1)
        {
            if (indices[0] < 0 || indices[0] >= Count) throw new IndexOutOfRangeException();
            return Strided(indices[0]);
        }
        var offset = 0L;
        for (var d = 0; d < indices.Length; d++)
        {
            if (indices[d] < 0 || indices[d] >= _tensor.size(d)) throw new IndexOutOfRangeException();
            offset += indices[d] * _tensor.stride(d);
        }
        return offset;
    }

    private long Strided(long element)
    {
        if (_contiguous) return element;
        var offset = 0L;
        for (var d = (int)_tensor.Dimensions - 1; d >= 0; d--)
        {
            offset += element % _tensor.size(d) * _tensor.stride(d);
            element /= _tensor.size(d);
        }
        return offset;
    }
}
