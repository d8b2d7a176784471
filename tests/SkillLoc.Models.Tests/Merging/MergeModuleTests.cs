using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Merging;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Merging;

/// <summary>Recipes for the parts of a model.</summary>
public sealed class MergeModuleTests : IDisposable
{
    private const string Positions = ".block.0.layer.0.SelfAttention.relative_attention_bias.weight";

    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    private string Target => Path.Join(_folder, "merged");

    private static string T5 => Oracles.PathOf("tiny-t5");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void StacksHaveLayersOfTheirOwn()
    {
        Run(
            $$"""
            merge_method: passthrough
            modules:
              encoder:
                slices:
                  - sources: [{ model: {{T5}}, layer_range: [0, 2] }]
                  - sources: [{ model: {{T5}}, layer_range: [1, 2] }]
              decoder:
                slices:
                  - sources: [{ model: {{T5}}, layer_range: [1, 2] }]
            """
        );
        using var merged = CheckpointFolder.Open(Target);
        Assert.Equal((3, 1), (merged.Config.Layers, merged.Config.DecoderLayers));
        Same("encoder.block.2.layer.1.DenseReluDense.wo.weight", "encoder.block.1.layer.1.DenseReluDense.wo.weight");
        Same("decoder.block.0.layer.1.EncDecAttention.q.weight", "decoder.block.1.layer.1.EncDecAttention.q.weight");
        Same("shared.weight", "shared.weight");
        Same("decoder.final_layer_norm.weight", "decoder.final_layer_norm.weight");

        // The relative positions stay in the first block, which is another model's second here, and are nowhere else.
        Same("encoder" + Positions, "encoder" + Positions);
        Same("decoder" + Positions, "decoder" + Positions);
        Assert.Equal(2, merged.Weights.Tensors.Count(info => info.Name.Contains("relative_attention_bias", StringComparison.Ordinal)));
        using var model = LanguageModel.Load(Target);
        Assert.Equal((3, 1), (model.Config.Layers, model.Config.DecoderLayers));

        void Same(string name, string from)
        {
            using var source = CheckpointFolder.Open(T5);
            using Tensor one = merged.Weights.Read(name),
                other = source.Weights.Read(from);
            Assert.True(one.Equals(other), name);
        }
    }

    [Fact]
    public void AModulesParametersStandBetweenSliceAndRecipe()
    {
        // The encoder is 3/4 of one and 1/4 of a model of zeros, the decoder 1/2, and what is shared the sum, by the recipe.
        string zeros = Zeros();
        Run(
            $$"""
            merge_method: linear
            parameters: { normalize: false, weight: 1 }
            modules:
              encoder:
                parameters: { weight: 0.75 }
                models: [{ model: {{T5}} }, { model: {{zeros}} }]
              decoder:
                parameters: { weight: 9 }
                slices:
                  - parameters: { weight: 0.5 }
                    sources:
                      - { model: {{T5}}, layer_range: [0, 2] }
                      - { model: {{zeros}}, layer_range: [0, 2] }
              shared:
                models: [{ model: {{T5}} }, { model: {{zeros}} }]
            """
        );
        Assert.Equal(0.75, Share("encoder.block.1.layer.0.SelfAttention.v.weight"), 1e-6);
        Assert.Equal(0.75, Share("encoder" + Positions), 1e-6);
        Assert.Equal(0.5, Share("decoder.block.1.layer.2.DenseReluDense.wi.weight"), 1e-6);
        Assert.Equal(1, Share("shared.weight"), 1e-6);

        double Share(string name)
        {
            using var merged = CheckpointFolder.Open(Target);
            using var source = CheckpointFolder.Open(T5);
            using Tensor one = merged.Weights.Read(name),
                other = source.Weights.Read(name);
            return one.data<float>()[0] / (double)other.data<float>()[0];
        }
    }

    [Theory]
    [InlineData("slices: [{sources: [{model: T5, layer_range: [0, 2]}]}]", "give 'modules' with 'slices' of 'encoder', 'decoder'")]
    [InlineData("modules: {encoder: {models: [{model: T5}]}}", "line 1: 'modules' lacks 'decoder'")]
    [InlineData("modules: {default: {models: [{model: T5}]}}", "the module 'default' is unknown; this model has encoder, decoder, shared")]
    [InlineData("modules: {head: {models: [{model: BERT}]}}", "the module 'head' is unknown; this model has default")]
    [InlineData("modules: {default: {parameters: {scale: 1}}}\nmodels: [{model: T5}]", "exactly one of 'models', 'slices' and 'modules'")]
    [InlineData(
        "modules: {encoder: {models: [{model: T5}]}, decoder: {slices: [{sources: [{model: T5, layer_range: [1, 4]}]}]}}",
        "'layer_range' is [1, 4], and 'T5' has the layers 0 to 1 in its decoder"
    )]
    [InlineData("modules: {encoder: {x: 1}}", "line 2: the key 'x' is unknown here; there are models, slices, parameters")]
    [InlineData(
        "modules: {encoder: {models: [{model: T5}]}, decoder: {parameters: {scale: 1}}}",
        "line 2: the module 'decoder' must have exactly one of 'models' and 'slices'"
    )]
    public void MistakesAreNamed(string recipe, string message)
    {
        string bert = Oracles.PathOf("tiny-bert");
        string text = recipe.Replace("T5", T5, StringComparison.Ordinal).Replace("BERT", bert, StringComparison.Ordinal);
        Assert.Contains(
            message.Replace("T5", T5, StringComparison.Ordinal),
            Assert.Throws<InvalidDataException>(() => Run("merge_method: passthrough\n" + text)).Message,
            StringComparison.Ordinal
        );
        Assert.False(Directory.Exists(Target));
    }

    [Fact]
    public void TheWrittenModulesAreReadAgain()
    {
        MergeRecipe recipe = new()
        {
            Method = "passthrough",
            Modules =
            [
                new("encoder")
                {
                    Models = [T5],
                    Parameters = new Dictionary<string, MergeSetting> { ["scale"] = 2 },
                },
                new("decoder") { Slices = [new([new(T5) { FirstLayer = 1, EndLayer = 2 }])] },
            ],
        };
        ModelMerge.Run(recipe, Target);
        string again = Path.Join(_folder, "again");
        MergeRecipeFile.Load(Path.Join(Target, ModelMerge.RecipeFile)).Run(again);
        Assert.Equal(File.ReadAllBytes(Path.Join(Target, "model.safetensors")), File.ReadAllBytes(Path.Join(again, "model.safetensors")));
        Assert.Contains("| `scale` | 2 |", File.ReadAllText(Path.Join(Target, "README.md")), StringComparison.Ordinal);
    }

    private string Zeros()
    {
        string folder = Path.Join(_folder, "zeros");
        using var source = CheckpointFolder.Open(T5);
        using DisposeScope scope = NewDisposeScope();
        CheckpointFolder.Save(
            folder,
            source.Config,
            source.Weights.Tensors.Select(info => (info.Name, zeros(info.Shape))),
            source.TokenizerFiles
        );
        return folder;
    }

    private void Run(string recipe)
    {
        string path = Path.Join(_folder, "recipe.yml");
        File.WriteAllText(path, recipe);
        MergeRecipeFile.Load(path).Run(Target);
    }
}
