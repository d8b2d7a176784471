using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;

namespace TorchSharp;

internal enum ValueKind { None, Tensor, Int, Double, Bool, IntList, TensorList, OptionalTensorList, Device, String, Generator }

/// <summary>An argument or result as the native side sees it.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct Value
{
    public ValueKind Kind;
    public int Count;
    public long Payload;
}

/// <summary>An argument of an operator, made by implicit conversion; it keeps what it points to alive.</summary>
internal readonly struct Arg
{
    private readonly ValueKind _kind;
    private readonly int _count;
    private readonly long _payload;
    private readonly object? _reference;

    private Arg(ValueKind kind, long payload, int count = 0, object? reference = null)
    {
        _kind = kind;
        _payload = payload;
        _count = count;
        _reference = reference;
    }

    public static implicit operator Arg(torch.Tensor? value) => value is null ? default : new(ValueKind.Tensor, value.Handle, 0, value);
    public static implicit operator Arg(Scalar? value) => value is null ? default : new(value.Kind, value.Payload);
    public static implicit operator Arg(long value) => new(ValueKind.Int, value);
    public static implicit operator Arg(long? value) => value is { } v ? v : default(Arg);
    public static implicit operator Arg(double value) => new(ValueKind.Double, BitConverter.DoubleToInt64Bits(value));
    public static implicit operator Arg(double? value) => value is { } v ? v : default(Arg);
    public static implicit operator Arg(bool value) => new(ValueKind.Bool, value ? 1 : 0);
    public static implicit operator Arg(torch.ScalarType value) => new(ValueKind.Int, (long)value);
    public static implicit operator Arg(torch.ScalarType? value) => value is { } v ? v : default(Arg);
    public static implicit operator Arg(torch.nn.Reduction value) => new(ValueKind.Int, (long)value);
    public static implicit operator Arg(torch.Device? value) =>
        value is null ? default : new(ValueKind.Device, (long)value.type, value.index);
    public static implicit operator Arg(torch.Generator? value) =>
        value is null ? default : new(ValueKind.Generator, value.Handle, 0, value);
    public static implicit operator Arg(string? value) => value is null ? default : new(ValueKind.String, 0, value.Length, value);
    public static implicit operator Arg(long[]? value) => value is null ? default : new(ValueKind.IntList, 0, value.Length, value);
    public static implicit operator Arg(ReadOnlySpan<long> value) => value.ToArray();
    public static implicit operator Arg(torch.Tensor[] value) => new(ValueKind.TensorList, 0, value.Length, value);

    public static Arg OptionalTensors(torch.Tensor?[] value) => new(ValueKind.OptionalTensorList, 0, value.Length, value);

    /// <summary>How many 8-byte words of scratch memory the argument needs; names of modes, the only strings, are ASCII.</summary>
    public int Words => _kind switch
    {
        ValueKind.IntList or ValueKind.TensorList or ValueKind.OptionalTensorList => _count,
        ValueKind.String => (_count + 7) / 8,
        _ => 0,
    };

    public unsafe Value ToValue(long* scratch)
    {
        var value = new Value { Kind = _kind, Count = _count, Payload = _payload };
        switch (_kind)
        {
            case ValueKind.IntList:
                ((long[])_reference!).CopyTo(new Span<long>(scratch, _count));
                break;
            case ValueKind.TensorList or ValueKind.OptionalTensorList:
                var tensors = (torch.Tensor?[])_reference!;
                for (var i = 0; i < _count; i++) scratch[i] = tensors[i]?.Handle ?? 0;
                break;
            case ValueKind.String:
                Encoding.ASCII.GetBytes((string)_reference!, new Span<byte>(scratch, _count));
                break;
            default:
                return value;
        }
        value.Payload = (long)scratch;
        return value;
    }
}

/// <summary>Calls ATen's operators by schema name ("add.Tensor"); names must be literals.</summary>
internal static unsafe class Operator
{
    private static readonly ConcurrentDictionary<string, IntPtr> Handles = new(ReferenceEqualityComparer.Instance);

    public static torch.Tensor Call(string name, params ReadOnlySpan<Arg> arguments)
    {
        Value result;
        Invoke(name, arguments, &result, 1);
        return new torch.Tensor((IntPtr)result.Payload);
    }

    public static (torch.Tensor, torch.Tensor) Call2(string name, params ReadOnlySpan<Arg> arguments)
    {
        var results = stackalloc Value[2];
        Invoke(name, arguments, results, 2);
        return (new torch.Tensor((IntPtr)results[0].Payload), new torch.Tensor((IntPtr)results[1].Payload));
    }

    public static torch.Tensor[] CallList(string name, params ReadOnlySpan<Arg> arguments)
    {
        const int Capacity = 16;
        var results = stackalloc Value[Capacity];
        var count = Invoke(name, arguments, results, Capacity);
        var tensors = new torch.Tensor[count];
        if (count <= Capacity)
        {
            for (var i = 0; i < count; i++) tensors[i] = new torch.Tensor((IntPtr)results[i].Payload);
            return tensors;
        }
        var handles = new IntPtr[count];
        fixed (IntPtr* pinned = handles) Native.skilloc_take(pinned);
        for (var i = 0; i < count; i++) tensors[i] = new torch.Tensor(handles[i]);
        return tensors;
    }

    public static bool CallBool(string name, params ReadOnlySpan<Arg> arguments) => CallPayload(name, arguments) != 0;

    public static long CallPayload(string name, params ReadOnlySpan<Arg> arguments)
    {
        Value result;
        Invoke(name, arguments, &result, 1);
        return result.Payload;
    }

    /// <summary>For operators that write into their arguments.</summary>
    public static void Run(string name, params ReadOnlySpan<Arg> arguments) => Invoke(name, arguments, null, 0);

    [SkipLocalsInit]
    private static int Invoke(string name, ReadOnlySpan<Arg> arguments, Value* results, int capacity)
    {
        if (!Handles.TryGetValue(name, out var handle)) handle = Find(name);
        var words = 0;
        foreach (ref readonly var argument in arguments) words += argument.Words;
        var memory = words <= 128 ? stackalloc long[words] : new long[words];
        var values = stackalloc Value[arguments.Length];
        fixed (long* scratch = memory)
        {
            var next = scratch;
            for (var i = 0; i < arguments.Length; i++)
            {
                values[i] = arguments[i].ToValue(next);
                next += arguments[i].Words;
            }
            var count = Native.skilloc_call(handle, values, arguments.Length, results, capacity);
            if (count < 0) throw Native.Error();
            return count;
        }
    }

    private static IntPtr Find(string name)
    {
        var dot = name.IndexOf('.', StringComparison.Ordinal);
        var plain = dot < 0 ? name : name[..dot];
        fixed (byte* op = Encoding.ASCII.GetBytes("aten::" + plain + "\0"), overload = Encoding.ASCII.GetBytes((dot < 0 ? "" : name[(dot + 1)..]) + "\0"))
            return Handles.GetOrAdd(name, Native.Check(Native.skilloc_find(op, overload)));
    }
}
