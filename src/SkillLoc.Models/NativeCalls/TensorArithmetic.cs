using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.NativeCalls;

/// <summary>
/// Torch operations with numbers, under their names with a capital letter. TorchSharp 0.107 creates a <see cref="Scalar"/> for each number,
/// and for the alpha of a sum of two tensors, and releases it before the native call has read it: if its finaliser runs first, the call
/// throws, uses a wrong number, or crashes the process. Here, every scalar lives until the call has returned.
/// </summary>
/// <remarks>
/// All code of SkillLoc uses these methods instead of operations that take or create a scalar, such as <c>x * 0.5</c>, <c>x + y</c>,
/// <c>x.square()</c> and TorchSharp's optimisers; a test checks the compiled assemblies. Methods whose names end with an underscore work in
/// place and return their tensor, as in torch.
/// </remarks>
internal static class TensorArithmetic
{
    private static readonly Scalar One = 1;

    public static Tensor Add(this Tensor x, Tensor other) => x.add(other, One);

    public static Tensor Add(this Tensor x, long other)
    {
        using Scalar held = other;
        return x.add(held, One);
    }

    public static Tensor Add(this Tensor x, double other)
    {
        using Scalar held = other;
        return x.add(held, One);
    }

    public static Tensor Add_(this Tensor x, Tensor other) => x.add_(other, One);

    public static Tensor Add_(this Tensor x, Tensor other, double alpha)
    {
        using Scalar held = alpha;
        return x.add_(other, held);
    }

    public static Tensor Add_(this Tensor x, double other)
    {
        using Scalar held = other;
        return x.add_(held, One);
    }

    public static Tensor Sub(this Tensor x, long other)
    {
        using Scalar held = other;
        return x.sub(held);
    }

    public static Tensor Sub(this Tensor x, double other)
    {
        using Scalar held = other;
        return x.sub(held);
    }

    public static Tensor Sub_(this Tensor x, double other)
    {
        using Scalar held = other;
        return x.sub_(held);
    }

    /// <summary>Returns a number minus the tensor.</summary>
    public static Tensor Rsub(this Tensor x, double other) => x.negative().Add(other);

    public static Tensor Mul(this Tensor x, long other)
    {
        using Scalar held = other;
        return x.mul(held);
    }

    public static Tensor Mul(this Tensor x, double other)
    {
        using Scalar held = other;
        return x.mul(held);
    }

    public static Tensor Mul_(this Tensor x, double other)
    {
        using Scalar held = other;
        return x.mul_(held);
    }

    public static Tensor Div_(this Tensor x, double other)
    {
        using Scalar held = other;
        return x.div_(held);
    }

    /// <summary>Adds value * first * second.</summary>
    public static Tensor Addcmul_(this Tensor x, Tensor first, Tensor second, double value = 1)
    {
        using Scalar held = value;
        return x.addcmul_(first, second, held);
    }

    /// <summary>Adds value * first / second.</summary>
    public static Tensor Addcdiv_(this Tensor x, Tensor first, Tensor second, double value)
    {
        using Scalar held = value;
        return x.addcdiv_(first, second, held);
    }

    public static Tensor Square(this Tensor x)
    {
        using Scalar two = 2;
        return x.pow(two);
    }

    public static Tensor Clamp_(this Tensor x, double least, double most)
    {
        using Scalar min = least,
            max = most;
        return x.clamp_(min, max);
    }

    public static Tensor ClampMin_(this Tensor x, double least)
    {
        using Scalar held = least;
        return x.clamp_min_(held);
    }

    public static Tensor ClampMax(this Tensor x, long most)
    {
        using Scalar held = most;
        return x.clamp_max(held);
    }

    public static Tensor Eq(this Tensor x, long other)
    {
        using Scalar held = other;
        return x.eq(held);
    }

    public static Tensor Ne(this Tensor x, long other)
    {
        using Scalar held = other;
        return x.ne(held);
    }

    public static Tensor Gt(this Tensor x, double other)
    {
        using Scalar held = other;
        return x.gt(held);
    }

    public static Tensor MaskedFill(this Tensor x, Tensor mask, long value)
    {
        using Scalar held = value;
        return x.masked_fill(mask, held);
    }

    public static Tensor MaskedFill(this Tensor x, Tensor mask, double value)
    {
        using Scalar held = value;
        return x.masked_fill(mask, held);
    }

    public static Tensor MaskedFill_(this Tensor x, Tensor mask, double value)
    {
        using Scalar held = value;
        return x.masked_fill_(mask, held);
    }

    public static Tensor IndexFill_(this Tensor x, long dimension, Tensor index, double value)
    {
        using Scalar held = value;
        return x.index_fill_(dimension, index, held);
    }

    public static Tensor IndexAdd_(this Tensor x, long dimension, Tensor index, Tensor source) =>
        x.index_add_(dimension, index, source, One);

    /// <summary>Int64 numbers from a first one up to (or, with a negative step, down to) and without a last one.</summary>
    public static Tensor Arange(long start, long stop, Device device, long step = 1)
    {
        using Scalar first = start,
            last = stop,
            by = step;
        return arange(first, last, by, ScalarType.Int64, device);
    }

    /// <summary>An Int64 tensor of one number.</summary>
    public static Tensor Full(long[] shape, long value, Device device)
    {
        using Scalar held = value;
        return full(shape, held, ScalarType.Int64, device);
    }

    /// <summary>A Float32 tensor of one number, on the CPU.</summary>
    public static Tensor Full(long[] shape, double value)
    {
        using Scalar held = value;
        return full(shape, held, ScalarType.Float32);
    }

    /// <summary>Runs a function of a script, whose arguments are lists of tensors and a last tensor: none of which becomes a
    /// scalar.</summary>
    /// <returns>What it returns, a tensor.</returns>
    public static Tensor Invoke(this jit.CompilationUnit script, string function, Tensor[][] lists, Tensor last) =>
        (Tensor)script.invoke(function, [.. lists, last]);
}

/// <summary>
/// Keeps owners of tensors, and so their tensors, alive until the end of a block. An unreferenced tensor may be finalised while a native
/// call still reads it, and the last call of a method may be the last reference to its object.
/// </summary>
/// <param name="first">A tensor, or an owner of tensors, that the block reads.</param>
/// <param name="second">A second one.</param>
/// <param name="third">A third one.</param>
internal readonly struct Held(object first, object? second = null, object? third = null) : IDisposable
{
    public void Dispose()
    {
        GC.KeepAlive(first);
        GC.KeepAlive(second);
        GC.KeepAlive(third);
    }
}
