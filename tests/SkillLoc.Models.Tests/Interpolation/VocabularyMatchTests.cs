using System.Text.Json;
using System.Text.Json.Nodes;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Connectivity;
using SkillLoc.Models.Generation;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tests.Checkpoints;
using SkillLoc.Models.Tuning;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Interpolation;

/// <summary>Ends whose vocabularies differ: rows go by the texts of their tokens.</summary>
public sealed class VocabularyMatchTests
{
    private const string Text = "the film was good, and the man was bad";

    private static readonly string[] Extra = ["zzfirst", "zzsecond"];

    public static TheoryData<string, bool> Checkpoints =>
        new()
        {
            { "tiny-bert", true },
            { "tiny-bert", false },
            { "tiny-roberta", true },
            { "tiny-roberta", false },
            { "tiny-gpt2", true },
            { "tiny-gpt2", false },
            { "tiny-t5", true },
        };

    [Theory]
    [MemberData(nameof(Checkpoints))]
    public void OneModelWithItsTokensInOtherPlacesIsTheSameModel(string checkpoint, bool isTied)
    {
        using DisposeScope scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using TextClassifier first = Classifier(checkpoint, folder.PathOf("first"), isTied, turned: false);
        using TextClassifier second = Classifier(checkpoint, folder.PathOf("second"), isTied, turned: true);
        Assert.NotEqual(first.Encode(Text).Ids, second.Encode(Text).Ids);
        Assert.Equal(Scores(first), Scores(second), new Near());
        foreach (Endpoint task in Enum.GetValues<Endpoint>())
        {
            // Rows of all tokens and all tables are found again: nothing differs.
            using var path = new ParameterPath(first, second, task);
            Assert.Empty(path.Names);
        }

        // And midway of the other's change.
        Shift(second, 0.5);
        using var line = new ParameterPath(first, second);
        using TextClassifier interpolated = line.CreateWalker();
        line.MoveTo(interpolated, 0.5);
        Shift(first, 0.25);
        foreach ((string name, Parameter parameter) in first.Parameters)
        {
            Tests.Tuning.Toy.AssertClose(parameter, interpolated.Parameters[name], 1e-5, name);
        }
    }

    [Theory]
    [InlineData(Endpoint.First)]
    [InlineData(Endpoint.Second)]
    public void ATokenThatOneEndLacksHasTheTasksRowOrNone(Endpoint task)
    {
        using DisposeScope scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using TextClassifier first = Classifier("tiny-bert", folder.PathOf("first"), isTied: true, turned: false);
        using TextClassifier second = Classifier("tiny-bert", folder.PathOf("second"), isTied: true, turned: true, extra: true);
        const string Words = "bert.embeddings.word_embeddings.weight",
            Bias = "cls.predictions.bias";
        Shift(second, 1);
        using var path = new ParameterPath(first, second, task, bends: 1);
        using TextClassifier interpolated = path.CreateWalker();
        path.MoveTo(interpolated, 0.25);
        TextClassifier end = task == Endpoint.First ? first : second;
        Assert.Equal(end.Encode(Text + Extra[0]).Ids, interpolated.Encode(Text + Extra[0]).Ids);
        Assert.Equal(end.Backbone.Config.VocabularySize, interpolated.Backbone.Config.VocabularySize);
        foreach (string table in new[] { Words, Bias })
        {
            Assert.Equal(end.Parameters[table].shape, interpolated.Parameters[table].shape);
            foreach (string token in new[] { "[PAD]", "good", "bad", "the", "[MASK]" })
            {
                Tests.Tuning.Toy.AssertClose(
                    first.Parameters[table][first.Tokenizer.TokenId(token)!.Value] + 0.25,
                    interpolated.Parameters[table][end.Tokenizer.TokenId(token)!.Value],
                    1e-5,
                    token
                );
            }

            foreach (string token in Extra)
            {
                Assert.Null(first.Tokenizer.TokenId(token));
                if (task == Endpoint.Second)
                {
                    int row = second.Tokenizer.TokenId(token)!.Value;
                    Tests.Tuning.Toy.AssertClose(second.Parameters[table][row], interpolated.Parameters[table][row], 1e-6, token);
                }
            }
        }

        // The other end is found again too, in the task's vocabulary; and a saved curve.
        path.MoveTo(interpolated, task == Endpoint.First ? 0 : 1);
        Assert.Equal(end.Fingerprint(), interpolated.Fingerprint());
        path.Save(folder.PathOf("curve.safetensors"));
        using var loaded = ParameterPath.Load(folder.PathOf("curve.safetensors"), first, second);
        Assert.Equal(path.Names, loaded.Names);
        using TextClassifier mixed = new CheckpointMixture(first, second, MixtureGranularity.Weight, task).CreateModel();
        Tests.Tuning.Toy.AssertClose(
            first.Parameters[Words][first.Tokenizer.TokenId("good")!.Value] + 0.5,
            mixed.Parameters[Words][end.Tokenizer.TokenId("good")!.Value],
            1e-5
        );

        // A point of it is an ordinary checkpoint.
        interpolated.Save(folder.PathOf("point"));
        using var read = TextClassifier.Load(folder.PathOf("point"));
        Assert.Equal(interpolated.Fingerprint(), read.Fingerprint());
        Assert.Equal(end.Encode(Text + Extra[1]).Ids, read.Encode(Text + Extra[1]).Ids);
    }

