using System.Diagnostics;
using System.Runtime.InteropServices;
using SkillLoc.Models.Runtime;

namespace SkillLoc.EndToEnd.Tests;

/// <summary>What a program says where libtorch cannot be loaded, in processes of their own (examples/Demo).</summary>
public sealed class TorchRuntimeTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void AnOldSystemLibraryIsNamedWithTheRemedy()
    {
        string helper = (Environment.GetEnvironmentVariable("LD_LIBRARY_PATH") ?? "").Split(':')[0];
        Assert.SkipUnless(
            File.Exists(Path.Join(helper, "libstdc++.so.6")),
            "This system's libstdc++ has what TorchSharp needs; nothing is missing."
        );
        (int code, string error) = RunDemo(AppContext.BaseDirectory, start => start.Environment.Remove("LD_LIBRARY_PATH"));
        Assert.Equal(1, code);
        Assert.Contains("GLIBCXX_3.4.32", error, StringComparison.Ordinal);
        Assert.Matches(@"libstdc\+\+\.so\.6\.0\.\d+', which has GLIBCXX_3\.4\.\d+", error);
        Assert.Contains("LD_LIBRARY_PATH", error, StringComparison.Ordinal);
        // TorchSharp's own loader would have copied libtorch out of the NuGet cache.
        Assert.False(Directory.Exists(Path.Join(AppContext.BaseDirectory, "cpu")));
    }

    [Theory]
    [InlineData(false, "TorchSharp-cpu")]
    [InlineData(true, "is there and libtorch is not")]
    public void AMissingPackageIsNamed(bool hasTorchSharp, string expected)
    {
        foreach (
            string file in Directory
                .GetFiles(AppContext.BaseDirectory, "*.dll")
                .Append(Path.Join(AppContext.BaseDirectory, "Demo.runtimeconfig.json"))
        )
        {
            File.Copy(file, Path.Join(_folder, Path.GetFileName(file)));
        }

        string native =
            OperatingSystem.IsWindows() ? "LibTorchSharp.dll"
            : OperatingSystem.IsMacOS() ? "libLibTorchSharp.dylib"
            : "libLibTorchSharp.so";
        File.Delete(Path.Join(_folder, native));
        if (hasTorchSharp)
        {
            File.Copy(Path.Join(AppContext.BaseDirectory, native), Path.Join(_folder, native));
        }

        (int code, string error) = RunDemo(_folder, start => start.Environment["NUGET_PACKAGES"] = _folder);
        Assert.Equal(1, code);
        Assert.Contains("libtorch", error, StringComparison.Ordinal);
        Assert.Contains(expected, error, StringComparison.Ordinal);
        Assert.Contains("Reference TorchSharp-cpu", error, StringComparison.Ordinal);
    }

    [Fact]
    public void NativeCodeSeesThatThreadsWaitWithoutSpinning()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "On Windows .NET's environment is the process's.");
        string? policy = Marshal.PtrToStringUTF8(GetEnv("OMP_WAIT_POLICY"));
        Assert.NotNull(policy);
        Assert.Equal($"OMP_WAIT_POLICY: {policy}", TorchRuntime.Description.Split(';')[0]);
    }

    [DllImport("libc", EntryPoint = "getenv")]
    private static extern nint GetEnv([MarshalAs(UnmanagedType.LPUTF8Str)] string name);

    private (int Code, string Error) RunDemo(string program, Action<ProcessStartInfo> prepare)
    {
        string data = Path.Join(_folder, "rows.tsv");
        File.WriteAllText(data, "label\ttext\n" + string.Concat(Enumerable.Range(0, 40).Select(i => $"{i % 2}\tit was a film {i}\n")));
        var start = new ProcessStartInfo("dotnet") { RedirectStandardOutput = true, RedirectStandardError = true };
        string[] arguments =
        [
            Path.Join(program, "Demo.dll"),
            "--data",
            data,
            "--checkpoint",
            Oracles.PathOf("tiny-roberta"),
            "--task",
            "sst-2",
            "--output",
            Path.Join(_folder, "out"),
        ];
        foreach (string argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        prepare(start);
        using Process process = Process.Start(start)!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, error.Result);
    }
}
