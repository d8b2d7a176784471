using System.Diagnostics;

namespace SkillLoc.EndToEnd.Tests;

/// <summary>Runs <c>eng/consumer.sh</c> once for the tests that look at what it leaves.</summary>
public sealed class StrangersPrograms
{
    public StrangersPrograms()
    {
        var start = new ProcessStartInfo("bash")
        {
            ArgumentList = { Oracles.PathOf("..", "..", "eng", "consumer.sh") },
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using Process process = Process.Start(start)!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, $"eng/consumer.sh ended with {process.ExitCode}:\n{output}{error.Result}");
    }

    /// <summary>The folder that the packages were written to.</summary>
    public static string Packages => Oracles.PathOf("..", "..", "artifacts", "packages");

    /// <summary>The scores that a file of the run holds, a row each.</summary>
    public static float[][] Scores(string file) =>
        [
            .. File.ReadLines(Oracles.PathOf("..", "..", "artifacts", "consumer", "run", file))
                .Select(line => line.Split('\t').Select(float.Parse).ToArray()),
        ];
}
