using System.Globalization;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Embeddings;
using SkillLoc.Models.Prompts;
using TorchSharp;
using static TorchSharp.torch;
using TemporaryFolder = SkillLoc.Models.Tests.Checkpoints.TemporaryFolder;

namespace SkillLoc.Models.Tests.Onnx;

/// <summary>A sentence-transformers folder says how vectors are pooled, and what is computed from them.</summary>
public sealed class SentenceModuleTests : IDisposable
{
    private const string Types = "sentence_transformers.models.";

    private readonly TemporaryFolder _folder = new();

    public SentenceModuleTests()
    {
        foreach (string file in new[] { "config.json", "model.safetensors", "vocab.txt" })
        {
            File.Copy(Path.Combine(Oracles.PathOf("tiny-bert"), file), Path.Join(_folder.Path, file));
        }
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void DenseLayersAndNormalisationFollowPooling()
    {
        Modules("Transformer:", "Pooling:1_Pooling", "Dense:2_Dense", "Normalize:3_Normalize");
        Write("1_Pooling/config.json", """{"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": false, "include_prompt": true}""");
        Write(
            "2_Dense/config.json",
            """{"in_features": 48, "out_features": 5, "activation_function": "torch.nn.modules.activation.Tanh"}"""
        );
        Tensor weight = arange(5 * 48, ScalarType.Float32).reshape(5, 48).remainder(7).sub(3).mul(0.1),
            bias = tensor([0.1f, -0.2f, 0.3f, 0, 1]);
        using (FileStream stream = File.Create(Path.Join(_folder.Path, "2_Dense", "model.safetensors")))
        {
            SafetensorsWriter.Write(stream, [("linear.weight", weight), ("linear.bias", bias)]);
        }

        using var embedder = new TextEmbedder(_folder.Path);
        using var plain = new TextEmbedder(_folder.Path, pooling: TextPooling.Mean);
        Assert.Equal((5, 48, true, false), (embedder.Size, plain.Size, embedder.IsNormalised, plain.IsNormalised));
        EncodedText[] rows = [embedder.Encode("a film"), embedder.Encode("nobody needs that film")];
        Tensor pooled = tensor(plain.Embed(rows).SelectMany(row => row).ToArray(), 2, 48);
        Tensor expected = nn.functional.normalize(nn.functional.linear(pooled, weight, bias).tanh(), p: 2, dim: 1);
        Tensor found = tensor(embedder.Embed(rows).SelectMany(row => row).ToArray(), 2, 5);
        Assert.True((expected - found).abs().max().item<float>() < 1e-6);

        // Another layer than the modules are for has no use for them.
        using var first = new TextEmbedder(_folder.Path, layer: 1);
        Assert.Equal((48, TextPooling.Mean), (first.Size, first.Pooling));
    }

    [Theory]
    [InlineData("cls", TextPooling.FirstToken)]
    [InlineData("max", TextPooling.Max)]
    [InlineData("mean", TextPooling.Mean)]
    public void NewerFilesNameTheMode(string mode, TextPooling pooling)
    {
        Modules("Transformer:", "Pooling:1_Pooling");
        Write("1_Pooling/config.json", $$"""{"embedding_dimension": 48, "pooling_mode": "{{mode}}"}""");
        using var embedder = new TextEmbedder(_folder.Path);
        Assert.Equal((pooling, false), (embedder.Pooling, embedder.IsNormalised));
        using var normalised = new TextEmbedder(_folder.Path, isNormalised: true);
        float[] vector = normalised.Embed([normalised.Encode("a film")])[0];
        Assert.Equal(1, vector.Sum(value => value * value), 1e-5f);
    }

    [Theory]
    [InlineData("""{"pooling_mode_mean_sqrt_len_tokens": true}""", "pools by mean_sqrt_len_tokens")]
    [InlineData("""{"pooling_mode_cls_token": true, "pooling_mode_max_tokens": true}""", "pools by cls_token and max_tokens")]
    [InlineData("""{}""", "pools by nothing")]
    [InlineData("""[]""", "should be an object")]
    [InlineData("""{""", "not valid JSON")]
    public void OtherPoolingIsRefused(string config, string why)
    {
        Modules("Transformer:", "Pooling:1_Pooling");
        Write("1_Pooling/config.json", config);
        Refused(why);
    }

    [Theory]
    [InlineData("no module 'Pooling'", "Transformer:")]
    [InlineData("'WeightedLayerPooling'", "Transformer:", "Pooling:1_Pooling", "WeightedLayerPooling:2")]
    [InlineData("leads out of the folder", "Transformer:", "Pooling:../1_Pooling")]
    [InlineData("There is no", "Transformer:", "Pooling:elsewhere")]
    [InlineData("'Dense' is not where it is read", "Transformer:", "Dense:2_Dense", "Pooling:1_Pooling")]
    [InlineData("reads 47 numbers", "Transformer:", "Pooling:1_Pooling", "Dense:2_Dense")]
    public void OtherModulesAreRefused(string why, params string[] modules)
    {
        Modules(modules);
        Write("1_Pooling/config.json", """{"pooling_mode_mean_tokens": true}""");
        Write("2_Dense/config.json", """{"activation_function": "torch.nn.modules.linear.Identity"}""");
        using (FileStream stream = File.Create(Path.Join(_folder.Path, "2_Dense", "model.safetensors")))
        {
            SafetensorsWriter.Write(stream, [("linear.weight", zeros(5, 47))]);
        }

        Refused(why);
    }

    [Theory]
    [InlineData("""[]""", "it should be an object")]
    [InlineData("""{"prompts": """, "is not valid JSON")]
    [InlineData("""{"prompts": ["query: "]}""", "prompts is [\"query: \"], and should be an object of names and texts")]
    [InlineData("""{"prompts": {"query": 1}}""", "prompts.query is 1, and should be a text")]
    [InlineData("""{"prompts": {"query": null}}""", "prompts.query is null, and should be a text")]
    [InlineData("""{"prompts": {"query": "a"}, "default_prompt_name": 3}""", "default_prompt_name is 3, and should be a text")]
    [InlineData("""{"prompts": {"query": "a"}, "default_prompt_name": "b"}""", "default_prompt_name is 'b', and prompts has 'query'")]
    [InlineData("""{"default_prompt_name": "b"}""", "default_prompt_name is 'b', and prompts has none")]
    [InlineData("""{"prompts": {"query": "\ud800"}}""", "is not valid JSON")]
    public void DamagedPromptsAreRefused(string config, string why)
    {
        Modules("Transformer:", "Pooling:1_Pooling");
        Write("1_Pooling/config.json", """{"pooling_mode": "mean"}""");
        Write("config_sentence_transformers.json", config);
        string message = Assert.Throws<InvalidDataException>(() => new TextEmbedder(_folder.Path)).Message;
        Assert.Contains("config_sentence_transformers.json", message, StringComparison.Ordinal);
        Assert.Contains(why, message, StringComparison.Ordinal);

        // Another pooling than the folder's has no prompts.
        using var plain = new TextEmbedder(_folder.Path, pooling: TextPooling.Mean);
        Assert.Null(plain.Prompt);
    }

    [Fact]
    public void WhetherPromptsArePooledIsTrueOrFalse()
    {
        Modules("Transformer:", "Pooling:1_Pooling");
        Write("1_Pooling/config.json", """{"pooling_mode": "mean", "include_prompt": "no"}""");
        Refused("include_prompt is \"no\", and should be true or false");
    }

    private void Refused(string why)
    {
        Exception error = Assert.ThrowsAny<Exception>(() => new TextEmbedder(_folder.Path));
        Assert.True(error is NotSupportedException or InvalidDataException or FileNotFoundException, error.ToString());
        Assert.Contains(why, error.Message, StringComparison.Ordinal);
    }

    private void Modules(params string[] modules) =>
        Write(
            "modules.json",
            "["
                + string.Join(
                    ',',
                    modules.Select(
                        (module, place) =>
                            string.Create(
                                CultureInfo.InvariantCulture,
                                $$"""{"idx": {{place}}, "name": "{{place}}", "path": "{{module.Split(':')[1]}}", "type": "{{Types}}{{module.Split(':')[0]}}"}"""
                            )
                    )
                )
                + "]"
        );

    private void Write(string name, string text)
    {
        string path = Path.Join(_folder.Path, name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, text);
    }
}
