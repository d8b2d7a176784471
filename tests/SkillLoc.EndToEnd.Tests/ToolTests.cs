using System.Diagnostics;
using Microsoft.ML;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Prompts;
using SkillLoc.Trainers;
using SkillLoc.Transforms;

namespace SkillLoc.EndToEnd.Tests;

/// <summary>The command skillloc as a process: what it writes where, and its exit codes.</summary>
public sealed class ToolTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("tool-tests");

    private static string Base => Oracles.PathOf("tiny-roberta");

    private static string Tuned => Oracles.PathOf("tiny-roberta-finetuned");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void CommandsAreExplainedAndOthersRefused()
    {
        Told help = Run(0, "--help");
        Assert.All(
            ["merge", "graft", "inspect", "convert", "study"],
            command => Assert.Contains(command, help.Output, StringComparison.Ordinal)
        );
        Assert.Contains("colour", Run(2, "colour").Error, StringComparison.Ordinal);
        Assert.Contains("--out", Run(2, "merge", "recipe.yaml").Error, StringComparison.Ordinal);
        Assert.Contains("--to", Run(2, "convert", "x", "--base", Base, "--out", "y").Error, StringComparison.Ordinal);
    }

    [Fact]
    public void MergeWritesTheModelOfItsRecipe()
    {
        string recipe = PathOf("recipe.yaml"),
            merged = PathOf("merged");
        File.WriteAllText(
            recipe,
            $$"""
            merge_method: linear
            models:
              - model: {{Base}}
                parameters: { weight: 1 }
              - model: {{Tuned}}
                parameters: { weight: 3 }
            dtype: float32
            """
        );
        Assert.Contains("tensors", Run(0, "merge", recipe, "--out", merged).Output, StringComparison.Ordinal);
        Assert.Contains("a checkpoint of roberta", Run(0, "inspect", merged).Output, StringComparison.Ordinal);
        float Value(string folder) => CheckpointFolder.Open(folder).Weights is var weights ? First(weights) : 0;
        Assert.Equal((Value(Base) + (3 * Value(Tuned))) / 4, Value(merged), 1e-6f);

        File.WriteAllText(recipe, "merge_method: alchemy\nmodels: []\n");
        Assert.StartsWith("skillloc: ", Run(1, "merge", recipe, "--out", PathOf("none")).Error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(PathOf("none")));
        Run(1, "merge", PathOf("missing.yaml"), "--out", PathOf("none"));
    }

    [Fact]
    public void GraftsAreStitchedConvertedAndInspected()
    {
        string one = PathOf("one.safetensors"),
            two = PathOf("two.safetensors"),
            both = PathOf("both.safetensors");
        using (TextScoringTransformer tuned = FineTune())
        {
            Find(tuned, 0.01).Save(one);
            Find(tuned, 0.02).Save(two);
        }

        Assert.Contains("of 2 grafts", Run(0, "graft", one, two, "--out", both).Output, StringComparison.Ordinal);
        Assert.True(Graft.Load(both).Count >= Graft.Load(two).Count);
        Assert.Contains("tensors", Run(0, "inspect", both).Output, StringComparison.Ordinal);

        Run(0, "convert", both, "--base", Base, "--to", "adapter", "--out", PathOf("adapter"));
        Assert.Contains("adapter for", Run(0, "inspect", PathOf("adapter")).Output, StringComparison.Ordinal);
        Run(0, "convert", PathOf("adapter"), "--base", Base, "--to", "graft", "--out", PathOf("back.safetensors"));
        Assert.True(Graft.Load(PathOf("back.safetensors")).Count > 0);
        Run(0, "convert", both, "--base", Base, "--to", "checkpoint", "--out", PathOf("grafted"));
        Assert.Contains("a checkpoint of roberta", Run(0, "inspect", PathOf("grafted")).Output, StringComparison.Ordinal);

        Assert.Contains(
            "is a graft already",
            Run(1, "convert", both, "--base", Base, "--to", "graft", "--out", PathOf("x")).Error,
            StringComparison.Ordinal
        );
        Assert.StartsWith("skillloc: ", Run(1, "inspect", PathOf("missing")).Error, StringComparison.Ordinal);
        Assert.StartsWith(
            "skillloc: ",
            Run(1, "graft", Path.Join(Base, "config.json"), "--out", PathOf("x")).Error,
            StringComparison.Ordinal
        );
        Assert.False(Path.Exists(PathOf("x")));
    }

    [Fact]
    public void ThePlansOfTheRepositoryAreStudies()
    {
        foreach (
            string plan in Directory.GetFiles(Oracles.PathOf("..", "..", "examples"), "*.json", SearchOption.AllDirectories).Where(IsPlan)
        )
        {
            string study = Path.GetFileName(Path.GetDirectoryName(plan)) switch
            {
                "GraftingStudy" => "grafting",
                "SkillNeuronStudy" => "skill-neurons",
                "MergingStudy" => "merging",
                _ => "connectivity",
            };
            Told told = Run(2, "study", "plan", plan, "--study", study, "--checkpoint", PathOf("none"), "--data", PathOf("none"));
            Assert.Contains(PathOf("none"), told.Error, StringComparison.Ordinal);
        }

        Assert.Contains(
            "'grafting', 'skill-neurons', 'connectivity', 'merging'",
            Run(2, "study", "run", Plan("""{ "study": "x" }"""), "--out", PathOf("out")).Error,
            StringComparison.Ordinal
        );
        Assert.Contains("--study", Run(2, "study", "run", Plan("{}"), "--out", PathOf("out")).Error, StringComparison.Ordinal);

        static bool IsPlan(string path) =>
            Path.GetFileName(Path.GetDirectoryName(path)) is "GraftingStudy" or "SkillNeuronStudy" or "ConnectivityStudy" or "MergingStudy";

        string Plan(string json)
        {
            File.WriteAllText(PathOf("plan.json"), json);
            return PathOf("plan.json");
        }
    }

    private static float First(ITensorStore weights)
    {
        using TorchSharp.torch.Tensor values = weights.Read(weights.Tensors[0].Name);
        return values.to_type(TorchSharp.torch.ScalarType.Float32).flatten()[0].item<float>();
    }

    private static TextScoringTransformer FineTune() => Ml.SkillLoc().PromptFineTune(Options()).Fit(Rows());

    private static Graft Find(TextScoringTransformer tuned, double sparsity)
    {
        using GraftTransformer grafted = Ml.SkillLoc()
            .GraftMask(
                new GraftMaskEstimator.Options
                {
                    FineTuned = tuned,
                    BaseCheckpoint = Base,
                    Epochs = 0,
                    Sparsity = sparsity,
                }
            )
            .Fit(Rows());
        return grafted.Graft;
    }

    private static MLContext Ml { get; } = new(seed: 1);

    private static PromptFineTuneTrainer.Options Options() =>
        new()
        {
            Checkpoint = Base,
            Task = new PromptTask(
                "toy",
                PromptTemplate.Parse("*cls**sent_0*_It_was*mask*.*sep+*"),
                new Verbalizer([new("bad", "bad"), new("good", "good")])
            ),
            LearningRate = 1e-2,
            MaxSteps = 2,
        };

    private static IDataView Rows()
    {
        IDataView rows = Ml.SkillLoc().Data.LoadRows([new("the film", null, "good", 0), new("the man", null, "bad", 1)]);
        return Ml.Transforms.Conversion.MapValueToKey("Label").Fit(rows).Transform(rows);
    }

    private static Told Run(int code, params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet", [Path.Join(AppContext.BaseDirectory, "skillloc.dll"), .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["OMP_NUM_THREADS"] = "1";
        using Process process = Process.Start(start)!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == code, $"{string.Join(' ', arguments)} ended with {process.ExitCode}:\n{output}{error.Result}");
        return new(output, error.Result);
    }

    private string PathOf(string name) => Path.Combine(_folder.FullName, name);

    private sealed record Told(string Output, string Error);
}
