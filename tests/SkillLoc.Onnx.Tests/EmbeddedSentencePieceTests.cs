using System.Text;
using System.Text.Json.Nodes;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Generation;
using SkillLoc.Models.Onnx;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tokenization;

namespace SkillLoc.Onnx.Tests;

/// <summary>SentencePiece in the graph gives the ids that ours gives, of all files that hold its pieces.</summary>
public sealed class EmbeddedSentencePieceTests : IDisposable
{
    private static readonly string[] Texts =
    [
        "a good film",
        "",
        " ",
        "   ",
        "  two  leading,   more  within and trailing  ",
        " \t\n mixed \r\n ",
        "\n",
        "tab\tnew\nline\r\nvert\u000Bform\u000Cnext\u0085line\u2028sep\u2029par",
        "\u00A0no\u00A0break\u00A0\u00A0two\u2003em\u3000wide\u3000",
        "ends with next line \u0085",
        "ｆｕｌｌ ｗｉｄｔｈ ＡＢＣ１２３",
        "emoji \U0001F600 \U0001F44D\U0001F3FD \U0001F469\u200D\U0001F680 \U0001F1E9\U0001F1EA 1\uFE0F\u20E3",
        "combining e\u0301 a\u0308 n\u0303 E\u0302\u0323 q\u0307\u0323 \u1E9B\u0323",
        "\u0301 lone mark \u0301",
        "zero\u200Bwidth\u200C\u200Djoin\u200E\u200F\uFEFF soft\u00ADhyphen",
        "\u0001\u0002\u001F\u007F\u008F\u009F control",
        "ﬁ ﬂ ﷺ ㍿ ½ ① Ⅻ ™ \u212B",
        "中文字符 日本語テキスト 한국어 \u1112\u1161\u11AB हिन्दी ไทย العَرَبِيَّة שָׁלוֹם",
        "unknown \u1234\u1235 \U00012345 \u1234",
        "\uD835\uDD38\uD835\uDD39 math letters",
        "\uD800 lone surrogate",
        "</s> <s> <pad> <mask> <unk> <extra_id_0> <extra_id_1>",
        "a<mask>b</s>c<extra_id_0>d",
        "<0x41><0xFF> <s>NOTUSED <unk>NOTUSED",
        "don't can't it's — “quotes” … ‘single’ «guillemets»",
        "İstanbul ß ẞ Straße",
        "supercalifragilisticexpialidocious" + new string('x', 150),
        string.Concat(Enumerable.Repeat("a very long text that nobody needs ", 60)),
    ];

    // What the operator does otherwise, as docs/components/onnx.md says.
    private const string Cut = "what stands behind \0 is lost";
    private const string SpaceSign = "\u2581";

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("skillloc-onnx-");

    private string Model => Path.Combine(_folder.FullName, "model.onnx");

    private static ClassifierSettings Plain =>
        OnnxCases.Mask with
        {
            Head = HeadKind.SequenceClassification,
            Template = null,
            Words = null,
        };

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [InlineData("XLM-RoBERTa, classifier")]
    [InlineData("XLM-RoBERTa, label words")]
    [InlineData("XLM-RoBERTa, two texts")]
    [InlineData("CamemBERT, label words")]
    [InlineData("T5, answers")]
    [InlineData("T5 1.1, answers")]
    public void IdsAreOurs(string name)
    {
        using TextClassifier classifier = OnnxCases.Create(name);
        ClassifierSettings settings = classifier.Settings;
        foreach (int length in new[] { settings.MaxLength, 12, 500 })
        {
            Assert.Empty(Differences(settings with { MaxLength = length }, classifier.Tokenizer));
        }

        Assert.Equal([Cut], Differences(settings, classifier.Tokenizer, Cut));
        string[] seconds = [OnnxCases.SecondText, "", Texts[^1], "  </s> \u3000and ", Texts[^3]];
        foreach (string second in settings.TextToText is not null || settings.HasTextPair ? seconds : [])
        {
            ClassifierSettings pair = settings with { HasTextPair = true };
            Assert.Empty(EmbeddedIds.Differences(Model, pair, classifier.Tokenizer, Texts, second));
        }
    }

