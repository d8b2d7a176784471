namespace TorchSharp;

public static partial class torch
{
    public static Tensor zeros(
        int dim0, int dim1, int dim2, int dim3, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) =>
        Fill("zeros", requires_grad, new long[] { dim0, dim1, dim2, dim3 }, dtype, default, device);
    public static Tensor zeros(
        int dim0, int dim1, int dim2, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) =>
        Fill("zeros", requires_grad, new long[] { dim0, dim1, dim2 }, dtype, default, device);
    public static Tensor zeros(
        int rows, int columns, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) =>
        Fill("zeros", requires_grad, new long[] { rows, columns }, dtype, default, device);
    public static Tensor zeros(
        int size, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) =>
        Fill("zeros", requires_grad, new long[] { size }, dtype, default, device);
    public static Tensor zeros(
        long dim0, long dim1, long dim2, long dim3, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) =>
        Fill("zeros", requires_grad, new[] { dim0, dim1, dim2, dim3 }, dtype, default, device);
    public static Tensor zeros(
        long dim0, long dim1, long dim2, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) =>
        Fill("zeros", requires_grad, new[] { dim0, dim1, dim2 }, dtype, default, device);
    public static Tensor zeros(
        long rows, long columns, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) =>
        Fill("zeros", requires_grad, new[] { rows, columns }, dtype, default, device);
    public static Tensor zeros(
        long size, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) =>
        Fill("zeros", requires_grad, new[] { size }, dtype, default, device);
    public static Tensor zeros(
        long[] size, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) =>
        Fill("zeros", requires_grad, size, dtype, default, device);
    public static Tensor zeros(
        ReadOnlySpan<long> size, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) =>
        Fill("zeros", requires_grad, size, dtype, default, device);
    public static Tensor ones(
        int dim0, int dim1, int dim2, int dim3, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) =>
        Fill("ones", requires_grad, new long[] { dim0, dim1, dim2, dim3 }, dtype, default, device);
    public static Tensor ones(
        int dim0, int dim1, int dim2, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) =>
        Fill("ones", requires_grad, new long[] { dim0, dim1, dim2 }, dtype, default, device);
    public static Tensor ones(
        int rows, int columns, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) =>
        Fill("ones", requires_grad, new long[] { rows, columns }, dtype, default, device);
    public static Tensor ones(
        int size, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) =>
        Fill("ones", requires_grad, new long[] { size }, dtype, default, device);
    public static Tensor ones(
        long dim0, long dim1, long dim2, long dim3, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) =>
        Fill("ones", requires_grad, new[] { dim0, dim1, dim2, dim3 }, dtype, default, device);
    public static Tensor ones(
        long dim0, long dim1, long dim2, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) =>
        Fill("ones", requires_grad, new[] { dim0, dim1, dim2 }, dtype, default, device);
    public static Tensor ones(
        long rows, long columns, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) =>
        Fill("ones", requires_grad, new[] { rows, columns }, dtype, default, device);
    public static Tensor ones(
        long size, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) =>
        Fill("ones", requires_grad, new[] { size }, dtype, default, device);
    public static Tensor ones(
        long[] size, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) =>
        Fill("ones", requires_grad, size, dtype, default, device);
    public static Tensor ones(
        ReadOnlySpan<long> size, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) =>
        Fill("ones", requires_grad, size, dtype, default, device);
    public static Tensor empty(
        int dim0, int dim1, int dim2, int dim3, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) =>
        Fill("empty.memory_format", requires_grad, new long[] { dim0, dim1, dim2, dim3 }, dtype, default, device);
    public static Tensor empty(
        int dim0, int dim1, int dim2, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) =>
        Fill("empty.memory_format", requires_grad, new long[] { dim0, dim1, dim2 }, dtype, default, device);
    public static Tensor empty(
        int rows, int columns, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) =>
        Fill("empty.memory_format", requires_grad, new long[] { rows, columns }, dtype, default, device);
    public static Tensor empty(
        int size, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) =>
        Fill("empty.memory_format", requires_grad, new long[] { size }, dtype, default, device);
    public static Tensor empty(
        long dim0, long dim1, long dim2, long dim3, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) =>
        Fill("empty.memory_format", requires_grad, new[] { dim0, dim1, dim2, dim3 }, dtype, default, device);
    public static Tensor empty(
        long dim0, long dim1, long dim2, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) =>
        Fill("empty.memory_format", requires_grad, new[] { dim0, dim1, dim2 }, dtype, default, device);
    public static Tensor empty(
        long rows, long columns, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) =>
        Fill("empty.memory_format", requires_grad, new[] { rows, columns }, dtype, default, device);
    public static Tensor empty(
        long size, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) =>
        Fill("empty.memory_format", requires_grad, new[] { size }, dtype, default, device);
    public static Tensor empty(
        long[] size, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) =>
        Fill("empty.memory_format", requires_grad, size, dtype, default, device);
    public static Tensor empty(
        ReadOnlySpan<long> size, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) =>
        Fill("empty.memory_format", requires_grad, size, dtype, default, device);
    public static Tensor full(
        int dim0, int dim1, int dim2, int dim3, Scalar value, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) =>
        Fill("full", requires_grad, new long[] { dim0, dim1, dim2, dim3 }, value, dtype ?? DefaultType(value), default, device);
    public static Tensor full(
        int dim0, int dim1, int dim2, Scalar value, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) =>
        Fill("full", requires_grad, new long[] { dim0, dim1, dim2 }, value, dtype ?? DefaultType(value), default, device);
    public static Tensor full(
        int rows, int columns, Scalar value, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) =>
        Fill("full", requires_grad, new long[] { rows, columns }, value, dtype ?? DefaultType(value), default, device);
    public static Tensor full(
        int size, Scalar value, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) =>
        Fill("full", requires_grad, new long[] { size }, value, dtype ?? DefaultType(value), default, device);
    public static Tensor full(
        long dim0, long dim1, long dim2, long dim3, Scalar value, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) =>
        Fill("full", requires_grad, new[] { dim0, dim1, dim2, dim3 }, value, dtype ?? DefaultType(value), default, device);
    public static Tensor full(
        long dim0, long dim1, long dim2, Scalar value, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) =>
        Fill("full", requires_grad, new[] { dim0, dim1, dim2 }, value, dtype ?? DefaultType(value), default, device);
    public static Tensor full(
        long rows, long columns, Scalar value, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) =>
        Fill("full", requires_grad, new[] { rows, columns }, value, dtype ?? DefaultType(value), default, device);
    public static Tensor full(
        long size, Scalar value, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) =>
        Fill("full", requires_grad, new[] { size }, value, dtype ?? DefaultType(value), default, device);
    public static Tensor full(
        long[] size, Scalar value, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) =>
        Fill("full", requires_grad, size, value, dtype ?? DefaultType(value), default, device);
    public static Tensor full(
        ReadOnlySpan<long> size, Scalar value, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) =>
        Fill("full", requires_grad, size, value, dtype ?? DefaultType(value), default, device);
    public static Tensor rand(
        int dim0, int dim1, int dim2, int dim3, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, Generator? generator = null, string[]? names = null) =>
        RandomFill("rand", "rand.generator", new long[] { dim0, dim1, dim2, dim3 }, dtype, device, requires_grad, generator);
    public static Tensor rand(
        int dim0, int dim1, int dim2, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, Generator? generator = null, string[]? names = null) =>
        RandomFill("rand", "rand.generator", new long[] { dim0, dim1, dim2 }, dtype, device, requires_grad, generator);
    public static Tensor rand(
        int rows, int columns, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, Generator? generator = null, string[]? names = null) =>
        RandomFill("rand", "rand.generator", new long[] { rows, columns }, dtype, device, requires_grad, generator);
    public static Tensor rand(
        int size, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, Generator? generator = null, string[]? names = null) =>
        RandomFill("rand", "rand.generator", new long[] { size }, dtype, device, requires_grad, generator);
    public static Tensor rand(
        long dim0, long dim1, long dim2, long dim3, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, Generator? generator = null, string[]? names = null) =>
        RandomFill("rand", "rand.generator", new[] { dim0, dim1, dim2, dim3 }, dtype, device, requires_grad, generator);
    public static Tensor rand(
        long dim0, long dim1, long dim2, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, Generator? generator = null, string[]? names = null) =>
        RandomFill("rand", "rand.generator", new[] { dim0, dim1, dim2 }, dtype, device, requires_grad, generator);
    public static Tensor rand(
        long rows, long columns, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, Generator? generator = null, string[]? names = null) =>
        RandomFill("rand", "rand.generator", new[] { rows, columns }, dtype, device, requires_grad, generator);
    public static Tensor rand(
        long size, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, Generator? generator = null, string[]? names = null) =>
        RandomFill("rand", "rand.generator", new[] { size }, dtype, device, requires_grad, generator);
    public static Tensor rand(
        long[] size, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, Generator? generator = null, string[]? names = null) =>
        RandomFill("rand", "rand.generator", size, dtype, device, requires_grad, generator);
    public static Tensor rand(
        ReadOnlySpan<long> size, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, Generator? generator = null, string[]? names = null) =>
        RandomFill("rand", "rand.generator", size, dtype, device, requires_grad, generator);
    public static Tensor randn(
        int dim0, int dim1, int dim2, int dim3, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, Generator? generator = null, string[]? names = null) =>
        RandomFill("randn", "randn.generator", new long[] { dim0, dim1, dim2, dim3 }, dtype, device, requires_grad, generator);
    public static Tensor randn(
        int dim0, int dim1, int dim2, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, Generator? generator = null, string[]? names = null) =>
        RandomFill("randn", "randn.generator", new long[] { dim0, dim1, dim2 }, dtype, device, requires_grad, generator);
    public static Tensor randn(
        int rows, int columns, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, Generator? generator = null, string[]? names = null) =>
        RandomFill("randn", "randn.generator", new long[] { rows, columns }, dtype, device, requires_grad, generator);
    public static Tensor randn(
        int size, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, Generator? generator = null, string[]? names = null) =>
        RandomFill("randn", "randn.generator", new long[] { size }, dtype, device, requires_grad, generator);
    public static Tensor randn(
        long dim0, long dim1, long dim2, long dim3, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, Generator? generator = null, string[]? names = null) =>
        RandomFill("randn", "randn.generator", new[] { dim0, dim1, dim2, dim3 }, dtype, device, requires_grad, generator);
    public static Tensor randn(
        long dim0, long dim1, long dim2, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, Generator? generator = null, string[]? names = null) =>
        RandomFill("randn", "randn.generator", new[] { dim0, dim1, dim2 }, dtype, device, requires_grad, generator);
    public static Tensor randn(
        long rows, long columns, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, Generator? generator = null, string[]? names = null) =>
        RandomFill("randn", "randn.generator", new[] { rows, columns }, dtype, device, requires_grad, generator);
    public static Tensor randn(
        long size, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, Generator? generator = null, string[]? names = null) =>
        RandomFill("randn", "randn.generator", new[] { size }, dtype, device, requires_grad, generator);
    public static Tensor randn(
        long[] size, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, Generator? generator = null, string[]? names = null) =>
        RandomFill("randn", "randn.generator", size, dtype, device, requires_grad, generator);
    public static Tensor randn(
        ReadOnlySpan<long> size, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, Generator? generator = null, string[]? names = null) =>
        RandomFill("randn", "randn.generator", size, dtype, device, requires_grad, generator);
    public static Tensor randint(
        int low, int high, int[] size, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, Generator? generator = null, string[]? names = null) =>
        RandomInteger(low, high, Array.ConvertAll(size, d => (long)d), dtype, device, requires_grad, generator);
    public static Tensor randint(
        int high, int[] size, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, Generator? generator = null, string[]? names = null) =>
        RandomInteger(0, high, Array.ConvertAll(size, d => (long)d), dtype, device, requires_grad, generator);
    public static Tensor randint(
        long low, long high, long[] size, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, Generator? generator = null, string[]? names = null) =>
        RandomInteger(low, high, size, dtype, device, requires_grad, generator);
    public static Tensor randint(
        long high, long[] size, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, Generator? generator = null, string[]? names = null) =>
        RandomInteger(0, high, size, dtype, device, requires_grad, generator);
    public static Tensor randperm(
        long n, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, Generator? generator = null) =>
        generator is null
        ? Fill("randperm", requires_grad, n, dtype ?? ScalarType.Int64, default, device)
        : Fill("randperm.generator", requires_grad, n, generator, dtype ?? ScalarType.Int64, default, device);
    public static Tensor zeros_like(
        Tensor input, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) =>
        Fill("zeros_like", requires_grad, input, dtype, default, device);
    public static Tensor ones_like(
        Tensor input, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) =>
        Fill("ones_like", requires_grad, input, dtype, default, device);
    public static Tensor empty_like(
        Tensor input, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) =>
        Fill("empty_like", requires_grad, input, dtype, default, device);
    public static Tensor full_like(
        Tensor input, Scalar value, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) =>
        Fill("full_like", requires_grad, input, value, dtype, default, device);
    public static Tensor rand_like(Tensor input, ScalarType? dtype = null, Device? device = null, bool requires_grad = false) =>
        Fill("rand_like", requires_grad, input, dtype, default, device);
    public static Tensor randn_like(Tensor input, ScalarType? dtype = null, Device? device = null, bool requires_grad = false) =>
        Fill("randn_like", requires_grad, input, dtype, default, device);
    public static Tensor arange(Scalar stop, ScalarType? dtype = null, Device? device = null, bool requires_grad = false) =>
        Arange(0, stop, 1, dtype, device, requires_grad);
    public static Tensor arange(Scalar start, Scalar stop, ScalarType? dtype = null, Device? device = null, bool requires_grad = false) =>
        Arange(start, stop, 1, dtype, device, requires_grad);
    public static Tensor arange(
        Scalar start, Scalar stop, Scalar step, ScalarType? dtype = null, Device? device = null, bool requires_grad = false) =>
        Arange(start, stop, step, dtype, device, requires_grad);
    public static Tensor linspace(
        double start, double end, long steps, ScalarType? dtype = null, Device? device = null, bool requires_grad = false) =>
        Fill("linspace", requires_grad, start, end, steps, dtype, default, device);
    public static Tensor eye(
        long rows, long columns = -1, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) =>
        Fill("eye.m", requires_grad, rows, columns < 0 ? rows : columns, dtype, default, device);

