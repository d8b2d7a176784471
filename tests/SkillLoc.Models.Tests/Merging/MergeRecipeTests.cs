using System.Text.Json;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Merging;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Merging;

/// <summary>Recipes in mergekit's vocabulary.</summary>
public sealed class MergeRecipeTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    private string Target => Path.Join(_folder, "merged");

    private static string Base => Oracles.PathOf("tiny-roberta");

    private static string Tuned => Oracles.PathOf("tiny-roberta-finetuned");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void GradientsAndFiltersHoldForTheirTensors()
    {
        Run(
            $$"""
            merge_method: slerp
            base_model: {{Base}}
            models:
              - model: {{Base}}
              - model: {{Tuned}}
            parameters:
              t:
                - filter: output.dense
                  value: [0, 0.5, 1]
                - filter: LayerNorm
                  value: 1
                - value: 0
            dtype: float32
            """
        );
        using var merged = CheckpointFolder.Open(Target);
        Same("roberta.encoder.layer.0.output.dense.weight", Base);
        Same("roberta.encoder.layer.2.output.dense.weight", Tuned);
        Same("roberta.encoder.layer.1.output.LayerNorm.weight", Tuned);
        Same("roberta.encoder.layer.1.intermediate.dense.weight", Base);
        Assert.False(Equal(merged, "roberta.encoder.layer.1.output.dense.weight", Base));
        Assert.False(Equal(merged, "roberta.encoder.layer.1.output.dense.weight", Tuned));

        void Same(string name, string folder) => Assert.True(Equal(merged, name, folder), name);
    }

    [Fact]
    public void SlicesMakeModelsOfOtherDepths()
    {
        Run(
            $$"""
            merge_method: passthrough
            slices:
              - sources:
                  - model: {{Base}}
                    layer_range: [0, 2]
              - sources:
                  - model: {{Tuned}}
                    layer_range: [1, 3]
                    parameters:
                      scale:
                        - filter: output.dense.weight
                          value: 0
                        - value: 1
            """
        );
        using var merged = CheckpointFolder.Open(Target);
        Assert.Equal(4, merged.Config.Layers);
        using var tuned = CheckpointFolder.Open(Tuned);
        using Tensor last = merged.Weights.Read("roberta.encoder.layer.3.intermediate.dense.weight"),
            source = tuned.Weights.Read("roberta.encoder.layer.2.intermediate.dense.weight"),
            scaled = merged.Weights.Read("roberta.encoder.layer.2.attention.output.dense.weight");
        Assert.True(last.Equals(source));
        Assert.Equal(0, scaled.abs().max().item<float>());
        using var model = SkillLoc.Models.Backbones.LanguageModel.Load(Target);
        Assert.Equal(4, model.Config.Layers);
    }

    [Fact]
    public void LayersOfOneModelMergeWithEachOther()
    {
        Run(
            $$"""
            merge_method: linear
            slices:
              - sources:
                  - model: {{Base}}
                    layer_range: [0, 1]
                    parameters: { weight: 3 }
                  - model: {{Base}}
                    layer_range: [2, 3]
                    parameters: { weight: 1 }
            """
        );
        using var merged = CheckpointFolder.Open(Target);
        Assert.Equal(1, merged.Config.Layers);
        using DisposeScope scope = NewDisposeScope();
        using var basis = CheckpointFolder.Open(Base);
        Tensor expected =
            (basis.Weights.Read("roberta.encoder.layer.0.output.dense.weight") * 0.75)
            + (basis.Weights.Read("roberta.encoder.layer.2.output.dense.weight") * 0.25);
        Tensor actual = merged.Weights.Read("roberta.encoder.layer.0.output.dense.weight");
        Assert.True((actual - expected).abs().max().item<float>() < 1e-6);
    }

    [Fact]
    public void SourcesOfASlicePrecedeSliceModelAndRecipe()
    {
        Run(
            $$"""
            merge_method: linear
            slices:
              - sources:
                  - model: {{Base}}
                    layer_range: [0, 1]
                    parameters: { weight: 1 }
                  - model: {{Tuned}}
                    layer_range: [0, 1]
                    parameters: { weight: 0 }
              - sources:
                  - model: {{Base}}
                    layer_range: [1, 3]
                  - model: {{Tuned}}
                    layer_range: [1, 3]
                    parameters: { weight: 1 }
                parameters: { weight: 0 }
            parameters: { weight: 5 }
            """
        );
        using var merged = CheckpointFolder.Open(Target);
        Assert.True(Equal(merged, "roberta.encoder.layer.0.output.dense.weight", Base));
        Assert.True(Equal(merged, "roberta.encoder.layer.2.output.dense.weight", Tuned));
    }

    [Fact]
    public void DocumentsBuildOnEachOther()
    {
        Run(
            $$"""
            merge_method: linear
            models:
              - model: half
              - model: {{Base}}
            ---
            name: half
            merge_method: wise_ft
            base_model: {{Base}}
            models:
              - model: {{Tuned}}
            parameters: { alpha: 0.5 }
            """
        );
        using var merged = CheckpointFolder.Open(Target);
        using DisposeScope scope = NewDisposeScope();
        using var basis = CheckpointFolder.Open(Base);
        using var tuned = CheckpointFolder.Open(Tuned);
        const string Name = "roberta.encoder.layer.2.output.dense.weight";
        Tensor expected = (basis.Weights.Read(Name) * 0.75) + (tuned.Weights.Read(Name) * 0.25);
        Assert.True((merged.Weights.Read(Name) - expected).abs().max().item<float>() < 1e-6);
        Assert.Contains("half", File.ReadAllText(Path.Join(Target, "README.md")), StringComparison.Ordinal);
    }

    [Fact]
    public void TheWrittenRecipeGivesTheSameModel()
    {
        ModelMerge.Run(
            new()
            {
                Method = "ties",
                BaseModel = Base,
                Models =
                [
                    new MergeInput(Tuned)
                    {
                        Parameters = new Dictionary<string, MergeSetting>
                        {
                            ["density"] = new double[] { 0.2, 0.6 },
                            ["weight"] = MergeSetting.ByName(new("dense", 0.5), new(null, 1)),
                        },
                    },
                ],
                Parameters = new Dictionary<string, MergeSetting> { ["normalize"] = false },
            },
            Target
        );
        string again = Path.Join(_folder, "again");
        MergeRecipeFile.Load(Path.Join(Target, ModelMerge.RecipeFile)).Run(again);
        Assert.Equal(File.ReadAllBytes(Path.Join(Target, "model.safetensors")), File.ReadAllBytes(Path.Join(again, "model.safetensors")));
    }

    [Theory]
    [InlineData("merge_method: ties\nmodles: []", 2, "modles")]
    [InlineData("merge_method: tis\nmodels:\n  - model: BASE", 1, "tis")]
    [InlineData("merge_method: linear\nmodels:\n  - model: BASE\n    parameters:\n      wieght: 1", 5, "wieght")]
    [InlineData("merge_method: linear\nmodels:\n  - model: BASE\n    parameters:\n      weight: heavy", 5, "weight")]
    [InlineData("merge_method: ties\nbase_model: BASE\nmodels:\n  - model: TUNED\n    parameters:\n      density: 1.5", 6, "density")]
    [InlineData("merge_method: ties\nmodels:\n  - model: BASE", 1, "base_model")]
    [InlineData("merge_method: linear\nmodels:\n  - model: BASE\nmodules:\n  a: b", 5, "the module 'a'")]
    [InlineData("merge_method: linear\nmodels:\n  - model: TUNED\ntokenizer_source: union", 4, "has no tokenizer")]
    [InlineData("merge_method: linear\nmodels:\n  - model: BASE\ndtype: int8", 4, "int8")]
    [InlineData("merge_method: linear\nmodels: ]", 2, "YAML")]
    [InlineData("merge_method: passthrough\nslices:\n  - sources:\n      - model: BASE\n        layer_range: [0, 9]", 4, "layer_range")]
    [InlineData("merge_method: slerp\nbase_model: BASE\nmodels:\n  - model: TUNED", 1, "'t'")]
    [InlineData(
        "merge_method: della\nbase_model: BASE\nmodels:\n  - model: TUNED\n    parameters:\n      density: 0.1\n      epsilon: 0.2",
        7,
        "'epsilon' is 0.2 beside a density of 0.1"
    )]
    [InlineData("merge_method: linear\nmodels:\n  - model: TUNED\n  - model: BASE+GRAFT", 4, "fingerprint")]
    [InlineData("merge_method: linear\nmodels:\n  - model: GRAFT", 3, "needs its base")]
    [InlineData("merge_method: linear\nmodels:\n  - model: BERT+LORA", 3, "adapter of another base")]
    [InlineData("merge_method: linear\nmodels:\n  - model: BASE\n  - model: BERT", 1, "architecture is roberta and bert")]
    [InlineData("merge_method: linear\nmodels:\n  - model: BASE\n  - model: WORDS", 1, "token 300 is")]
    [InlineData(
        "name: a\nmerge_method: linear\nmodels:\n  - model: b\n---\nname: b\nmerge_method: linear\nmodels:\n  - model: a\n---\nmerge_method: linear\nmodels:\n  - model: a",
        1,
        "cycle"
    )]
    public void MistakesAreNamedWithFileLineAndKey(string recipe, int line, string named)
    {
        string graft = Path.Join(_folder, "a.graft.safetensors");
        new Graft { BaseFingerprint = new string('0', 64), Parts = [new("roberta.encoder.layer.0.output.dense.bias", [1], [1])] }.Save(
            graft
        );
        foreach (
            (string name, string place) in new[]
            {
                ("BASE", Base),
                ("TUNED", Tuned),
                ("GRAFT", graft),
                ("BERT", Oracles.PathOf("tiny-bert")),
                ("LORA", Oracles.PathOf("peft", "lora-gpt2")),
                ("WORDS", OtherWords()),
            }
        )
        {
            recipe = recipe.Replace(name, place, StringComparison.Ordinal);
        }

        string message = Assert.Throws<InvalidDataException>(() => Run(recipe)).Message;
        Assert.Contains($"recipe.yml, line {line}:", message, StringComparison.Ordinal);
        Assert.Contains(named, message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Target));
    }

    [Fact]
    public void AMissingModelIsNamedWithItsLine()
    {
        string message = Assert
            .Throws<FileNotFoundException>(() => Run($"merge_method: linear\nmodels:\n  - model: {Base}\n  - model: /none/such"))
            .Message;
        Assert.Contains("recipe.yml, line 4: ", message, StringComparison.Ordinal);
        Assert.Contains("'/none/such'", message, StringComparison.Ordinal);
    }

    /// <summary>The base with two tokens in each other's place.</summary>
    private string OtherWords()
    {
        string folder = Directory.CreateDirectory(Path.Join(_folder, "words")).FullName;
        foreach (string file in Directory.GetFiles(Base))
        {
            File.Copy(file, Path.Join(folder, Path.GetFileName(file)), overwrite: true);
        }

        string path = Path.Join(folder, "vocab.json");
        Dictionary<string, int> vocabulary = JsonSerializer.Deserialize<Dictionary<string, int>>(File.ReadAllText(path))!;
        File.WriteAllText(
            path,
            JsonSerializer.Serialize(
                vocabulary.ToDictionary(
                    pair => pair.Key,
                    pair =>
                        pair.Value == 300 ? 301
                        : pair.Value == 301 ? 300
                        : pair.Value
                )
            )
        );
        return folder;
    }

    private void Run(string recipe)
    {
        string path = Path.Join(_folder, "recipe.yml");
        File.WriteAllText(path, recipe);
        MergeRecipeFile.Load(path).Run(Target);
    }

    private static bool Equal(CheckpointFolder merged, string name, string folder)
    {
        using var other = CheckpointFolder.Open(folder);
        using Tensor one = merged.Weights.Read(name),
            two = other.Weights.Read(name);
        return one.Equals(two);
    }
}