    [Fact]
    public void TokenizersOfOtherKindsAndPositionsFromOtherPlacesAreRefused()
    {
        using var folder = new TemporaryFolder();
        string pairs = folder.PathOf("pairs");
        Write("tiny-bert", pairs, isTied: true, turned: false, extra: false);
        File.Delete(Path.Join(pairs, "vocab.txt"));
        foreach (string file in new[] { "vocab.json", "merges.txt" })
        {
            File.Copy(Oracles.PathOf("tiny-roberta", file), Path.Join(pairs, file));
        }

        File.WriteAllText(Path.Join(pairs, "tokenizer_config.json"), """{"tokenizer_class":"RobertaTokenizer"}""");
        using TextClassifier first = Classifier("tiny-bert", folder.PathOf("first"), isTied: true, turned: false);
        using var second = TextClassifier.Create(pairs, Settings("tiny-bert"));
        string message = Assert.Throws<ArgumentException>(() => new ParameterPath(first, second)).Message;
        Assert.Contains("the tokenizer's kind is WordPiece and byte pairs", message, StringComparison.Ordinal);
        Assert.Contains("kind of tokenizer", message, StringComparison.Ordinal);

        // Positions of RoBERTa are counted from the padding.
        string moved = folder.PathOf("moved");
        Write("tiny-roberta", moved, isTied: true, turned: true, extra: false);
        string config = Path.Join(moved, "config.json");
        File.WriteAllText(config, ModelConfig.Load(config).With("pad_token_id", 3).ToJson());
        using var roberta = TextClassifier.Create(Oracles.PathOf("tiny-roberta"), Settings("tiny-roberta"));
        using var other = TextClassifier.Create(moved, Settings("tiny-roberta"));
        message = Assert.Throws<ArgumentException>(() => new ParameterPath(roberta, other)).Message;
        Assert.Contains("the id that positions are counted from is 1 and 3", message, StringComparison.Ordinal);
    }

