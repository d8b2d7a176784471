using SkillLoc.Models.Embeddings;

namespace SkillLoc.Onnx.Tests;

/// <summary>What <c>config_sentence_transformers.json</c> may say of prompts.</summary>
public sealed class SentencePromptsTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("skillloc-prompts-");

    private string ConfigFile => Path.Join(_folder.FullName, SentencePrompts.ConfigFile);

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [InlineData("[]", "it should be an object")]
    [InlineData("""{"prompts": 1}""", "prompts is 1, and should be an object of names and texts")]
    [InlineData("""{"prompts": {"a": null}}""", "prompts.a is null, and should be a text")]
    [InlineData("""{"prompts": {"a": 1}}""", "prompts.a is 1, and should be a text")]
    [InlineData("""{"prompts": {"a": []}}""", "prompts.a is [], and should be a text")]
    [InlineData("""{"default_prompt_name": 1}""", "default_prompt_name is 1, and should be a text")]
    [InlineData("""{"default_prompt_name": "b"}""", "default_prompt_name is 'b', and prompts has none")]
    [InlineData("""{"prompts": {"a": "x", "c": ""}, "default_prompt_name": "b"}""", "default_prompt_name is 'b', and prompts has 'a', 'c'")]
    public void OthersAreRefused(string config, string message)
    {
        File.WriteAllText(ConfigFile, config);
        InvalidDataException error = Assert.Throws<InvalidDataException>(() => SentencePrompts.Read(_folder.FullName));
        Assert.Equal($"{ConfigFile}: {message}.", error.Message);
    }

    [Fact]
    public void ThePromptIsTheNamedOneOrTheDefault()
    {
        Assert.Same(SentencePrompts.None, SentencePrompts.Read(_folder.FullName));
        File.WriteAllText(ConfigFile, """{"prompts": {"a": "x", "b": "y"}, "default_prompt_name": "b"}""");
        var prompts = SentencePrompts.Read(_folder.FullName);
        Assert.Equal(["b", "a", null], new[] { null, "a", "" }.Select(prompts.Find));
        Assert.Equal(
            "There is no prompt 'c'; the folder has 'a', 'b'. (Parameter 'name')",
            Assert.Throws<ArgumentException>(() => prompts.Find("c")).Message
        );
        Assert.Equal("""{"prompts":{"a":"x","b":"y"},"default_prompt_name":"a"}""", prompts.ToJson("a").ToJsonString());
        File.WriteAllText(ConfigFile, "{}");
        Assert.Null(SentencePrompts.Read(_folder.FullName).Find(null));
    }
}
