using SkillLoc.Models.Merging;
using SkillLoc.Models.Tests.Checkpoints;
using TorchSharp;

namespace SkillLoc.Models.Tests.Merging;

/// <summary>What recipe files say, key by key, and how they are refused.</summary>
public sealed class MergeRecipeFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private string Path => _folder.PathOf("recipe.yml");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void EveryKeyIsRead()
    {
        MergeRecipe recipe = Single(
            """
            merge_method: ties
            base_model: /base
            models:
              - model: { model: /a, path: whatever }
                statistics: /a.safetensors
                parameters: { density: 0.5, weight: [0, 1.5e-1], mode: "true", name: sum, on: True, off: false }
              - model: /b+/c
            parameters:
              weight:
                - filter: dense
                  value: [1, 2]
                - { filter: ~, value: 3 }
                - { filter: "null", value: 4 }
                - value: 5
              scale: { filter: bias, value: 'x' }
              plain: ~x
            dtype: float16
            out_dtype: bfloat16
            tokenizer_source: /tokens
            seed: -7
            copied: [classifier, head]
            """
        );
        Assert.Equal(("ties", "/base", "/tokens"), (recipe.Method, recipe.BaseModel!.Name, recipe.Tokenizer!.Source!.Name));
        Assert.Equal((torch.ScalarType.BFloat16, -7, "", 1), (recipe.StoreAs, recipe.Seed, recipe.Name, recipe.Line));
        Assert.Equal(["classifier", "head"], recipe.Copied);
        Assert.Equal(["/a", "/b+/c"], recipe.Models.Select(input => input.Model.Name));
        Assert.Equal(["/a.safetensors", null], recipe.Models.Select(input => input.Statistics));
        Assert.Equal([4, 7], recipe.Models.Select(input => input.Line));
        IReadOnlyDictionary<string, MergeSetting> first = recipe.Models[0].Parameters;
        Assert.Equal(["0.5", "[0, 0.15]"], new[] { "density", "weight" }.Select(name => first[name].ToString()));
        // A text in quotes is a text.
        Assert.Equal(new MergeValue("true"), Assert.Single(first["mode"].Values));
        Assert.Equal(new MergeValue("sum"), Assert.Single(first["name"].Values));
        Assert.Equal(new MergeValue(true), Assert.Single(first["on"].Values));
        Assert.Equal(new MergeValue(false), Assert.Single(first["off"].Values));
        Assert.Equal(["dense", null, "null", null], recipe.Parameters["weight"].Entries.Select(entry => entry.Filter));
        Assert.Equal(["[1, 2]", "3", "4", "5"], recipe.Parameters["weight"].Entries.Select(entry => entry.Value.ToString()));
        MergeEntry scale = Assert.Single(recipe.Parameters["scale"].Entries);
        Assert.Equal(("bias", new MergeValue("x")), (scale.Filter, Assert.Single(scale.Value.Values)));
        Assert.Equal(new MergeValue("~x"), Assert.Single(recipe.Parameters["plain"].Values));
        Assert.Equal(10, recipe.Parameters["weight"].Line);
    }

    [Fact]
    public void SlicesAreRead()
    {
        MergeRecipe recipe = Single(
            """
            slices:
              - sources:
                  - { model: /a, layer_range: [0, 2] }
                  - { model: /b, layer_range: [1, 3], parameters: { weight: 2 } }
                base_model: /c
                parameters: { t: 0.5 }
              - sources: [{ model: /a, layer_range: [2, 4] }]
            merge_method: slerp
            dtype: ~
            """
        );
        Assert.Equal(
            ["/a 0-2, /b 1-3, /c", "/a 2-4, "],
            recipe.Slices.Select(slice =>
                string.Join(", ", slice.Sources.Select(source => $"{source.Model} {source.FirstLayer}-{source.EndLayer}"))
                + $", {slice.BaseModel}"
            )
        );
        Assert.Equal(("0.5", "2"), ($"{recipe.Slices[0].Parameters["t"]}", $"{recipe.Slices[0].Sources[1].Parameters["weight"]}"));
        Assert.Equal([2, 7], recipe.Slices.Select(slice => slice.Line));
        Assert.Null(recipe.StoreAs);
        Assert.Empty(recipe.Models);
    }

    [Theory]
    [InlineData("/a", "/a")]
    [InlineData("{ model: /a }", "/a")]
    [InlineData("{ path: /a, revision: null }", "/a")]
    [InlineData("{ model: { path: o/a, revision: r }, lora: { path: /b, revision: null }, override_architecture: ~ }", "o/a@r+/b")]
    public void AModelIsNamedAsMergekitWritesIt(string model, string expected) =>
        Assert.Equal(expected, Single($"merge_method: linear\nmodels: [{{model: {model}}}]").Models[0].Model.Name);

    [Theory]
    [InlineData("tokenizer_source: base", "base")]
    [InlineData("tokenizer_source: union", "union")]
    [InlineData("tokenizer_source: model:/other", "/other")]
    [InlineData("tokenizer_source: /other", "/other")]
    [InlineData("tokenizer: { source: base }", "base")]
    [InlineData("tokenizer: { source: /other }", "/other")]
    [InlineData("tokenizer: {}", "union")]
    [InlineData("seed: 0", null)]
    public void ATokenizerIsThatOfTheBaseOrOfAModel(string key, string? expected)
    {
        MergeTokenizer? read = Single($"merge_method: linear\nbase_model: /base\nmodels: [{{model: /a}}]\n{key}").Tokenizer;
        Assert.Equal(
            expected,
            read is null ? null
                : read.IsUnion ? "union"
                : read.Source?.Name ?? "base"
        );
    }

    [Theory]
    [InlineData("")]
    [InlineData("~")]
    [InlineData("null")]
    public void ATypeOrAFilterMayBeNull(string text)
    {
        MergeRecipe recipe = Single(
            $"merge_method: linear\nmodels: [{{model: /a}}]\ndtype: {text}\nparameters: {{weight: {{filter: {text}, value: 1}}}}"
        );
        Assert.Null(recipe.StoreAs);
        Assert.Null(Assert.Single(recipe.Parameters["weight"].Entries).Filter);
    }

    [Theory]
    [InlineData("dtype: float32", torch.ScalarType.Float32)]
    [InlineData("dtype: float64", torch.ScalarType.Float64)]
    [InlineData("out_dtype: float16", torch.ScalarType.Float16)]
    [InlineData("dtype: 'null'", null)]
    public void ATypeIsThatOfTheResult(string key, torch.ScalarType? expected)
    {
        string recipe = $"merge_method: linear\nmodels: [{{model: /a}}]\n{key}";
        if (expected is null)
        {
            Refused(recipe, ", line 3: 'dtype' is 'null'; it must be float32, float16, bfloat16 or float64.");
        }
        else
        {
            Assert.Equal(expected, Single(recipe).StoreAs);
        }
    }

    [Fact]
    public void PathsAreBesideTheFileOrInTheCurrentFolder()
    {
        Directory.CreateDirectory(_folder.PathOf("a"));
        Directory.CreateDirectory(_folder.PathOf("b"));
        MergeRecipe recipe = Single(
            "merge_method: linear\nmodels: [{model: a}, {model: a+b}, {model: a+none}, {model: none}, {model: +a}]"
        );
        Assert.Equal(["a", "a+b", "a+none", "none", "+a"], recipe.Models.Select(input => input.Model.Name));
        Assert.Equal(
            new[] { Of("a"), $"{Of("a")}+{Of("b")}", $"{Of("a")}+{Of("none")}", Of("none"), Of("+a") },
            recipe.Models.Select(input => input.Model.Identity)
        );

        // What is in the current folder and not beside the file; what is in both is beside it.
        string here = System.IO.Path.GetFileName(Directory.GetFileSystemEntries(Environment.CurrentDirectory)[0]);
        Assert.Equal(MergeModel.At(here).Identity, Single($"merge_method: linear\nmodels: [{{model: '{here}'}}]").Models[0].Model.Identity);
        Directory.CreateDirectory(_folder.PathOf(here));
        Assert.Equal(Of(here), Single($"merge_method: linear\nmodels: [{{model: '{here}'}}]").Models[0].Model.Identity);

        string Of(string name) => MergeModel.At(_folder.PathOf(name)).Identity;
    }

    [Theory]
    [InlineData("", " holds no recipe.")]
    [InlineData("# nothing\n---\n---\n", " holds no recipe.")]
    [InlineData("[1]", ", line 1: a recipe must be a mapping of keys to values.")]
    [InlineData("text", ", line 1: a recipe must be a mapping of keys to values.")]
    [InlineData("models: [{model: a}]", ", line 1: the recipe lacks 'merge_method'.")]
    [InlineData("merge_method: ", ", line 1: 'merge_method' must be a text.")]
    [InlineData("merge_method: [a]", ", line 1: 'merge_method' must be a text.")]
    [InlineData("merge_method: {a: b}", ", line 1: 'merge_method' must be a text.")]
    [InlineData("[a]: b", ", line 1: a key must be a text.")]
    [InlineData(
        "chat_template: chatml",
        ", line 1: 'chat_template' is 'chatml'; mergekit's own templates are not here: write the template itself, or 'auto'."
    )]
    [InlineData("residual_weight: x", ", line 1: 'residual_weight': residual weights are not supported.")]
    [InlineData("modules: x", ", line 1: 'modules' must be a mapping of keys to values.")]
    [InlineData("modules: {a: x}", ", line 1: the module 'a' must be a mapping of keys to values.")]
    [InlineData(
        "x: 1",
        ", line 1: the key 'x' is unknown here; there are merge_method, models, slices, modules, base_model, parameters, dtype, out_dtype, "
            + "tokenizer_source, tokenizer, chat_template, name, seed, copied."
    )]
    [InlineData("models: a", ", line 1: 'models' must be a list.")]
    [InlineData("models: []", ", line 1: 'models' must be a list.")]
    [InlineData("models: {}", ", line 1: 'models' must be a list.")]
    [InlineData("models: [a]", ", line 1: a model must be a mapping of keys to values.")]
    [InlineData("models: [{}]", ", line 1: a model lacks 'model'.")]
    [InlineData("models: [{model: ''}]", ", line 1: 'model' must be a text.")]
    [InlineData("models: [{model: {path: [a]}}]", ", line 1: 'model' must be a text.")]
    [InlineData("models: [{model: {lora: {path: a}}}]", ", line 1: 'model' lacks 'model' or 'path'.")]
    [InlineData("models: [{model: {x: a}}]", ", line 1: the key 'x' is unknown here; there are model, lora, path, revision.")]
    [InlineData("models: [{model: {model: [a]}}]", ", line 1: 'model' must be a text.")]
    [InlineData("models: [{x: a}]", ", line 1: the key 'x' is unknown here; there are model, parameters, statistics.")]
    [InlineData(
        "models: [{model: a, layer_range: [0, 1]}]",
        ", line 1: the key 'layer_range' is unknown here; there are model, parameters, statistics."
    )]
    [InlineData("models: [{model: a, parameters: b}]", ", line 1: parameters must be a mapping of keys to values.")]
    [InlineData("slices: [a]", ", line 1: a slice must be a mapping of keys to values.")]
    [InlineData("slices:\n- x: a", ", line 2: the key 'x' is unknown here; there are sources, parameters, base_model.")]
    [InlineData("slices: [{sources: [{model: a}]}]", ", line 1: a slice's source lacks 'layer_range'.")]
    [InlineData("slices: [{sources: [{layer_range: [0, 1]}]}]", ", line 1: a model lacks 'model'.")]
    [InlineData(
        "slices: [{sources: [{x: 1}]}]",
        ", line 1: the key 'x' is unknown here; there are model, layer_range, parameters, statistics."
    )]
    [InlineData(
        "slices: [{sources: [{layer_range: [0]}]}]",
        ", line 1: 'layer_range' must be two numbers, the first layer and the one after the last."
    )]
    [InlineData(
        "slices: [{sources: [{layer_range: [0, 1, 2]}]}]",
        ", line 1: 'layer_range' must be two numbers, the first layer and the one after the last."
    )]
    [InlineData("slices: [{sources: [{layer_range: 2}]}]", ", line 1: 'layer_range' must be a list.")]
    [InlineData("slices: [{sources: [{layer_range: [-1, 2]}]}]", ", line 1: 'layer_range' is '-1'; it must be a whole number.")]
    [InlineData("slices: [{sources: [{layer_range: [0, 1.5]}]}]", ", line 1: 'layer_range' is '1.5'; it must be a whole number.")]
    [InlineData("seed: 2147483648", ", line 1: 'seed' is '2147483648'; it must be a whole number.")]
    [InlineData("seed: -2147483649", ", line 1: 'seed' is '-2147483649'; it must be a whole number.")]
    [InlineData("seed: 99999999999999999999", ", line 1: 'seed' is '99999999999999999999'; it must be a whole number.")]
    [InlineData("seed: x", ", line 1: 'seed' is 'x'; it must be a whole number.")]
    [InlineData("copied: a", ", line 1: 'copied' must be a list.")]
    [InlineData("copied: [[a]]", ", line 1: 'copied' must be a text.")]
    [InlineData("dtype: int64", ", line 1: 'dtype' is 'int64'; it must be float32, float16, bfloat16 or float64.")]
    [InlineData("dtype: nil", ", line 1: 'dtype' is 'nil'; it must be float32, float16, bfloat16 or float64.")]
    [InlineData("dtype: [float32]", ", line 1: 'dtype' must be a text.")]
    [InlineData("out_dtype: x", ", line 1: 'out_dtype' is 'x'; it must be float32, float16, bfloat16 or float64.")]
    [InlineData("tokenizer: x", ", line 1: 'tokenizer' must be a mapping of keys to values.")]
    [InlineData("tokenizer: {tokens: x}", ", line 1: 'tokens' must be a mapping of keys to values.")]
    [InlineData("tokenizer: {tokens: {a: x}}", ", line 1: the token 'a' must be a mapping of keys to values.")]
    [InlineData("tokenizer: {tokens: {'': {}}}", ", line 1: a token must not be empty.")]
    [InlineData("tokenizer: {tokens: {a: {force: 1}}}", ", line 1: 'force' must be true or false.")]
    [InlineData("tokenizer: {tokens: {a: {x: 1}}}", ", line 1: the key 'x' is unknown here; there are source, force.")]
    [InlineData("tokenizer:\n tokens: {a: {source: {kind: one}}}", ", line 2: 'kind' is 'one'; it must be zero or model_token.")]
    [InlineData("tokenizer: {tokens: {a: {source: {kind: zero, model: b}}}}", ", line 1: 'kind: zero' has no 'model' and no 'token'.")]
    [InlineData("tokenizer: {tokens: {a: {source: {kind: model_token, token: b}}}}", ", line 1: 'kind: model_token' lacks 'model'.")]
    [InlineData(
        "tokenizer: {tokens: {a: {source: {kind: model_token, model: b, token: c, token_id: 1}}}}",
        ", line 1: 'kind: model_token' needs exactly one of 'token' and 'token_id'."
    )]
    [InlineData(
        "tokenizer: {tokens: {a: {source: {kind: model_token, model: b, x: c}}}}",
        ", line 1: the key 'x' is unknown here; there are kind, model, token, token_id."
    )]
    [InlineData("tokenizer: {pad_to_multiple_of: 0}", ", line 1: 'pad_to_multiple_of' is '0'; it must be a whole number.")]
    [InlineData("tokenizer: {x: 8}", ", line 1: the key 'x' is unknown here; there are source, tokens, pad_to_multiple_of.")]
    [InlineData(
        "tokenizer: {source: union}\ntokenizer_source: base",
        ", line 2: there are both 'tokenizer' and 'tokenizer_source': give one."
    )]
    [InlineData("parameters: {a: }", ", line 1: 'a' has no value.")]
    [InlineData("parameters: {a: ~}", ", line 1: 'a' has no value.")]
    [InlineData("parameters: {a: null}", ", line 1: 'a' has no value.")]
    [InlineData("parameters: {a: []}", ", line 1: 'a' must be a value, a list of values, or a list of 'filter' and 'value'.")]
    [InlineData("parameters: {a: [1, {value: 2}]}", ", line 1: 'a' must be a value, a list of values, or a list of 'filter' and 'value'.")]
    [InlineData("parameters: {a: [[1]]}", ", line 1: 'a' must be a value, a list of values, or a list of 'filter' and 'value'.")]
    [InlineData("parameters: {a: {}}", ", line 1: an entry of 'a' lacks 'value'.")]
    [InlineData("parameters: {a: [{filter: b}]}", ", line 1: an entry of 'a' lacks 'value'.")]
    [InlineData("parameters: {a: {x: 1}}", ", line 1: the key 'x' is unknown here; there are filter, value.")]
    [InlineData("parameters: {a: {filter: [b], value: 1}}", ", line 1: 'filter' must be a text.")]
    [InlineData("parameters: {a: {filter: '', value: 1}}", ", line 1: 'filter' must be a text.")]
    public void AMistakeIsNamedWithItsLine(string recipe, string reason) => Refused(recipe, reason);

    [Theory]
    [InlineData("true", "true", "TRUE", "True")]
    [InlineData("false", "false", "FALSE", "False")]
    public void FlagsAreWrittenInThreeWays(string expected, params string[] texts)
    {
        foreach (string text in texts)
        {
            MergeRecipe recipe = Single($"merge_method: linear\nmodels: [{{model: /a}}]\nparameters: {{x: {text}}}");
            Assert.Equal(new MergeValue(expected == "true"), Assert.Single(recipe.Parameters["x"].Values));
        }
    }

    [Fact]
    public void NamesOfRecipesAreOnesOfTheFile()
    {
        const string Named = "name: NAME\nmerge_method: linear\nmodels: [{model: MODEL}]\n";
        // One with a name is the result where it is the only one.
        Assert.Equal("a", Single(Recipe("a", "/x")).Name);
        Refused($"{Recipe("a", "/x")}---\n{Recipe("a", "/y")}", ", line 5: the name 'a' occurs twice.");
        Refused(
            $"{Recipe("a", "/x")}---\n{Recipe("b", "/y")}",
            " has 0 recipes without a 'name'; exactly one must have none, which is the result."
        );
        const string Unnamed = "merge_method: linear\nmodels: [{model: a}]\n";
        Refused(
            $"{Unnamed}---\n{Unnamed}---\n{Recipe("a", "/x")}",
            " has 2 recipes without a 'name' (lines 1, 4); exactly one must have none, which is the result."
        );
        Refused($"{Unnamed}---\nname: [a]\nmerge_method: linear\n", ", line 4: 'name' must be a text.");
        Refused($"{Unnamed}---\n[a]\n", ", line 4: a recipe must be a mapping of keys to values.");

        // What nobody needs is left out, and each is after what it needs, once.
        IReadOnlyList<MergeRecipe> recipes = Load(
            $"{Unnamed.Replace("{model: a}", "{model: b}, {model: c}", StringComparison.Ordinal)}---\n{Recipe("b", "c")}---\n"
                + $"{Recipe("unused", "/x")}---\n{Recipe("c", "/x")}"
        ).Recipes;
        Assert.Equal(["c", "b", ""], recipes.Select(recipe => recipe.Name));
        Assert.Equal("recipe:c", recipes[1].Models[0].Model.Identity);
        Assert.Equal(Recipe("b", "c"), recipes[1].Text);
        Assert.Equal(Recipe("c", "/x"), recipes[0].Text.TrimEnd() + "\n");
        Refused(
            $"{Unnamed}---\n{Recipe("a", "b")}---\n{Recipe("b", "a")}",
            ", line 4: recipes build on each other in a cycle: a -> b -> a."
        );

        static string Recipe(string name, string model) =>
            Named.Replace("NAME", name, StringComparison.Ordinal).Replace("MODEL", model, StringComparison.Ordinal);
    }

    [Fact]
    public void WhatIsWrittenIsReadAgain()
    {
        MergeRecipe recipe = new()
        {
            Method = "slerp",
            BaseModel = "/base",
            Slices =
            [
                new([
                    new MergeInput("/a") { FirstLayer = 1, EndLayer = 3 },
                    new MergeInput("/b")
                    {
                        EndLayer = 2,
                        Statistics = "/b.safetensors",
                        Parameters = new Dictionary<string, MergeSetting> { ["weight"] = 0.1 },
                    },
                ])
                {
                    BaseModel = "/c",
                    Parameters = new Dictionary<string, MergeSetting> { ["on"] = true },
                },
            ],
            Parameters = new Dictionary<string, MergeSetting>
            {
                ["t"] = MergeSetting.ByName(new("dense", new double[] { 0, 1 }), new(null, "x")),
            },
            StoreAs = torch.ScalarType.BFloat16,
            Tokenizer = "/tokens",
            Copied = ["head"],
            Seed = 5,
        };
        string text = MergeRecipeFile.Write(recipe);
        MergeRecipe read = Single(text);
        Assert.Equal(("slerp", "/base", "/tokens"), (read.Method, read.BaseModel!.Name, read.Tokenizer!.Source!.Name));
        Assert.Equal((torch.ScalarType.BFloat16, 5), (read.StoreAs, read.Seed));
        Assert.Equal(["head"], read.Copied);
        MergeSlice slice = Assert.Single(read.Slices);
        Assert.Equal([("/a", 1, 3), ("/b", 0, 2)], slice.Sources.Select(source => (source.Model.Name, source.FirstLayer, source.EndLayer)));
        Assert.Equal(("/b.safetensors", "0.1"), (slice.Sources[1].Statistics, $"{slice.Sources[1].Parameters["weight"]}"));
        Assert.Equal(("/c", new MergeValue(true)), (slice.BaseModel!.Name, Assert.Single(slice.Parameters["on"].Values)));
        Assert.Equal("dense: [0, 1], *: 'x'", read.Parameters["t"].ToString());

        // A recipe of a file is written as it stands there, and one of few keys with them alone.
        Assert.Equal(text, MergeRecipeFile.Write(read));
        Assert.Equal("merge_method: linear\nmodels:\n- model: /a\n", MergeRecipeFile.Write(new() { Method = "linear", Models = ["/a"] }));
    }

    [Fact]
    public void AFileThatIsMissingOrNoYamlIsRefused()
    {
        Assert.Equal($"There is no recipe '{Path}'.", Assert.Throws<FileNotFoundException>(() => MergeRecipeFile.Load(Path)).Message);
        Assert.Throws<ArgumentException>(() => MergeRecipeFile.Load(""));
        Refused("a: b: c", ", line 1: it is not valid YAML (");
        Refused("a: 1\na: 2", ", line 2: it is not valid YAML (");
        Refused("a: &x 1\nb: *y", ", line 1: it is not valid YAML (");
    }

    private MergeRecipeFile Load(string recipe)
    {
        File.WriteAllText(Path, recipe);
        return MergeRecipeFile.Load(Path);
    }

    private MergeRecipe Single(string recipe) => Assert.Single(Load(recipe).Recipes);

    private void Refused(string recipe, string reason) =>
        Assert.StartsWith(Path + reason, Assert.Throws<InvalidDataException>(() => Load(recipe)).Message, StringComparison.Ordinal);
}