    [Fact]
    public void AMeanOfThreeIsTheMeanInTheFirstsVocabulary()
    {
        using DisposeScope scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using TextClassifier first = Classifier("tiny-bert", folder.PathOf("first"), isTied: true, turned: false);
        using TextClassifier second = Classifier("tiny-bert", folder.PathOf("second"), isTied: true, turned: true);
        using TextClassifier third = Classifier("tiny-bert", folder.PathOf("third"), isTied: true, turned: true, extra: true);
        Shift(second, 1);
        Shift(third, 3);
        using TextClassifier mean = CheckpointMean.Of([first, second, third], [0.5, 0.25, 0.25]),
            same = CheckpointMean.Of([first, first], [0.3, 0.7]);
        Assert.Equal(first.Fingerprint(), same.Fingerprint());
        Shift(first, 1);
        foreach ((string name, Parameter parameter) in first.Parameters)
        {
            Tests.Tuning.Toy.AssertClose(parameter, mean.Parameters[name], 1e-5, name);
        }

        Assert.Throws<ArgumentException>(() => CheckpointMean.Of([first], [1]));
        Assert.Throws<ArgumentException>(() => CheckpointMean.Of([first, second], [1]));
        Assert.Throws<ArgumentOutOfRangeException>(() => CheckpointMean.Of([first, second], [0.5, 0.6]));
        Assert.Throws<ArgumentOutOfRangeException>(() => CheckpointMean.Of([first, second], [-0.5, 1.5]));
        Assert.Throws<ArgumentOutOfRangeException>(() => CheckpointMean.Of([first, second], [double.NaN, 1]));
    }

    [Fact]
    public void ASoftPromptsMaskIsTheSameTokenWhereverItStands()
    {
        using var folder = new TemporaryFolder();
        var settings = new ClassifierSettings
        {
            Labels = ["neg", "pos"],
            Words = ["bad", "good"],
            Tuning = new SoftPromptOptions { Size = 3 },
        };
        Write("tiny-bert", folder.PathOf("first"), isTied: true, turned: false, extra: false);
        Write("tiny-bert", folder.PathOf("second"), isTied: true, turned: true, extra: false);
        using TextClassifier first = TextClassifier.Create(folder.PathOf("first"), settings),
            second = TextClassifier.Create(folder.PathOf("second"), settings);
        Assert.NotEqual(first.Tokenizer.MaskId, second.Tokenizer.MaskId);
        using var path = new ParameterPath(first, second);
        Assert.All(path.Names, name => Assert.Contains(name, first.TunedParameters.Keys));
    }

    private static ClassifierSettings Settings(string checkpoint) =>
        checkpoint switch
        {
            "tiny-t5" => new()
            {
                Head = HeadKind.Generation,
                Labels = ["neg", "pos"],
                TextToText = new("toy", TextMetric.Accuracy),
            },
            "tiny-gpt2" => new() { Head = HeadKind.SequenceClassification, Labels = ["neg", "pos"] },
            _ => new()
            {
                Labels = ["neg", "pos"],
                Words = ["bad", "good"],
                Template = "*cls**sent_0*_It_was*mask*.*sep+*",
            },
        };

    private static TextClassifier Classifier(string checkpoint, string folder, bool isTied, bool turned, bool extra = false)
    {
        Write(checkpoint, folder, isTied, turned, extra);

        // What takes rows of the language-model head: GPT-2's classifier has none.
        ClassifierSettings settings =
            checkpoint == "tiny-gpt2" && !isTied
                ? new()
                {
                    Labels = ["neg", "pos"],
                    Words = ["bad", "good"],
                    AutoregressiveTemplate = "\"{0}\" was",
                }
                : Settings(checkpoint);
        return TextClassifier.Create(folder, settings);
    }

    /// <summary>Writes an oracle's checkpoint, perhaps with its tokens turned about, more of them, or a head of its own.</summary>
    private static void Write(string checkpoint, string folder, bool isTied, bool turned, bool extra)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable noGradients = no_grad();
        using var oracle = CheckpointFolder.Open(Oracles.PathOf(checkpoint));
        string[] tokens = Tokens(checkpoint);
        int size = oracle.Config.VocabularySize;

        // BERT's vocabulary is reversed, special tokens and all; RoBERTa's, which counts positions from the padding's id, T5's and
        // GPT-2's from its tenth token on.
        int kept =
            checkpoint == "tiny-bert" ? 0
            : checkpoint == "tiny-t5" ? 13
            : 10;

        int[] order = [.. Enumerable.Range(0, size)];
        if (turned)
        {
            Array.Reverse(order, kept, tokens.Length - kept);
        }