    [Theory]
    [InlineData("tiny-xlm-roberta", "sentencepiece.bpe.model")]
    [InlineData("tiny-xlm-roberta", "tokenizer.json")]
    [InlineData("tiny-xlm-roberta", "tokenizer.hub.json")]
    [InlineData("tiny-camembert", "sentencepiece.bpe.model")]
    [InlineData("tiny-camembert", "tokenizer.json")]
    [InlineData("tiny-camembert", "tokenizer.hub.json")]
    [InlineData("foreign-classifiers/xlm-roberta", "tokenizer.json")]
    [InlineData("foreign-classifiers/camembert", "tokenizer.json")]
    public void IdsAreOursWhicheverFileHoldsThePieces(string name, string file)
    {
        CheckpointTokenizer tokenizer = Load(name, file);
        Assert.Empty(Differences(Plain, tokenizer));
        Assert.Empty(Differences(Plain with { SpecialTokens = SpecialTokenLayout.Checkpoint, HasTextPair = true }, tokenizer));
        string template = "*cls**mask*:*+sent_0**sep+*";
        ClassifierSettings mask = OnnxCases.Mask with { Words = ["film", "good"], Template = template, FirstSentenceLimit = 9 };
        Assert.Empty(Differences(mask, tokenizer));
    }

    [Fact]
    public void OneSignIsASpaceInSentencePiece()
    {
        // Its own sign for a space, where the rules do not make it a space as T5's do.
        string text = $"ends with {SpaceSign}";
        Assert.Equal([text], Differences(Plain, Load("tiny-camembert", "tokenizer.json"), text));
        using TextClassifier t5 = OnnxCases.Create("T5, answers");
        Assert.Empty(Differences(t5.Settings, t5.Tokenizer, text));
    }

    [Fact]
    public void MarksOnSpacesAreReplacedTogether()
    {
        string text = "mark on a space\u00A0\u0308 here";
        Assert.Equal([text], Differences(Plain, Load("tiny-xlm-roberta", "tokenizer.json"), text));
        Assert.Empty(Differences(Plain, Load("tiny-xlm-roberta", "sentencepiece.bpe.model"), text));
    }

    [Fact]
    public void PiecesOfOtherKindsAreSentencePieces()
    {
        byte[] model = File.ReadAllBytes(Oracles.PathOf("tiny-t5", "spiece.model"));
        byte[] own = [.. Piece("<ctrl>", 4), .. Piece("two words", 4), .. Piece("dead", 5), .. Piece("<extra_id_0>", 1)];
        byte[] bytes = [.. Enumerable.Range(0, 256).SelectMany(value => Piece($"<0x{value:X2}>", 6)), 0x12, 3, 0x98, 0x02, 1];
        string[] texts = [.. Texts, "a <ctrl> b<ctrl>", "some two words", "dead men", "<extra_id_0>"];
        foreach (byte[] more in new[] { own, bytes })
        {
            DirectoryInfo folder = _folder.CreateSubdirectory(more.Length.ToString("x8", null));
            File.WriteAllText(Path.Combine(folder.FullName, "config.json"), """{"model_type": "t5"}""");
            File.WriteAllBytes(Path.Combine(folder.FullName, "spiece.model"), [.. model, .. more]);
            var tokenizer = CheckpointTokenizer.Load(folder.FullName);
            Assert.Empty(Differences(Plain with { SpecialTokens = SpecialTokenLayout.Checkpoint }, tokenizer, texts));
        }
    }

