using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using TorchSharp;

namespace SkillLoc.Models.Runtime;

/// <summary>
/// Prepares TorchSharp's native library, libtorch, before it is loaded, and explains failures. The first use of any type of this assembly
/// does so; a program that calls TorchSharp earlier should read <see cref="Description"/> first.
/// <para>
/// <b>Waiting threads.</b> libtorch's OpenMP threads spin while they wait, which makes everything slower beside any other busy process. So
/// <c>OMP_WAIT_POLICY</c> is set to <c>PASSIVE</c>, unless the environment has that variable already, or the runtime option
/// <c>SkillLoc.PassiveThreads</c> (an <see cref="AppContext"/> switch, in a project file a <c>RuntimeHostConfigurationOption</c>; default
/// true) is false.
/// </para>
/// <para>
/// <b>MKL on AMD.</b> libtorch's matrix products come from MKL, which uses slow code on processors of other vendors than Intel. On AMD
/// processors with AVX2, if the runtime option <c>SkillLoc.MklOnAmd</c> is true (default false) and <c>libskilloc_mkl.so</c> is beside the
/// program, that library makes MKL use its fast code. The environment variable <c>SKILLLOC_MKL_ON_AMD</c>, 0 or 1, overrides the option.
/// Results differ in the last digits, as between two processors.
/// </para>
/// </summary>
public static partial class TorchRuntime
{
    private const string WaitPolicy = "OMP_WAIT_POLICY";
    private const string MklVariable = "SKILLLOC_MKL_ON_AMD";
    private const string MklHelper = "libskilloc_mkl.so";

    private static readonly Lazy<string?> Missing = new(Load);
    private static string _mkl = "";

    /// <summary>Describes how libtorch runs, in one line for logs: the wait policy of threads and, on AMD processors, the code that MKL
    /// uses.</summary>
    public static string Description
    {
        get
        {
            string policy = Environment.GetEnvironmentVariable(WaitPolicy) ?? "libtorch's default";
            return $"OMP_WAIT_POLICY: {policy}{_mkl}";
        }
    }

    /// <summary>Loads libtorch once; called before the first tensor is created.</summary>
    /// <exception cref="DllNotFoundException">It cannot be loaded; the message names the cause and the remedy.</exception>
    public static void Require()
    {
        if (Missing.Value is { } message)
        {
            throw new DllNotFoundException(message);
        }
    }

    // A library with a module initialiser is unusual; here nothing later is early enough, since libgomp and MKL read this once.
#pragma warning disable CA2255
    [ModuleInitializer]
    internal static void Prepare()
#pragma warning restore CA2255
    {
        if (Switch("SkillLoc.PassiveThreads") ?? true)
        {
            SetPassive();
        }

        PrepareMkl();
    }

    private static bool? Switch(string name) => AppContext.TryGetSwitch(name, out bool on) ? on : null;

    private static void SetPassive()
    {
        if (Environment.GetEnvironmentVariable(WaitPolicy) is not null)
        {
            return;
        }

        Environment.SetEnvironmentVariable(WaitPolicy, "PASSIVE");
        if (!OperatingSystem.IsWindows())
        {
            // .NET's environment is a copy that native code does not see.
            _ = SetEnv(WaitPolicy, "PASSIVE", overwrite: 0);
        }
    }

    private static void PrepareMkl()
    {
        if (!OperatingSystem.IsLinux() || !IsAmd() || !Avx2.IsSupported)
        {
            return;
        }

        string? variable = Environment.GetEnvironmentVariable(MklVariable);
        if (variable == "0" || (variable != "1" && Switch("SkillLoc.MklOnAmd") != true))
        {
            _mkl = "; MKL on AMD: as it comes";
            return;
        }

        string? helper = SearchFolders().Select(folder => Path.Join(folder, MklHelper)).FirstOrDefault(File.Exists);
        _mkl = helper is null ? $"; MKL on AMD: as it comes, since {MklHelper} is not beside the program"
            : DlOpen(helper, RtldNow | RtldGlobal) == 0 ? $"; MKL on AMD: as it comes, since {helper} could not be loaded"
            : $"; MKL on AMD: fast code ({MklVariable}=0 turns it off)";
    }

    private static bool IsAmd()
    {
        if (!X86Base.IsSupported)
        {
            return false;
        }

        // The vendor's twelve letters stand in EBX, EDX, ECX: "Auth" "enti" "cAMD".
        var (_, ebx, ecx, edx) = X86Base.CpuId(0, 0);
        return (ebx, edx, ecx) == (0x68747541, 0x69746E65, 0x444D4163);
    }

    private static IEnumerable<string> SearchFolders() =>
        ((AppContext.GetData("NATIVE_DLL_SEARCH_DIRECTORIES") as string) ?? "").Split(Path.PathSeparator)
            .Prepend(AppContext.BaseDirectory).Where(Directory.Exists);

    private static string? Load()
    {
        string? error = null;
        try
        {
            // In TorchSharp's order. Its own loader copies half a gigabyte out of the NuGet cache before it gives up, and names no cause.
            Assembly torchSharp = typeof(torch).Assembly;
            _ = NativeLibrary.TryLoad("torch_cpu", torchSharp, null, out _);
            _ = NativeLibrary.Load("LibTorchSharp", torchSharp, null);
        }
        catch (Exception failure) when (failure is DllNotFoundException or BadImageFormatException)
        {
            error = failure.Message;
        }

        if (error is not null && TorchLoadFailure.Known(error, SearchFolders()) is { } cause)
        {
            return cause;
        }

        try
        {
            torch.InitializeDeviceType(DeviceType.CPU);
            return null;
        }
        catch (Exception failure) when (failure is TypeInitializationException or NotSupportedException or DllNotFoundException or BadImageFormatException)
        {
            return TorchLoadFailure.Unknown(error ?? failure.GetBaseException().Message);
        }
    }

    private const int RtldNow = 2;
    private const int RtldGlobal = 0x100;

    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetEnv(string name, string value, int overwrite);

    [LibraryImport("libc", EntryPoint = "dlopen", StringMarshalling = StringMarshalling.Utf8)]
    private static partial nint DlOpen(string path, int flags);
}
