using System.Diagnostics;
using System.Globalization;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Grafts;
using SkillLoc.Tests;
using TorchSharp;

namespace SkillLoc.EndToEnd.Tests;

/// <summary>The command skillloc, as a process.</summary>
public sealed class MergeCommandTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("tool-tests");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void RecipesAreFollowedAndMistakesNamed()
    {
        File.WriteAllText(
            PathOf("recipe.yml"),
            $"merge_method: linear\nmodels:\n  - model: {Oracles.PathOf("tiny-roberta")}\n  - model: {Oracles.PathOf("tiny-roberta-finetuned")}\n"
        );
        Assert.Equal(
            0,
            Run(out string output, out _, "merge", PathOf("recipe.yml"), "--out", PathOf("merged"), "--max-shard-size", "100KB")
        );
        Assert.Contains("by linear of", output, StringComparison.Ordinal);
        Assert.True(File.Exists(PathOf("merged/model.safetensors.index.json")));
        Assert.Equal(0, Run(out output, out _, "inspect", PathOf("merged")));
        Assert.Contains("roberta", output, StringComparison.Ordinal);

        File.AppendAllText(PathOf("recipe.yml"), "dtipe: float16\n");
        Assert.Equal(1, Run(out output, out _, "merge", PathOf("recipe.yml"), "--out", PathOf("other")));
        Assert.Contains("recipe.yml, line 5: the key 'dtipe'", output, StringComparison.Ordinal);
        Assert.False(Directory.Exists(PathOf("other")));
        Assert.Equal(1, Run(out output, out _, "merge", PathOf("recipe.yml"), "--out", PathOf("other"), "--max-shard-size", "much"));
    }

    [Fact]
    public void GraftsAreStitched()
    {
        foreach (int i in new[] { 1, 2 })
        {
            new Graft { BaseFingerprint = "abc", Parts = [new("roberta.encoder.layer.0.output.dense.bias", [i], [i])] }.Save(
                PathOf($"{i}.safetensors")
            );
        }

        Assert.Equal(0, Run(out _, out _, "graft", PathOf("1.safetensors"), PathOf("2.safetensors"), "--out", PathOf("both.safetensors")));
        Assert.Equal(2, Graft.Load(PathOf("both.safetensors")).Count);
    }

    /// <summary>The largest tensor times models + 2, plus 200 MB.</summary>
    [Fact]
    public void MergesKeepToTheirMemory()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "The peak of a process is read from /proc.");
        const int Rows = 2048,
            Columns = 3072,
            Tensors = 8;
        using (DisposeScope scope = torch.NewDisposeScope())
        using (var checkpoint = CheckpointFolder.Open(Oracles.PathOf("tiny-roberta")))
        {
            foreach (string model in new[] { "base", "one", "other" })
            {
                CheckpointFolder.Save(
                    PathOf(model),
                    checkpoint.Config,
                    Enumerable.Range(0, Tensors).Select(i => ($"tensor.{i}", torch.rand(Rows, Columns))),
                    []
                );
            }
        }

        GC.Collect();
        File.WriteAllText(
            PathOf("recipe.yml"),
            "merge_method: ties\nbase_model: base\nmodels:\n  - model: one\n  - model: other\nparameters:\n  density: 0.3\n"
        );
        Assert.True(Run(out string output, out double peak, "merge", PathOf("recipe.yml"), "--out", PathOf("merged")) == 0, output);
        double tensor = Rows * Columns * sizeof(float) / 1e6;
        TestContext.Current.TestOutputHelper?.WriteLine(
            $"peak {peak:F0} MB; a tensor has {tensor:F0} MB and a model {Tensors * tensor:F0} MB"
        );
        Assert.InRange(peak, tensor, (tensor * (2 + 2)) + 200);
    }

    /// <summary>Runs the command.</summary>
    /// <param name="output">What it wrote.</param>
    /// <param name="peak">The most memory that it had, in MB.</param>
    /// <param name="arguments">The command line.</param>
    private static int Run(out string output, out double peak, params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet", [Path.Join(AppContext.BaseDirectory, "skillloc.dll"), .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["OMP_NUM_THREADS"] = "1";
        using Process process = Process.Start(start)!;
        Task<string> written = process.StandardOutput.ReadToEndAsync(),
            errors = process.StandardError.ReadToEndAsync();
        peak = 0;
        while (!process.WaitForExit(20))
        {
            peak = Math.Max(peak, Peak(process.Id));
        }

        output = written.Result + errors.Result;
        return process.ExitCode;
    }

    private static double Peak(int process)
    {
        try
        {
            string? line = File.ReadLines($"/proc/{process}/status")
                .FirstOrDefault(line => line.StartsWith("VmHWM:", StringComparison.Ordinal));
            return line is null ? 0 : double.Parse(line[6..^2], CultureInfo.InvariantCulture) * 1024 / 1e6;
        }
        catch (IOException)
        {
            return 0; // It has ended.
        }
    }

    private string PathOf(string name) => Path.Combine(_folder.FullName, name);
}