    [Fact]
    public void WhatSentencePieceCannotDoIsRefusedByName()
    {
        Refused("'Nmt'", Load("tiny-t5", "tokenizer.json"));
        Refused(
            "added tokens that are not special",
            Changed(root =>
                root["added_tokens"]!
                    .AsArray()
                    .Add(
                        new JsonObject
                        {
                            ["id"] = 400,
                            ["content"] = "<new>",
                            ["special"] = false,
                        }
                    )
            )
        );
        Refused("fall back to bytes", Changed(AddBytes));
        Refused("its worst piece", Changed(root => root["model"]!["vocab"]![1]![1] = -200.0));
        Refused("keeps spaces", Changed(root => root["normalizer"] = null));
        Refused("pre-tokenizer", Changed(root => root["pre_tokenizer"]!["prepend_scheme"] = "never"));
        Refused("'Lowercase'", Changed(root => root["normalizer"] = new JsonObject { ["type"] = "Lowercase" }));

        using TextClassifier t5 = OnnxCases.Create("T5, answers");
        ClassifierSettings lower = t5.Settings with { TextToText = new("toy", TextMetric.Accuracy) { Lowercase = true } };
        Assert.Contains(
            nameof(TextToTextTask.Lowercase),
            Assert.Throws<NotSupportedException>(() => new OnnxTextInputs(new(), lower, t5.Tokenizer)).Message,
            StringComparison.Ordinal
        );

        static void Refused(string part, CheckpointTokenizer tokenizer)
        {
            ClassifierSettings settings = Plain with { SpecialTokens = SpecialTokenLayout.Checkpoint };
            string message = Assert.Throws<NotSupportedException>(() => new OnnxTextInputs(new(), settings, tokenizer)).Message;
            Assert.Contains("cannot be in the graph", message, StringComparison.Ordinal);
            Assert.Contains(part, message, StringComparison.Ordinal);
        }

        static void AddBytes(JsonNode root)
        {
            root["model"]!["byte_fallback"] = true;
            foreach (int value in Enumerable.Range(0, 256))
            {
                root["model"]!["vocab"]!.AsArray().Add(new JsonArray($"<0x{value:X2}>", -5.0));
            }
        }
    }

    [Fact]
    public void AnotherFileThanTheLoadedOneIsRefused()
    {
        CheckpointTokenizer tokenizer = Load("tiny-xlm-roberta", "sentencepiece.bpe.model");
        File.Copy(Oracles.PathOf("tiny-t5", "spiece.model"), Path.Combine(tokenizer.Folder, "sentencepiece.bpe.model"), overwrite: true);
        Assert.Contains(
            "changed",
            Assert.Throws<InvalidDataException>(() => new OnnxTextInputs(new(), Plain, tokenizer)).Message,
            StringComparison.Ordinal
        );
    }

    private List<string> Differences(ClassifierSettings settings, CheckpointTokenizer tokenizer, params string[] texts) =>
        EmbeddedIds.Differences(Model, settings, tokenizer, texts.Length == 0 ? Texts : texts);

    // The tokenizer of a checkpoint with one of its files.
    private CheckpointTokenizer Load(string name, string file)
    {
        DirectoryInfo folder = _folder.CreateSubdirectory($"{name}-{file}");
        foreach (string settings in new[] { "config.json", "tokenizer_config.json" })
        {
            string path = Oracles.PathOf(name, settings);
            if (File.Exists(path))
            {
                File.Copy(path, Path.Combine(folder.FullName, settings), overwrite: true);
            }
        }

        string copy = file.Replace(".hub", "", StringComparison.Ordinal);
        File.Copy(Oracles.PathOf(name, file), Path.Combine(folder.FullName, copy), overwrite: true);
        return CheckpointTokenizer.Load(folder.FullName);
    }

    private CheckpointTokenizer Changed(Action<JsonNode> change)
    {
        string folder = Load("tiny-camembert", "tokenizer.json").Folder,
            file = Path.Combine(folder, "tokenizer.json");
        JsonNode root = JsonNode.Parse(File.ReadAllText(file))!;
        change(root);
        File.WriteAllText(file, root.ToJsonString());
        return CheckpointTokenizer.Load(folder);
    }

    private static byte[] Piece(string text, int type)
    {
        byte[] letters = Encoding.UTF8.GetBytes(text);
        byte[] content = [0x0A, (byte)letters.Length, .. letters, 0x15, 0, 0, 0, 0, 0x18, (byte)type];
        return [0x0A, (byte)content.Length, .. content];
    }
}
