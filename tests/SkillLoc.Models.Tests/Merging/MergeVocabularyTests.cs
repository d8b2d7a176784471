using System.Globalization;
using System.Text.Json.Nodes;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Merging;
using SkillLoc.Models.Tokenization;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Merging;

/// <summary>Merges of models whose vocabularies differ.</summary>
public sealed class MergeVocabularyTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    private string Target => Path.Join(_folder, "merged");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void AddedTokensAreJoinedAndMissingOnesAreMeans()
    {
        // Of 'x' the models have 10, 50 and nothing, which becomes 30; of 'y' 20, 30 and nothing, which becomes 25.
        (string a, string b, string c) = Three();
        Run($"merge_method: linear\nmodels: [{{model: {a}}}, {{model: {b}}}, {{model: {c}}}]\ntokenizer: {{source: union}}");
        var tokenizer = CheckpointTokenizer.Load(Target);
        int first = CheckpointTokenizer.Load(a).TokenId("<x>")!.Value;
        Assert.Equal((first, first + 1), (tokenizer.TokenId("<x>"), tokenizer.TokenId("<y>")));
        Assert.Equal((30, 30), (Row("roberta.embeddings.word_embeddings.weight", first), Row("lm_head.bias", first)));
        Assert.Equal(25, Row("roberta.embeddings.word_embeddings.weight", first + 1));

        // What all have is the mean of 1, 2 and 6, and the text is cut where the models cut it.
        Assert.Equal(3, Row("roberta.embeddings.word_embeddings.weight", 7));
        Assert.Equal(CheckpointTokenizer.Load(a).Encode("a <y> b <x>"), tokenizer.Encode("a <y> b <x>"));
        using var model = LanguageModel.Load(Target);
        Assert.Equal(first + 2, model.Config.VocabularySize);
    }

    [Fact]
    public void TheBaseHasTheFirstWordAndAddsNothingOfItsOwn()
    {
        // The base has no 'x': the differences of all from it are 0, so that 'x' is that of the only model with one.
        string basis = Variant("base", "tiny-roberta", 1),
            a = Variant("a", "tiny-roberta", 2, ("<x>", 10)),
            b = Variant("b", "tiny-roberta", 6, ("<y>", 30));
        Run($"merge_method: task_arithmetic\nbase_model: {basis}\nmodels: [{{model: {a}}}, {{model: {b}}}]\ntokenizer_source: union");
        var tokenizer = CheckpointTokenizer.Load(Target);
        const string Words = "roberta.embeddings.word_embeddings.weight";
        Assert.Equal((10, 30), (Row(Words, tokenizer.TokenId("<x>")!.Value), Row(Words, tokenizer.TokenId("<y>")!.Value)));
        Assert.Equal(1 + 1 + 5, Row(Words, 7));

        // Of the base's own vocabulary both lack nothing.
        Run($"merge_method: task_arithmetic\nbase_model: {basis}\nmodels: [{{model: {a}}}, {{model: {b}}}]\ntokenizer_source: base");
        using var merged = CheckpointFolder.Open(Target);
        Assert.Equal(CheckpointTokenizer.Load(basis).VocabularySize, merged.Config.VocabularySize);
        Assert.Equal(7, Row(Words, 7));
        Assert.Null(CheckpointTokenizer.Load(Target).TokenId("<x>"));

        // A base that has it gives it to the model that lacks it: 10 + (10 - 10) + (40 - 10).
        string other = Variant("other", "tiny-roberta", 3, ("<x>", 40));
        Run($"merge_method: task_arithmetic\nbase_model: {a}\nmodels: [{{model: {basis}}}, {{model: {other}}}]\ntokenizer_source: union");
        Assert.Equal(40, Row(Words, CheckpointTokenizer.Load(Target).TokenId("<x>")!.Value));
    }

    [Theory]
    [InlineData("'<y>': {source: {kind: zero}}", "<y>", 50.0 / 3)]
    [InlineData("'<y>': {source: A}", "<y>", (20 + 30 + 20) / 3.0)]
    [InlineData("'<y>': {source: {kind: model_token, model: B, token: <x>}}", "<y>", (20 + 30 + 50) / 3.0)]
    [InlineData("'<y>': {source: {kind: model_token, model: B, token: <x>}, force: true}", "<y>", 50)]
    [InlineData("'<y>': {source: {kind: model_token, model: C, token_id: 7}}", "<y>", (20 + 30 + 6) / 3.0)]
    [InlineData("'<z>': {source: {kind: model_token, model: B, token: <x>}}", "<z>", 50)]
    [InlineData("'<y>': {force: true}", "<y>", 25)]
    public void TokensHaveTheirSources(string tokens, string token, double expected)
    {
        (string a, string b, string c) = Three();
        tokens = tokens
            .Replace(": A", ": " + a, StringComparison.Ordinal)
            .Replace(": B", ": " + b, StringComparison.Ordinal)
            .Replace(": C", ": " + c, StringComparison.Ordinal);
        Run(
            $"merge_method: linear\nmodels: [{{model: {a}}}, {{model: {b}}}, {{model: {c}}}]\n"
                + $"tokenizer:\n  source: union\n  pad_to_multiple_of: 64\n  tokens: {{{tokens}}}"
        );
        int id = CheckpointTokenizer.Load(Target).TokenId(token)!.Value;
        Assert.Equal(expected, Row("roberta.embeddings.word_embeddings.weight", id), 1e-5);
        using var merged = CheckpointFolder.Open(Target);
        Assert.Equal(0, merged.Config.VocabularySize % 64);
        Assert.Equal(0, Row("roberta.embeddings.word_embeddings.weight", merged.Config.VocabularySize - 1));
    }

    [Fact]
    public void WordPiecesAreJoinedAsPieces()
    {
        string a = Variant("a", "tiny-bert", 2, ("[new]", 10)),
            b = Variant("b", "tiny-bert", 6, ("##zqzq", 30));
        AsPiece(b, "##zqzq");
        Run($"merge_method: linear\nmodels: [{{model: {a}}}, {{model: {b}}}]\ntokenizer_source: union");
        var tokenizer = CheckpointTokenizer.Load(Target);
        int first = CheckpointTokenizer.Load(a).TokenId("[new]")!.Value;
        Assert.Equal((first, first + 1), (tokenizer.TokenId("[new]"), tokenizer.TokenId("##zqzq")));
        Assert.Equal((10, 30), (Row("bert.embeddings.word_embeddings.weight", first), Row("cls.predictions.bias", first + 1)));
        Assert.Equal(4, Row("bert.embeddings.word_embeddings.weight", 7));
        Assert.Equal(first + 1, tokenizer.Encode("azqzq")[^1]);
        Assert.Equal([first], tokenizer.Encode("[new]"));
        using var model = LanguageModel.Load(Target);
    }

    [Fact]
    public void ATokenizerOfOneFileIsExtendedThere()
    {
        string a = Variant("a", "tiny-t5", 2, ("<x>", 10)),
            b = Variant("b", "tiny-t5", 6, ("<y>", 30), ("<x>", 20));
        Run($"merge_method: linear\nmodels: [{{model: {a}}}, {{model: {b}}}]\ntokenizer_source: union");
        var tokenizer = CheckpointTokenizer.Load(Target);
        Assert.Equal(15, Row("shared.weight", tokenizer.TokenId("<x>")!.Value));
        Assert.Equal(30, Row("shared.weight", tokenizer.TokenId("<y>")!.Value));
        File.Delete(Path.Join(Target, "spiece.model"));
        File.Delete(Path.Join(Target, "added_tokens.json"));
        File.Delete(Path.Join(Target, "tokenizer_config.json"));
        var serialized = CheckpointTokenizer.Load(Target);
        foreach (string token in new[] { "<x>", "<y>" })
        {
            Assert.Contains(tokenizer.TokenId(token)!.Value, tokenizer.Encode($"a {token} b"));
            Assert.Equal(tokenizer.TokenId(token), serialized.TokenId(token));
            Assert.Contains(tokenizer.TokenId(token)!.Value, serialized.Encode($"a {token} b"));
        }
    }

    [Fact]
    public void AChatTemplateIsOneOfItsOwnOrThatOfMostModels()
    {
        (string a, string b, string c) = Three();
        foreach ((string folder, string template) in new[] { (a, "{one}"), (b, "{two}"), (c, "{two}") })
        {
            File.WriteAllText(Path.Join(folder, "tokenizer_config.json"), $$"""{ "chat_template": "{{template}}" }""");
        }

        foreach ((string key, string expected) in new[] { ("auto", "{two}"), ("'{{ x }}'", "{{ x }}") })
        {
            Run(
                $"merge_method: linear\nmodels: [{{model: {a}}}, {{model: {b}}}, {{model: {c}}}]\ntokenizer_source: union\n"
                    + $"chat_template: {key}"
            );
            JsonNode settings = JsonNode.Parse(File.ReadAllText(Path.Join(Target, "tokenizer_config.json")))!;
            Assert.Equal(expected, (string?)settings["chat_template"]);
        }

        Run($"merge_method: linear\nmodels: [{{model: {c}}}]\nchat_template: '{{{{ y }}}}'");
        Assert.Equal("{{ y }}", (string?)JsonNode.Parse(File.ReadAllText(Path.Join(Target, "tokenizer_config.json")))!["chat_template"]);
    }

    [Fact]
    public void IdsOfTheConfigurationAreThoseOfTheNewOrder()
    {
        // A vocabulary in which the first two words have changed places.
        string a = Variant("a", "tiny-bert", 2),
            b = Variant("b", "tiny-bert", 6);
        string[] lines = File.ReadAllLines(Path.Join(b, "vocab.txt"));
        (lines[0], lines[^1]) = (lines[^1], lines[0]);
        File.WriteAllLines(Path.Join(b, "vocab.txt"), lines);
        Run($"merge_method: linear\nmodels: [{{model: {a}, parameters: {{weight: 3}}}}, {{model: {b}}}]\ntokenizer: {{source: {b}}}");
        using var merged = CheckpointFolder.Open(Target);
        Assert.Equal("[PAD]", lines[^1]);
        Assert.Equal(lines.Length - 1, merged.Config.PadTokenId);

        // The row of padding is the first of one model and the last of the other, which are 2 and 6 but for the last, 20 and 60.
        Assert.Equal(((2 * 3) + 60) / 4.0, Row("bert.embeddings.word_embeddings.weight", lines.Length - 1));
        Assert.Equal(((20 * 3) + 6) / 4.0, Row("bert.embeddings.word_embeddings.weight", 0));
    }

    [Theory]
    [InlineData("models: [{model: A}, {model: P}]\ntokenizer_source: union", 3, "it lacks 'qqqq' of ")]
    [InlineData("models: [{model: A}, {model: B}]", 1, "'tokenizer: {source: union}'")]
    [InlineData("models: [{model: A}]\ntokenizer: {tokens: {QQ~: {}}}", 3, "no model has the token 'QQ~': give its 'source'")]
    [InlineData("models: [{model: A}]\ntokenizer: {tokens: {QQ~: {source: B}}}", 3, "is none of the models that are merged")]
    [InlineData("models: [{model: A}]\ntokenizer: {tokens: {QQ~: {source: A}}}", 3, "has no token 'QQ~'")]
    [InlineData(
        "models: [{model: A}]\ntokenizer:\n tokens:\n  QQ~: {source: {kind: model_token, model: A, token_id: 99999}}",
        5,
        "'token_id' is 99999"
    )]
    public void MistakesAreNamed(string recipe, int line, string message)
    {
        string a = Variant("a", "tiny-roberta", 1),
            b = Variant("b", "tiny-roberta", 1, ("<y>", 30)),
            p = Variant("p", "tiny-roberta", 1, ("qqqq", 30));
        AsPiece(p, "qqqq");
        recipe = recipe
            .Replace(": A", ": " + a, StringComparison.Ordinal)
            .Replace(": B", ": " + b, StringComparison.Ordinal)
            .Replace(": P", ": " + p, StringComparison.Ordinal);
        string error = Assert.Throws<InvalidDataException>(() => Run("merge_method: linear\n" + recipe)).Message;
        Assert.Contains($"recipe.yml, line {line}: ", error, StringComparison.Ordinal);
        Assert.Contains(message, error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Target));
    }

    [Fact]
    public void TheWrittenTokenizerIsReadAgain()
    {
        (string a, string b, string c) = Three();
        MergeRecipe recipe = new()
        {
            Method = "linear",
            Models = [a, b, c],
            Tokenizer = new()
            {
                IsUnion = true,
                PadToMultipleOf = 8,
                Tokens = new Dictionary<string, MergeToken>
                {
                    ["<x>"] = new() { Source = a, Forces = true },
                    ["<y>"] = new() { Source = b, SourceToken = "<x>" },
                    ["<z>"] = new() { IsZero = true },
                    ["#: 1"] = new() { Source = c, SourceId = 7 },
                },
            },
        };
        ModelMerge.Run(recipe, Target);
        string again = Path.Join(_folder, "again");
        MergeRecipeFile.Load(Path.Join(Target, ModelMerge.RecipeFile)).Run(again);
        foreach (string file in new[] { "model.safetensors", "config.json", "added_tokens.json", "tokenizer_config.json" })
        {
            Assert.Equal(File.ReadAllBytes(Path.Join(Target, file)), File.ReadAllBytes(Path.Join(again, file)));
        }

        Assert.Equal(10, Row("lm_head.bias", CheckpointTokenizer.Load(Target).TokenId("<x>")!.Value));
        Assert.Equal(6, Row("lm_head.bias", CheckpointTokenizer.Load(Target).TokenId("#: 1")!.Value));
    }

    private (string A, string B, string C) Three() =>
        (
            Variant("a", "tiny-roberta", 1, ("<x>", 10), ("<y>", 20)),
            Variant("b", "tiny-roberta", 2, ("<y>", 30), ("<x>", 50)),
            Variant("c", "tiny-roberta", 6)
        );

    /// <summary>A model with added tokens. The rows of its words are a constant, of the last of the old ones ten times it, and those of the
    /// added ones their values.</summary>
    private string Variant(string name, string basis, float value, params (string Token, float Value)[] added)
    {
        string folder = Path.Join(_folder, name);
        using var source = CheckpointFolder.Open(Oracles.PathOf(basis));
        using DisposeScope scope = NewDisposeScope();
        int old = CheckpointTokenizer.Load(source.Path).VocabularySize;
        CheckpointFolder.Save(
            folder,
            source.Config.With("vocab_size", old + added.Length),
            source.Weights.Tensors.Select(info => (info.Name, Changed(info))),
            source.TokenizerFiles
        );
        if (added.Length > 0)
        {
            var ids = new JsonObject();
            for (int i = 0; i < added.Length; i++)
            {
                ids[added[i].Token] = old + i;
            }

            File.WriteAllText(Path.Join(folder, "added_tokens.json"), ids.ToJsonString());
        }

        // As many as there are, where the number depends on the size of the vocabulary.
        if (File.Exists(Path.Join(folder, "spiece.model")))
        {
            int extra = Enumerable.Range(0, 200).Count(i => CheckpointTokenizer.Load(source.Path).TokenId($"<extra_id_{i}>") is not null);
            File.WriteAllText(
                Path.Join(folder, "tokenizer_config.json"),
                $$"""{ "extra_ids": {{extra.ToString(CultureInfo.InvariantCulture)}} }"""
            );
        }

        return folder;

        Tensor Changed(TensorInfo info)
        {
            Tensor own = source.Weights.Read(info.Name);
            if (info.Shape[0] != source.Config.VocabularySize)
            {
                return own;
            }

            long width = info.Shape.Length > 1 ? info.Shape[1] : 1;
            float[] rows =
            [
                .. Enumerable.Repeat(value, (old - 1) * (int)width),
                .. Enumerable.Repeat(10 * value, (int)width),
                .. added.SelectMany(token => Enumerable.Repeat(token.Value, (int)width)),
            ];
            return tensor(rows).view([old + added.Length, .. info.Shape[1..]]);
        }
    }

    /// <summary>Makes an added token an ordinary one.</summary>
    private static void AsPiece(string folder, string token)
    {
        File.Delete(Path.Join(folder, "added_tokens.json"));
        string lines = Path.Join(folder, "vocab.txt"),
            object_ = Path.Join(folder, "vocab.json");
        if (File.Exists(lines))
        {
            File.AppendAllText(lines, (File.ReadAllText(lines).EndsWith('\n') ? "" : "\n") + token + "\n");
        }
        else
        {
            JsonObject vocabulary = JsonNode.Parse(File.ReadAllText(object_))!.AsObject();
            vocabulary[token] = vocabulary.Count;
            File.WriteAllText(object_, vocabulary.ToJsonString());
        }
    }

    /// <summary>The value of all scalars of a row of the result.</summary>
    private double Row(string name, int row)
    {
        using var merged = CheckpointFolder.Open(Target);
        using Tensor all = merged.Weights.Read(name),
            one = all[row].reshape(-1);
        float[] values = one.data<float>().ToArray();
        Assert.Single(values.Distinct());
        return values[0];
    }

    private void Run(string recipe)
    {
        string path = Path.Join(_folder, "recipe.yml");
        File.WriteAllText(path, recipe);
        MergeRecipeFile.Load(path).Run(Target);
    }
}
