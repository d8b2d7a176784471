using System.Text;
using System.Text.Json.Nodes;
using SkillLoc.Models.Peft;
using SkillLoc.Models.Tests.Checkpoints;

namespace SkillLoc.Models.Tests.Peft;

/// <summary>What <c>adapter_config.json</c> may say, and how it is refused.</summary>
public sealed class PeftConfigTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void AFileIsReadAndWrittenWithWhatIsNotKnown()
    {
        string path = _folder.PathOf("adapter_config.json");
        File.WriteAllText(path, """{"peft_type": "LORA", "base_model_name_or_path": "b<é>", "task_type": null, "new": [1]}""");
        var config = PeftConfig.Load(path);
        Assert.Equal((path, "LORA", "b<é>", null), (config.Source, config.Type, config.Base, config.TaskType));
        Assert.Equal(
            "{\n  \"peft_type\": \"LORA\",\n  \"base_model_name_or_path\": \"b<é>\",\n  \"task_type\": null,\n  \"new\": [\n    1\n  ]\n}\n",
            config.ToJson().ReplaceLineEndings("\n")
        );
        config.CheckSupported();
    }

    [Theory]
    [InlineData("[]", " must hold a JSON object.")]
    [InlineData("5", " must hold a JSON object.")]
    [InlineData("{\n\n x", ", line 3: it is not valid JSON (")]
    [InlineData("{\"a\": \"\u00ff\"}", ", line 1: it is not valid JSON (It is not valid UTF-8.")]
    [InlineData("{}", ": 'peft_type' is missing; it must be the name of a tuner, such as LORA.")]
    [InlineData("{\"peft_type\": null}", ": 'peft_type' is missing; it must be the name of a tuner, such as LORA.")]
    [InlineData("{\"peft_type\": 5}", ": 'peft_type' is 5; it must be a text.")]
    [InlineData("{\"peft_type\": [\"LORA\"]}", ": 'peft_type' is [\"LORA\"]; it must be a text.")]
    public void AFileThatIsNoConfigurationIsRefused(string json, string reason)
    {
        string path = _folder.PathOf("adapter_config.json");
        File.WriteAllBytes(path, Encoding.Latin1.GetBytes(json));
        Assert.StartsWith(
            path + reason,
            Assert.Throws<InvalidDataException>(() => PeftConfig.Load(path)).Message,
            StringComparison.Ordinal
        );
    }

    public static TheoryData<string> RefusedKeys =>
        [
            "alora_invocation_tokens",
            "arrow_config",
            "kasa_config",
            "layer_replication",
            "monteclora_config",
            "target_parameters",
            "trainable_token_indices",
            "use_bdlora",
            "use_qalora",
            "velora_config",
        ];

    [Theory]
    [MemberData(nameof(RefusedKeys))]
    public void WhatChangesAPassAndIsNotSupportedIsRefused(string key)
    {
        foreach (string value in (string[])["true", "1", "\"x\"", "[0]", "{\"a\":1}"])
        {
            Assert.Equal(
                $"x: '{key}' is {value}, which is not supported.",
                Assert.Throws<NotSupportedException>(() => Of($"\"{key}\": {value}").CheckSupported()).Message
            );
        }

        foreach (string value in (string[])["false", "null", "[]", "{}"])
        {
            Of($"\"{key}\": {value}").CheckSupported();
        }
    }

    [Theory]
    [InlineData("\"pissa\"", true)]
    [InlineData("\"PiSSA_niter_16\"", true)]
    [InlineData("\"olora\"", true)]
    [InlineData("\"corda\"", true)]
    [InlineData("\"loftq\"", true)]
    [InlineData("\"lora_ga\"", true)]
    [InlineData("\"gaussian\"", false)]
    [InlineData("\"a pissa\"", false)]
    [InlineData("true", false)]
    [InlineData("5", false)]
    [InlineData("null", false)]
    [InlineData("[\"pissa\"]", false)]
    public void InitialisationsThatChangedTheBaseAreRefused(string value, bool isRefused)
    {
        PeftConfig config = Of($"\"init_lora_weights\": {value}");
        if (!isRefused)
        {
            config.CheckSupported();
            return;
        }

        Assert.StartsWith(
            $"x: 'init_lora_weights' is {value}, which changed the base's weights before training, and the adapter does not hold them. Convert",
            Assert.Throws<NotSupportedException>(config.CheckSupported).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void FlagsAreTrueOrFalse()
    {
        PeftConfig config = Of("\"yes\": true, \"no\": false, \"nothing\": null, \"one\": 1, \"text\": \"true\"");
        Assert.Equal((true, false, false, false), (config.Flag("yes"), config.Flag("no"), config.Flag("nothing"), config.Flag("missing")));
        Wrong("'one' is 1; it must be true or false", () => config.Flag("one"));
        Wrong("'text' is \"true\"; it must be true or false", () => config.Flag("text"));
    }

    [Theory]
    [InlineData("0")]
    [InlineData("-1")]
    [InlineData("1.5")]
    [InlineData("2147483648")]
    [InlineData("\"2\"")]
    [InlineData("[2]")]
    [InlineData("{}")]
    [InlineData("true")]
    public void WholeNumbersAreAboveZero(string value)
    {
        PeftConfig config = Of($"\"one\": 1, \"most\": 2147483647, \"x\": {value}, \"nothing\": null");
        Assert.Equal((1, int.MaxValue), (config.Whole("one"), config.Whole("most")));
        Wrong($"'x' is {value}; it must be a whole number of 1 or more", () => config.Whole("x"));
        Wrong("'nothing' is missing; it must be a whole number of 1 or more", () => config.Whole("nothing"));
        Wrong("'other' is missing; it must be a whole number of 1 or more", () => config.Whole("other"));
    }

    [Theory]
    [InlineData("0")]
    [InlineData("-0.5")]
    [InlineData("1E999")]
    [InlineData("\"2\"")]
    [InlineData("[2]")]
    [InlineData("{}")]
    [InlineData("true")]
    public void NumbersAreFiniteAndAboveZero(string value)
    {
        PeftConfig config = Of($"\"half\": 0.5, \"x\": {value}, \"by_name\": {{\"a\": {value}, \"b\": 2, \"c\": null}}");
        Assert.Equal(0.5, config.Number("half", "none", "m"));
        Assert.Equal(0.5, config.Number("half", "by_name", "m"));
        Assert.Equal(2, config.Number("half", "by_name", "m.b"));
        Wrong($"'x' is {value}; it must be a number above 0", () => config.Number("x", "by_name", "m"));
        Wrong($"'by_name.a' is {value}; it must be a number above 0", () => config.Number("half", "by_name", "m.a"));
        Wrong("'by_name.c' is missing; it must be a number above 0", () => config.Number("half", "by_name", "m.c"));
        Wrong("'missing' is missing; it must be a number above 0", () => config.Number("missing", "none", "m"));
        Wrong("'half' must be an object of numbers by pattern", () => config.Number("x", "half", "m"));
    }

    [Theory]
    [InlineData("query", "query", true)]
    [InlineData("query", "layer.0.query", true)]
    [InlineData("query", "layer.0.myquery", false)]
    [InlineData("query", "query.weight", false)]
    [InlineData("0.query|1.key", "layer.1.key", true)]
    [InlineData("0.query|1.key", "layer.1.query", false)]
    [InlineData("layer\\.[01]\\..*", "a.layer.1.b.c", true)]
    [InlineData("layer\\.[01]\\..*", "a.layer.2.b.c", false)]
    public void APatternIsTheEndOfAModulesPath(string pattern, string module, bool fits)
    {
        PeftConfig config = Of($"\"r\": 1, \"rank_pattern\": {new JsonObject { [pattern] = 2 }.ToJsonString()}");
        Assert.Equal(fits ? 2 : 1, config.Number("r", "rank_pattern", module));
    }

    [Fact]
    public void PatternsThatAreNoneOrTakeTooLongAreRefused()
    {
        Wrong("'(' is no regular expression (", () => Of("\"r\": 1, \"p\": {\"(\": 2}").Number("r", "p", "m"), isWhole: false);
        string module = "b." + new string('a', 60);
        Wrong(
            $"it takes too long to compare '(a|aa)+[bc]' with '{module}'",
            () => Of("\"r\": 1, \"p\": {\"(a|aa)+[bc]\": 2}").Number("r", "p", module)
        );
    }

    private static PeftConfig Of(string entries) => new((JsonObject)JsonNode.Parse($"{{\"peft_type\": \"LORA\", {entries}}}")!, "x");

    private static void Wrong(string reason, Func<object> read, bool isWhole = true)
    {
        string message = Assert.Throws<InvalidDataException>(read).Message;
        if (isWhole)
        {
            Assert.Equal($"x: {reason}.", message);
        }
        else
        {
            Assert.StartsWith($"x: {reason}", message, StringComparison.Ordinal);
        }
    }
}
