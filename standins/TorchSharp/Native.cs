using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;

namespace TorchSharp;

/// <summary>The C interface of native/skilloc_torch.cpp.</summary>
internal static unsafe partial class Native
{
    private const string Library = "skilloc_torch";

    /// <summary>
    /// Settings that the native libraries read when they are loaded, so this comes first; what the user set stays. OpenBLAS takes its
    /// oldest kernels for a processor younger than itself, five times slower than those the processor can run. And OpenMP's threads
    /// spin while they wait for each other, which takes the core from whoever they wait for as soon as anything else runs.
    /// </summary>
    [ModuleInitializer]
    internal static void ChooseSettings()
    {
        if (!OperatingSystem.IsLinux()) return;
        setenv("OMP_WAIT_POLICY", "PASSIVE", 0);
        if (Fma.IsSupported) setenv("OPENBLAS_CORETYPE", Avx512DQ.IsSupported ? "SkylakeX" : "Haswell", 0);
    }

    [DllImport("libc")] private static extern int setenv(string name, string value, int overwrite);

    [DllImport(Library)] private static extern byte* skilloc_error();
    [DllImport(Library)] private static extern byte* skilloc_version();
    [DllImport(Library)] internal static extern IntPtr skilloc_find(byte* name, byte* overload);
    [DllImport(Library)] internal static extern int skilloc_call(IntPtr op, Value* arguments, int count, Value* results, int capacity);
    [DllImport(Library)] internal static extern void skilloc_take(IntPtr* handles);

    [DllImport(Library)] internal static extern void skilloc_release(IntPtr tensor);
    [DllImport(Library), SuppressGCTransition] internal static extern IntPtr skilloc_alias(IntPtr tensor);
    [DllImport(Library), SuppressGCTransition] internal static extern int skilloc_dtype(IntPtr tensor);
    [DllImport(Library), SuppressGCTransition] internal static extern long skilloc_dim(IntPtr tensor);
    [DllImport(Library), SuppressGCTransition] internal static extern long skilloc_numel(IntPtr tensor);
    [DllImport(Library), SuppressGCTransition] internal static extern long skilloc_itemsize(IntPtr tensor);
    [DllImport(Library), SuppressGCTransition] internal static extern long skilloc_size(IntPtr tensor, long dim);
    [DllImport(Library), SuppressGCTransition] internal static extern long skilloc_stride(IntPtr tensor, long dim);
    [DllImport(Library), SuppressGCTransition] internal static extern int skilloc_is_contiguous(IntPtr tensor);
    [DllImport(Library), SuppressGCTransition] internal static extern int skilloc_device_type(IntPtr tensor);
    [DllImport(Library), SuppressGCTransition] internal static extern int skilloc_device_index(IntPtr tensor);
    [DllImport(Library)] internal static extern IntPtr skilloc_data(IntPtr tensor);
    [DllImport(Library)]
    internal static extern IntPtr skilloc_from_blob(
        IntPtr data, long* sizes, int dims, int dtype, delegate* unmanaged<IntPtr, void> release, IntPtr context);

    [DllImport(Library), SuppressGCTransition] internal static extern int skilloc_requires_grad(IntPtr tensor);
    [DllImport(Library)] internal static extern int skilloc_set_requires_grad(IntPtr tensor, int value);
    [DllImport(Library)] internal static extern int skilloc_is_leaf(IntPtr tensor);
    [DllImport(Library)] internal static extern int skilloc_retain_grad(IntPtr tensor);
    [DllImport(Library)] internal static extern IntPtr skilloc_grad(IntPtr tensor);
    [DllImport(Library)] internal static extern int skilloc_set_grad(IntPtr tensor, IntPtr grad);
    [DllImport(Library)]
    internal static extern int skilloc_backward(
        IntPtr tensor, IntPtr gradient, int retainGraph, int createGraph, IntPtr* inputs, int count);
    [DllImport(Library), SuppressGCTransition] internal static extern int skilloc_grad_mode();
    [DllImport(Library), SuppressGCTransition] internal static extern void skilloc_set_grad_mode(int enabled);
    [DllImport(Library), SuppressGCTransition] internal static extern int skilloc_is_inference_mode();
    [DllImport(Library)] internal static extern IntPtr skilloc_begin_inference_mode(int enabled);
    [DllImport(Library)] internal static extern void skilloc_end_inference_mode(IntPtr guard);

    [DllImport(Library)] internal static extern int skilloc_manual_seed(ulong seed);
    [DllImport(Library)] internal static extern IntPtr skilloc_default_generator(int deviceType, int deviceIndex);
    [DllImport(Library)] internal static extern IntPtr skilloc_generator(int deviceType, int deviceIndex, ulong seed);
    [DllImport(Library)] internal static extern void skilloc_release_generator(IntPtr generator);
    [DllImport(Library)] internal static extern int skilloc_generator_set_seed(IntPtr generator, ulong seed);
    [DllImport(Library)] internal static extern ulong skilloc_generator_seed(IntPtr generator);
    [DllImport(Library)] internal static extern IntPtr skilloc_generator_state(IntPtr generator);
    [DllImport(Library)] internal static extern int skilloc_generator_set_state(IntPtr generator, IntPtr state);

    [DllImport(Library)] internal static extern int skilloc_num_threads();
    [DllImport(Library)] internal static extern void skilloc_set_num_threads(int count);
    [DllImport(Library)] internal static extern int skilloc_has_cuda();
    [DllImport(Library)] internal static extern int skilloc_cuda_count();

    internal static string Version => Marshal.PtrToStringUTF8((IntPtr)skilloc_version())!;

    internal static ExternalException Error() => new(Marshal.PtrToStringUTF8((IntPtr)skilloc_error()));

    internal static void Check(int result)
    {
        if (result < 0) throw Error();
    }

    internal static IntPtr Check(IntPtr result) => result != IntPtr.Zero ? result : throw Error();
}
