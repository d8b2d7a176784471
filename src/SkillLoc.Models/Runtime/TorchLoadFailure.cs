using System.Runtime.InteropServices;
using System.Text;
using System.Text.RegularExpressions;

namespace SkillLoc.Models.Runtime;

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
        if (RuntimeInformation.ProcessArchitecture is not (Architecture.X64 or Architecture.Arm64)
            || (OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture != Architecture.X64))
        {
            return Because($"there is no libtorch for {RuntimeInformation.RuntimeIdentifier}, the processor that this process runs on",
                "Run on x64 (or on macOS with Apple silicon).");
        }

        if (Newer().Match(error) is { Success: true } needed)
        {
            string wanted = needed.Groups["version"].Value;
            string library = LoadedLibrary("libstdc++.so") is { } loaded ? $"'{loaded}', which has {Newest(loaded)}" : "this system's";
            return wanted.StartsWith("GLIBCXX", StringComparison.Ordinal) || wanted.StartsWith("CXXABI", StringComparison.Ordinal)
                ? Because($"it needs {wanted} and libstdc++ here is {library}",
                    "Use a system with GCC 13's libstdc++ (Debian 13, Ubuntu 24.04), or make the missing symbol with eng/libstdcxx.sh of "
                    + "SkillLoc.MLNet and start the program with LD_LIBRARY_PATH set to its folder (README, Older Linux).")
                : Because($"it needs {wanted}, which this system's libraries do not have", "Use a newer system.");
        }

        string? torchSharp = Find(folders, "LibTorchSharp");
        if (torchSharp is not null && Find(folders, "torch_cpu") is null)
        {
            return Because($"'{torchSharp}' is there and libtorch is not", Packages);
        }

        return error.Contains("wrong ELF class", StringComparison.Ordinal) || error.Contains("incompatible architecture", StringComparison.Ordinal)
            || error.Contains("0x8007000B", StringComparison.OrdinalIgnoreCase)
            ? Because("its libraries are another platform's", $"Build the program for {RuntimeInformation.RuntimeIdentifier}.")
            : null;
    }

    /// <summary>Returns the message if TorchSharp found no libraries either.</summary>
    /// <param name="error">The loader's error message.</param>
    public static string Unknown(string error) =>
        Because("the program brings no libtorch that loads here", $"{Packages} The loader said: {FirstLines(error)}");

    private static string Because(string cause, string remedy) => $"TorchSharp's native part (libtorch) cannot be loaded: {cause}. {remedy}";

    private static string? Find(IEnumerable<string> folders, string name)
    {
        string file = OperatingSystem.IsWindows() ? $"{name}.dll" : OperatingSystem.IsMacOS() ? $"lib{name}.dylib" : $"lib{name}.so";
        return folders.Select(folder => Path.Join(folder, file)).FirstOrDefault(File.Exists);
    }

    private static string? LoadedLibrary(string name)
    {
        const string Maps = "/proc/self/maps";
        return !File.Exists(Maps) ? null : File.ReadLines(Maps)
            .Select(line => line[(line.LastIndexOf(' ') + 1)..])
            .FirstOrDefault(path => Path.GetFileName(path).StartsWith(name, StringComparison.Ordinal));
    }

    private static string Newest(string library) =>
        Versions().Matches(Encoding.Latin1.GetString(File.ReadAllBytes(library)))
            .Select(match => Version.Parse(match.Groups["version"].ValueSpan))
            .DefaultIfEmpty().Max() is { } newest ? $"GLIBCXX_{newest}" : "no GLIBCXX version";

    private static string FirstLines(string error) =>
        string.Join(' ', error.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Take(3));

    // The dynamic linker of glibc: "... version `GLIBCXX_3.4.32' not found (required by ...)".
    [GeneratedRegex("version [`'](?<version>[A-Z]+_[0-9.]+)' not found", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Newer();

    [GeneratedRegex(@"GLIBCXX_(?<version>\d+(\.\d+)+)", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 10000)]
    private static partial Regex Versions();
}
