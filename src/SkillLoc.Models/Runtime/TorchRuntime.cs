using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using System.Text;
using System.Text.RegularExpressions;
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
        _mkl =
            helper is null ? $"; MKL on AMD: as it comes, since {MklHelper} is not beside the program"
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
        (int _, int ebx, int ecx, int edx) = X86Base.CpuId(0, 0);
        return (ebx, edx, ecx) == (0x68747541, 0x69746E65, 0x444D4163);
    }

    private static IEnumerable<string> SearchFolders() =>
        ((AppContext.GetData("NATIVE_DLL_SEARCH_DIRECTORIES") as string) ?? "")
            .Split(Path.PathSeparator)
            .Prepend(AppContext.BaseDirectory)
            .Where(Directory.Exists);

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
        catch (Exception failure)
            when (failure is TypeInitializationException or NotSupportedException or DllNotFoundException or BadImageFormatException)
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

/// <summary>Explains why libtorch could not be loaded, and the remedy.</summary>
internal static partial class TorchLoadFailure
{
    private const string Packages =
        "Reference TorchSharp-cpu, TorchSharp-cuda-linux or TorchSharp-cuda-windows (or libtorch-cpu-<platform>) in the program's project.";

    /// <summary>Returns the message for a certain cause; null if TorchSharp may still find its libraries elsewhere.</summary>
    /// <param name="error">The loader's error message.</param>
    /// <param name="folders">The folders searched for native libraries.</param>
    public static string? Known(string error, IEnumerable<string> folders)
    {
        if (
            RuntimeInformation.ProcessArchitecture is not (Architecture.X64 or Architecture.Arm64)
            || (OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture != Architecture.X64)
        )
        {
            return Because(
                $"there is no libtorch for {RuntimeInformation.RuntimeIdentifier}, the processor that this process runs on",
                "Run on x64 (or on macOS with Apple silicon)."
            );
        }

        if (Newer().Match(error) is { Success: true } needed)
        {
            string wanted = needed.Groups["version"].Value;
            string library = LoadedLibrary("libstdc++.so") is { } loaded ? $"'{loaded}', which has {Newest(loaded)}" : "this system's";
            return wanted.StartsWith("GLIBCXX", StringComparison.Ordinal) || wanted.StartsWith("CXXABI", StringComparison.Ordinal)
                ? Because(
                    $"it needs {wanted} and libstdc++ here is {library}",
                    "Use a system with GCC 13's libstdc++ (Debian 13, Ubuntu 24.04), or make the missing symbol with eng/libstdcxx.sh of "
                        + "SkillLoc.MLNet and start the program with LD_LIBRARY_PATH set to its folder (README, Older Linux)."
                )
                : Because($"it needs {wanted}, which this system's libraries do not have", "Use a newer system.");
        }

        string? torchSharp = Find(folders, "LibTorchSharp");
        if (torchSharp is not null && Find(folders, "torch_cpu") is null)
        {
            return Because($"'{torchSharp}' is there and libtorch is not", Packages);
        }

        return
            error.Contains("wrong ELF class", StringComparison.Ordinal)
            || error.Contains("incompatible architecture", StringComparison.Ordinal)
            || error.Contains("0x8007000B", StringComparison.OrdinalIgnoreCase)
            ? Because("its libraries are another platform's", $"Build the program for {RuntimeInformation.RuntimeIdentifier}.")
            : null;
    }

    /// <summary>Returns the message if TorchSharp found no libraries either.</summary>
    /// <param name="error">The loader's error message.</param>
    public static string Unknown(string error) =>
        Because("the program brings no libtorch that loads here", $"{Packages} The loader said: {FirstLines(error)}");

    private static string Because(string cause, string remedy) =>
        $"TorchSharp's native part (libtorch) cannot be loaded: {cause}. {remedy}";

    private static string? Find(IEnumerable<string> folders, string name)
    {
        string file =
            OperatingSystem.IsWindows() ? $"{name}.dll"
            : OperatingSystem.IsMacOS() ? $"lib{name}.dylib"
            : $"lib{name}.so";
        return folders.Select(folder => Path.Join(folder, file)).FirstOrDefault(File.Exists);
    }

    private static string? LoadedLibrary(string name)
    {
        const string Maps = "/proc/self/maps";
        return !File.Exists(Maps)
            ? null
            : File.ReadLines(Maps)
                .Select(line => line[(line.LastIndexOf(' ') + 1)..])
                .FirstOrDefault(path => Path.GetFileName(path).StartsWith(name, StringComparison.Ordinal));
    }

    private static string Newest(string library) =>
        Versions()
            .Matches(Encoding.Latin1.GetString(File.ReadAllBytes(library)))
            .Select(match => Version.Parse(match.Groups["version"].ValueSpan))
            .DefaultIfEmpty()
            .Max()
            is { } newest
            ? $"GLIBCXX_{newest}"
            : "no GLIBCXX version";

    private static string FirstLines(string error) =>
        string.Join(' ', error.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Take(3));

    // The dynamic linker of glibc: "... version `GLIBCXX_3.4.32' not found (required by ...)".
    [GeneratedRegex(
        "version [`'](?<version>[A-Z]+_[0-9.]+)' not found",
        RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture,
        1000
    )]
    private static partial Regex Newer();

    [GeneratedRegex(@"GLIBCXX_(?<version>\d+(\.\d+)+)", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 10000)]
    private static partial Regex Versions();
}
