using System.Diagnostics;
using System.Globalization;

namespace SkillLoc.EndToEnd.Tests;

/// <summary>Every reader of files stands half a minute of mutants, the same each time; eng/fuzz.sh goes on for hours (docs/trust.md).</summary>
public sealed class FuzzTests : IDisposable
{
    private const int Seconds = 30;
    private const int LeastTargets = 45;
    private const int LargeMegabytes = 4;

    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-fuzz-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void LargeFilesTakeMemoryInProportion()
    {
        string[] arguments = [Path.Join(AppContext.BaseDirectory, "Fuzz.dll"), "large", $"{LargeMegabytes}"];
        using Process fuzz = Process.Start(new ProcessStartInfo("dotnet", arguments) { RedirectStandardOutput = true })!;
        string output = fuzz.StandardOutput.ReadToEnd();
        fuzz.WaitForExit();
        Assert.True(
            fuzz.ExitCode == 0,
            string.Join('\n', output.Split('\n').Where(line => line.Contains("TOO MUCH") || line.Contains("WRONG")))
        );
        Assert.Contains("safetensors\t", output, StringComparison.Ordinal);
    }

    [Fact]
    public void MutantsAreReadOrRefusedAndNothingElse()
    {
        string[] arguments =
        [
            Path.Join(AppContext.BaseDirectory, "Fuzz.dll"),
            "--seconds",
            Seconds.ToString(CultureInfo.InvariantCulture),
            "--findings",
            _folder,
        ];
        using Process fuzz = Process.Start(new ProcessStartInfo("dotnet", arguments) { RedirectStandardOutput = true })!;
        string output = fuzz.StandardOutput.ReadToEnd();
        fuzz.WaitForExit();
        Assert.True(fuzz.ExitCode == 0, output);
        string[] lines = output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        string[][] targets =
        [
            .. lines.SkipWhile(line => !line.StartsWith("target\t", StringComparison.Ordinal)).Skip(1).Select(line => line.Split('\t')),
        ];
        Assert.True(targets.Length >= LeastTargets, output);

        // Some mutants are read and some are not, or the mutants are no good.
        Assert.All(targets, target => Assert.True(target[1] != "0" && target[2] != "0", $"{target[0]}\n{output}"));
    }
}