    /// <summary>Runs an operator that makes a new tensor.</summary>
    private static Tensor Fill(string op, bool requiresGrad, params ReadOnlySpan<Arg> arguments)
    {
        var tensor = Operator.Call(op, arguments);
        return requiresGrad ? tensor.requires_grad_() : tensor;
    }

    /// <summary>The type of a tensor made from a number where no type is given.</summary>
    private static ScalarType DefaultType(Scalar value) => is_integral(value.Type) ? ScalarType.Int64 : ScalarType.Float32;

    private static Tensor Arange(Scalar start, Scalar stop, Scalar step, ScalarType? dtype, Device? device, bool requiresGrad)
    {
        var integral = is_integral(start.Type) && is_integral(stop.Type) && is_integral(step.Type);
        return Fill("arange.start_step", requiresGrad, start, stop, step, dtype ?? (integral ? ScalarType.Int64 : ScalarType.Float32), default, device);
    }

    private static Tensor RandomFill(
        string op, string seeded, Arg size, ScalarType? dtype, Device? device, bool requiresGrad, Generator? generator) =>
        generator is null
            ? Fill(op, requiresGrad, size, dtype, default, device)
            : Fill(seeded, requiresGrad, size, generator, dtype, default, device);

    private static Tensor RandomInteger(
        long low, long high, Arg size, ScalarType? dtype, Device? device, bool requiresGrad, Generator? generator) =>
        generator is null
            ? Fill("randint.low", requiresGrad, low, high, size, dtype ?? ScalarType.Int64, default, device)
            : Fill("randint.low_generator", requiresGrad, low, high, size, generator, dtype ?? ScalarType.Int64, default, device);
}