        string[] turnedTokens = [.. order.Take(tokens.Length).Select(id => tokens[id]), .. extra ? Extra : []];
        Tensor rows = tensor(Array.ConvertAll(order, id => (long)id));
        var tensors = new OrderedDictionary<string, Tensor>(StringComparer.Ordinal);
        foreach (TensorInfo info in oracle.Weights.Tensors)
        {
            Tensor value = oracle.Weights.Read(info.Name);
            bool isTable = value.shape.Length > 0 && value.shape[0] == size;
            value = isTable ? value.index_select(0, rows) : value;
            tensors[info.Name] = isTable && extra ? cat([value, full([Extra.Length, .. value.shape[1..]], 9f)]) : value;
        }

        ModelConfig config = oracle.Config.With("vocab_size", size + (extra ? Extra.Length : 0));
        if (!isTied)
        {
            config = config.With("tie_word_embeddings", false);
            string words = checkpoint == "tiny-gpt2" ? "transformer.wte.weight" : $"{checkpoint[5..]}.embeddings.word_embeddings.weight";
            string head = checkpoint switch
            {
                "tiny-bert" => "cls.predictions.decoder",
                "tiny-roberta" => "lm_head.decoder",
                _ => "lm_head",
            };
            tensors[$"{head}.weight"] = tensors[words] + 0.5;
            if (checkpoint != "tiny-gpt2")
            {
                tensors[$"{head}.bias"] = tensors[checkpoint == "tiny-bert" ? "cls.predictions.bias" : "lm_head.bias"].clone();
            }
        }

        if (checkpoint == "tiny-bert" && turned)
        {
            config = config.With("pad_token_id", Array.IndexOf(turnedTokens, "[PAD]"));
        }

        var texts = new Dictionary<string, string>(StringComparer.Ordinal);
        string[] copied = [];
        switch (checkpoint)
        {
            case "tiny-bert":
                texts["vocab.txt"] = string.Join('\n', turnedTokens) + "\n";
                break;
            case "tiny-t5":
                JsonNode json = JsonNode.Parse(File.ReadAllText(Oracles.PathOf(checkpoint, "tokenizer.json")))!;
                JsonArray pieces = json["model"]!["vocab"]!.AsArray();
                JsonNode[] old = [.. pieces.Select(piece => piece!.DeepClone())];
                json["model"]!["vocab"] = new JsonArray([.. order.Take(old.Length).Select(id => old[id].DeepClone())]);
                texts["tokenizer.json"] = json.ToJsonString();
                break;
            default:
                texts["vocab.json"] = JsonSerializer.Serialize(
                    turnedTokens.Select((token, id) => KeyValuePair.Create(token, id)).ToDictionary()
                );
                copied = [Oracles.PathOf(checkpoint, "merges.txt")];
                break;
        }

        CheckpointFolder.Save(folder, config, tensors.Select(pair => (pair.Key, pair.Value)), copied, textFiles: texts);
    }

    private static string[] Tokens(string checkpoint) =>
        checkpoint switch
        {
            "tiny-bert" => File.ReadAllLines(Oracles.PathOf(checkpoint, "vocab.txt")),
            "tiny-t5" =>
            [
                .. JsonNode.Parse(File.ReadAllText(Oracles.PathOf(checkpoint, "tokenizer.json")))!["model"]!["vocab"]!
                    .AsArray()
                    .Select(piece => (string)piece![0]!),
            ],
            _ =>
            [
                .. JsonSerializer
                    .Deserialize<Dictionary<string, int>>(File.ReadAllText(Oracles.PathOf(checkpoint, "vocab.json")))!
                    .OrderBy(pair => pair.Value)
                    .Select(pair => pair.Key),
            ],
        };

    private static void Shift(TextClassifier classifier, double amount)
    {
        using IDisposable noGradients = no_grad();
        foreach (Parameter parameter in classifier.Parameters.Values)
        {
            parameter.add_(amount);
        }
    }

    private static float[] Scores(TextClassifier classifier) => classifier.Score([classifier.Encode(Text)])[0];

    private sealed class Near : IEqualityComparer<float>
    {
        public bool Equals(float x, float y) => Math.Abs(x - y) < 1e-5f;

        public int GetHashCode(float value) => 0;
    }
}
