namespace TorchSharp;

public static partial class torch
{
    public enum ScalarType : sbyte
    {
        Byte = 0,
        Int8 = 1,
        Int16 = 2,
        Int32 = 3,
        Int64 = 4,
        Float16 = 5,
        Float32 = 6,
        Float64 = 7,
        Bool = 11,
        BFloat16 = 15,
    }

    public enum RoundingMode
    {
        None = 0,
        trunc = 1,
        floor = 2,
    }

    public static ScalarType uint8 = ScalarType.Byte;
    public static ScalarType int8 = ScalarType.Int8;
    public static ScalarType int16 = ScalarType.Int16;
    public static ScalarType int32 = ScalarType.Int32;
    public static ScalarType int64 = ScalarType.Int64;
    public static ScalarType float16 = ScalarType.Float16;
    public static ScalarType float32 = ScalarType.Float32;
    public static ScalarType float64 = ScalarType.Float64;
    public static ScalarType bfloat16 = ScalarType.BFloat16;
    public static ScalarType @bool = ScalarType.Bool;
    public static ScalarType @short = ScalarType.Int16;
    public static ScalarType @int = ScalarType.Int32;
    public static ScalarType @long = ScalarType.Int64;
    public static ScalarType half = ScalarType.Float16;
    public static ScalarType @float = ScalarType.Float32;
    public static ScalarType @double = ScalarType.Float64;

    public static readonly Device CPU = new(DeviceType.CPU);
    public static readonly Device META = new(DeviceType.META);

    public static Device CUDA => new(DeviceType.CUDA, 0);

    public static string __version__ => Native.Version;

    public static Device device(string description) => new(description);
    public static Device device(string deviceType, int index = -1) => new(deviceType, index);
    public static Device device(DeviceType deviceType, int index = -1) => new(deviceType, index);
    public static Device device(int index) => new(index);

    public static bool is_integral(ScalarType type) =>
        type is ScalarType.Byte or ScalarType.Int8 or ScalarType.Int16 or ScalarType.Int32 or ScalarType.Int64 or ScalarType.Bool;
    public static bool is_floating_point(ScalarType type) =>
        type is ScalarType.Float16 or ScalarType.Float32 or ScalarType.Float64 or ScalarType.BFloat16;

    public static void InitializeDeviceType(DeviceType deviceType)
    {
        if (!TryInitializeDeviceType(deviceType)) throw new InvalidOperationException($"Torch device type {deviceType} did not initialise on the current machine.");
    }

    public static bool TryInitializeDeviceType(DeviceType deviceType) => deviceType switch
    {
        DeviceType.CPU or DeviceType.META => Native.skilloc_num_threads() > 0,
        DeviceType.CUDA => cuda.is_available(),
        _ => false,
    };

    public static Generator manual_seed(long seed) => random.manual_seed(seed);

    public static int get_num_threads() => Native.skilloc_num_threads();
    public static void set_num_threads(int num) => Native.skilloc_set_num_threads(num);

    public static bool is_grad_enabled() => Native.skilloc_grad_mode() != 0;
    public static IDisposable no_grad() => new GradMode(false);
    public static IDisposable enable_grad(bool enabled = true) => new GradMode(enabled);
    public static IDisposable set_grad_enabled(bool mode = true) => new GradMode(mode);
    public static bool is_inference_mode_enabled() => Native.skilloc_is_inference_mode() != 0;
    public static IDisposable inference_mode(bool mode = true) => new InferenceMode(mode);

    public static DisposeScope NewDisposeScope() => DisposeScopeManager.Current.Push();
    public static DisposeScope? CurrentDisposeScope => DisposeScopeManager.Current.Top;

    public static Tensor WrappedTensorDisposeScope(Func<Tensor> expr)
    {
        using var scope = NewDisposeScope();
        return expr().MoveToOuterDisposeScope();
    }

    /// <summary>Sets the calling thread's grad mode, and sets it back on disposal.</summary>
    private sealed class GradMode : IDisposable
    {
        private readonly bool _before = is_grad_enabled();

        public GradMode(bool enabled) => Native.skilloc_set_grad_mode(enabled ? 1 : 0);

        public void Dispose() => Native.skilloc_set_grad_mode(_before ? 1 : 0);
    }

    private sealed class InferenceMode(bool enabled) : IDisposable
    {
        private IntPtr _guard = Native.skilloc_begin_inference_mode(enabled ? 1 : 0);

        public void Dispose()
        {
            if (_guard != IntPtr.Zero) Native.skilloc_end_inference_mode(_guard);
            _guard = IntPtr.Zero;
        }
    }

    public static class random
    {
        public static Generator manual_seed(long seed)
        {
            Native.Check(Native.skilloc_manual_seed((ulong)seed));
            return Generator.Default;
        }

        public static Tensor get_rng_state() => Generator.Default.get_state();
        public static void set_rng_state(Tensor new_state) => Generator.Default.set_state(new_state);
    }

    public static class cuda
    {
        public static bool is_available() => Native.skilloc_has_cuda() != 0 && device_count() > 0;
        public static int device_count() => Native.skilloc_cuda_count();
    }

    public static class autograd
    {
        public static void backward(
            Tensor tensor, IList<Tensor>? grad_tensors = null, bool? retain_graph = null, bool create_graph = false, IList<Tensor>? inputs = null) =>
            Backward(tensor, grad_tensors is { Count: > 0 } ? grad_tensors[0] : null, retain_graph ?? create_graph, create_graph, inputs);

        public static void backward(
            Tensor tensor, Tensor grad_tensor, bool? retain_graph = null, bool create_graph = false, IList<Tensor>? inputs = null) =>
            Backward(tensor, grad_tensor, retain_graph ?? create_graph, create_graph, inputs);

        private static unsafe void Backward(Tensor root, Tensor? gradient, bool retainGraph, bool createGraph, IList<Tensor>? inputs)
        {
            var handles = inputs?.Select(t => t.Handle).ToArray();
            fixed (IntPtr* leaves = handles)
                Native.Check(Native.skilloc_backward(
                    root.Handle, gradient?.Handle ?? IntPtr.Zero, retainGraph ? 1 : 0, createGraph ? 1 : 0, leaves, handles?.Length ?? 0));
            GC.KeepAlive(root);
            GC.KeepAlive(gradient);
            GC.KeepAlive(inputs);
        }
    }
}
