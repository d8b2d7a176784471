using System.Text.Json;
using System.Text.Json.Nodes;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tokenization;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Checkpoints;

/// <summary>
/// Folders as transformers 5 writes them: <c>tokenizer.json</c> alone, <c>dtype</c>, shards, encoders without a head and so without a
/// prefix. What it computes of them lies beside them (tests/oracles/today/make.py).
/// </summary>
public sealed class TodaysCheckpointTests
{
    private static readonly string[] Folders =
    [
        "today/bert",
        "today/roberta",
        "today/gpt2",
        "today/t5",
        "tiny-distilbert",
        "tiny-electra",
        "tiny-xlm-roberta",
        "tiny-camembert",
        "tiny-mpnet",
    ];

    public static TheoryData<string> All => [.. Folders];

    [Theory]
    [MemberData(nameof(All))]
    public void IdsEqualThoseOfTransformers(string name)
    {
        string folder = Oracles.PathOf(name);
        var tokenizer = CheckpointTokenizer.Load(folder);
        tokenizer.CheckVocabulary(CheckpointFolder.ReadConfig(folder).VocabularySize);
        Assert.DoesNotContain(tokenizer.Files, file => Path.GetFileName(file) is "vocab.txt" or "vocab.json" or "spiece.model");
        JsonArray rows = JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "encodings.json")))!.AsArray();
        Assert.Equal(14, rows.Count);
        foreach (JsonNode? row in rows)
        {
            string text = row!["text"]!.GetValue<string>();
            int[] ids = row["ids"].Deserialize<int[]>()!;
            Assert.Equal(row["bare"].Deserialize<int[]>(), tokenizer.Encode(text));
            var encoder = new SequenceEncoder(tokenizer, row["max_length"]?.GetValue<int>() ?? 512, SpecialTokenLayout.Checkpoint)
            {
                Truncation = Truncation.Sentences,
            };

            // A row without tokens, as GPT-2's of an empty text, is padding here.
            Assert.Equal(ids.Length > 0 ? ids : [tokenizer.PadId], encoder.Encode(text, row["pair"]?.GetValue<string>()).Ids);
        }
    }

    [Theory]
    [InlineData("today/bert")]
    [InlineData("today/roberta")]
    [InlineData("today/gpt2")]
    [InlineData("today/t5")]
    [InlineData("tiny-electra-discriminator")]
    public void HiddenStatesAreThoseOfTransformers(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable inference = no_grad();
        using var expected = SafetensorsFile.Open(Oracles.PathOf(name, "expected.safetensors"));
        bool hasHead = expected.Contains("logits") && name != "tiny-electra-discriminator";
        using var model = LanguageModel.Load(Oracles.PathOf(name), withHead: hasHead);
        Assert.Equal(ScalarType.Float32, model.Dtype);
        using TokenBatch batch = Batch(expected, model.Config);
        Tensor hidden = model.Encode(batch),
            mask = expected.Read("attention_mask").to(ScalarType.Float32).unsqueeze(-1);
        AssertClose(expected.Read("hidden") * mask, hidden * mask);
        if (model is T5ForConditionalGeneration t5)
        {
            AssertClose(
                expected.Read("logits"),
                t5.Logits(
                    batch,
                    tensor(
                        new long[,]
                        {
                            { 0, 7, 9 },
                            { 0, 7, 9 },
                            { 0, 7, 9 },
                        }
                    )
                ),
                1e-4
            );
        }
        else if (hasHead)
        {
            AssertClose(expected.Read("logits") * mask, model.WordScores(hidden) * mask, 1e-4);
        }
    }

    [Theory]
    [InlineData("tiny-distilbert")]
    [InlineData("tiny-electra")]
    [InlineData("tiny-xlm-roberta")]
    [InlineData("tiny-camembert")]
    [InlineData("tiny-mpnet")]
    public void HiddenStatesOfEncodersAreThoseOfTransformers(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable inference = no_grad();
        using var expected = SafetensorsFile.Open(Oracles.PathOf(name, "expected.safetensors"));
        using var model = LanguageModel.Load(Oracles.PathOf(name));
        Assert.Equal(
            expected.Tensors.Select(info => info.Name).Where(tensor => tensor.StartsWith("grad.", StringComparison.Ordinal)),
            model.Parameters.Keys.Order(StringComparer.Ordinal).Select(parameter => "grad." + parameter)
        );
        using TokenBatch batch = Batch(expected, model.Config);
        Tensor hidden = model.Encode(batch),
            mask = expected.Read("attention_mask").to(ScalarType.Float32).unsqueeze(-1);
        AssertClose(expected.Read($"hidden.{model.Config.Layers}") * mask, hidden * mask);
        AssertClose(expected.Read("logits") * mask, model.WordScores(hidden) * mask, 1e-4);

        // A padding token within a text, which some count and some do not.
        int[] ids = Array.ConvertAll(expected.Read("padded_ids").data<long>().ToArray(), id => (int)id);
        int[]? types = model.Config.TypeVocabularySize > 1 ? new int[ids.Length] : null;
        using var padded = TokenBatch.Create([new(ids, types, 0)], model.Config.PadTokenId!.Value);
        AssertClose(expected.Read("padded_hidden"), model.Encode(padded));
    }

    [Fact]
    public void FarDistancesShareABucketInMpnet()
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable inference = no_grad();
        using var expected = SafetensorsFile.Open(Oracles.PathOf("tiny-mpnet", "long.safetensors"));
        using var model = LanguageModel.Load(Oracles.PathOf("tiny-mpnet"));
        int[] ids = Array.ConvertAll(expected.Read("input_ids").data<long>().ToArray(), id => (int)id);
        using var batch = TokenBatch.Create([new(ids, null, 101)], 1);
        Tensor hidden = expected.Read("hidden");
        AssertClose(hidden, model.Encode(batch));
        AssertClose(hidden[.., 101], model.EncodeAt(batch));
    }

    [Theory]
    [InlineData("xlm-roberta")]
    [InlineData("camembert")]
    public void PiecesAloneHaveTheIdsOfFairseq(string name)
    {
        using TemporaryFolder folder = Copy("tiny-" + name, "config.json", "sentencepiece.bpe.model");
        var tokenizer = CheckpointTokenizer.Load(folder.Path);
        var whole = CheckpointTokenizer.Load(Oracles.PathOf("tiny-" + name));
        foreach (JsonNode? row in Rows(name, "encodings.pieces.json"))
        {
            Assert.Equal(row!["ids"].Deserialize<int[]>(), tokenizer.Encode(row["text"]!.GetValue<string>()));
        }

        Assert.Equal(
            (whole.ClsId, whole.SepId, whole.MaskId, whole.PadId, whole.UnknownId, whole.VocabularySize),
            (tokenizer.ClsId, tokenizer.SepId, tokenizer.MaskId, tokenizer.PadId, tokenizer.UnknownId, tokenizer.VocabularySize)
        );
        Assert.Equal(whole.TokenOf(17), tokenizer.TokenOf(17));
        Assert.Equal("a film", tokenizer.Decode(tokenizer.Encode("a film")));
        Assert.DoesNotContain(
            tokenizer.Encode("<s> </s> <mask> <pad>"),
            new[] { tokenizer.ClsId, tokenizer.SepId, tokenizer.MaskId }.Contains
        );
        var encoder = new SequenceEncoder(tokenizer, 64, SpecialTokenLayout.Checkpoint);
        var other = new SequenceEncoder(whole, 64, SpecialTokenLayout.Checkpoint);
        Assert.Equal(other.Encode("a film", "the sea").Ids, encoder.Encode("a film", "the sea").Ids);
    }

    [Theory]
    [InlineData("xlm-roberta")]
    [InlineData("camembert")]
    public void WhatOlderVersionsConvertedIsReadAsItStands(string name)
    {
        using TemporaryFolder folder = Copy("tiny-" + name, "config.json");
        File.Copy(Oracles.PathOf("tiny-" + name, "tokenizer.hub.json"), folder.PathOf("tokenizer.json"));
        var tokenizer = CheckpointTokenizer.Load(folder.Path);
        var encoder = new SequenceEncoder(tokenizer, 512, SpecialTokenLayout.Checkpoint);
        foreach (JsonNode? row in Rows(name, "encodings.hub.json"))
        {
            string text = row!["text"]!.GetValue<string>();
            Assert.Equal(row["bare"].Deserialize<int[]>(), tokenizer.Encode(text));
            Assert.Equal(row["ids"].Deserialize<int[]>(), encoder.Encode(text, row["pair"]?.GetValue<string>()).Ids);
        }
    }

    [Fact]
    public void AWordPieceVocabularyAloneMakesTheTokenizersOfDistilBertAndMpnet()
    {
        foreach (string name in new[] { "tiny-distilbert", "tiny-mpnet", "tiny-electra" })
        {
            using TemporaryFolder folder = Copy(name, "config.json");
            JsonNode vocabulary = JsonNode.Parse(File.ReadAllText(Oracles.PathOf(name, "tokenizer.json")))!["model"]!["vocab"]!;
            File.WriteAllLines(
                folder.PathOf("vocab.txt"),
                vocabulary.AsObject().OrderBy(entry => entry.Value!.GetValue<int>()).Select(entry => entry.Key)
            );
            var tokenizer = CheckpointTokenizer.Load(folder.Path);
            Assert.Equal(name == "tiny-electra", tokenizer.UsesTokenTypes);
            foreach (JsonNode? row in Rows(name["tiny-".Length..], "encodings.json").Where(row => row!["max_length"] is null))
            {
                var encoder = new SequenceEncoder(tokenizer, 512, SpecialTokenLayout.Checkpoint);
                EncodedText encoded = encoder.Encode(row!["text"]!.GetValue<string>(), row["pair"]?.GetValue<string>());
                Assert.Equal(row["ids"].Deserialize<int[]>(), encoded.Ids);
            }
        }
    }

    [Fact]
    public void AnEncoderWithoutPrefixGivesItsPooler()
    {
        // A new head on a BertModel starts from the pooler that was trained with it.
        using DisposeScope scope = NewDisposeScope();
        using var checkpoint = CheckpointFolder.Open(Oracles.PathOf("today", "bert"));
        using var model = LanguageModel.Load(checkpoint, withHead: false);
        using var head = ClassificationHead.Create(HeadKind.SequenceClassification, model, ["a", "b"], stored: checkpoint);
        Assert.True(head.Parameters["bert.pooler.dense.weight"].Equals(checkpoint.Weights.Read("pooler.dense.weight")));
    }

    [Theory]
    [InlineData("deberta-v2", "DebertaV2ForMaskedLM", "DeBERTa")]
    [InlineData("modernbert", "ModernBertForMaskedLM", "ModernBERT")]
    [InlineData("llama", "LlamaForCausalLM", "Llama")]
    [InlineData("xlm-roberta-xl", "XLMRobertaXLModel", "XLM-RoBERTa-XL")]
    [InlineData("mystery", "MysteryModel", "mystery")]
    public void AnotherArchitectureIsNamedWithThoseThatAreSupported(string type, string architecture, string name)
    {
        using TemporaryFolder folder = Copy("tiny-distilbert", "model.safetensors", "tokenizer.json");
        File.WriteAllText(
            folder.PathOf("config.json"),
            new JsonObject { ["model_type"] = type, ["architectures"] = new JsonArray(architecture) }.ToJsonString()
        );
        NotSupportedException error = Assert.Throws<NotSupportedException>(() => LanguageModel.Load(folder.Path));
        string[] parts =
        [
            name,
            architecture,
            folder.PathOf("config.json"),
            "RoBERTa, BERT, GPT-2, T5, DistilBERT, ELECTRA, XLM-RoBERTa, CamemBERT and MPNet",
            "'distilbert'",
            "issue of the SkillLoc.MLNet project",
        ];
        Assert.All(parts, part => Assert.Contains(part, error.Message, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("tiny-distilbert", "vocab_transform")]
    [InlineData("tiny-electra", "generator_predictions")]
    [InlineData("tiny-mpnet", "lm_head")]
    public void AMissingHeadIsSaid(string name, string part)
    {
        using TemporaryFolder folder = Copy(name, "config.json", "tokenizer.json");
        using (var model = LanguageModel.Load(Oracles.PathOf(name), withHead: false))
        {
            using DisposeScope scope = NewDisposeScope();
            CheckpointFolder.Save(
                folder.PathOf("bare"),
                model.Config,
                model.Parameters.Select(pair => (pair.Key[(pair.Key.IndexOf('.', StringComparison.Ordinal) + 1)..], (Tensor)pair.Value)),
                []
            );
        }

        InvalidDataException error = Assert.Throws<InvalidDataException>(() => LanguageModel.Load(folder.PathOf("bare")));
        Assert.Contains(part, error.Message, StringComparison.Ordinal);
        using var encoder = LanguageModel.Load(folder.PathOf("bare"), withHead: false);
        Assert.False(encoder.HasHead);
    }

    [Theory]
    [InlineData("tiny-distilbert", "dim", "48")]
    [InlineData("tiny-distilbert", "n_layers", "3")]
    [InlineData("tiny-electra", "embedding_size", "16")]
    [InlineData("tiny-electra", "hidden_size", "36")]
    [InlineData("tiny-mpnet", "relative_attention_num_buckets", "64")]
    [InlineData("tiny-xlm-roberta", "type_vocab_size", "2")]
    public void ASizeThatTheWeightsDoNotHaveIsRefused(string name, string key, string value)
    {
        using TemporaryFolder folder = Copy(name, "config.json", "model.safetensors");
        Set(folder, key, value);
        InvalidDataException error = Assert.Throws<InvalidDataException>(() => LanguageModel.Load(folder.Path));
        Assert.Contains(folder.Path, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("tiny-mpnet", "relative_attention_num_buckets", "16", "relative_attention_num_buckets")]
    [InlineData("tiny-camembert", "pad_token_id", "null", "CamemBERT")]
    [InlineData("tiny-distilbert", "activation", "\"laplace\"", "(activation)")]
    [InlineData("tiny-xlm-roberta", "position_embedding_type", "\"relative_key\"", "position_embedding_type")]
    public void AVariantIsRefusedByName(string name, string key, string value, string said)
    {
        using TemporaryFolder folder = Copy(name, "config.json", "model.safetensors");
        Set(folder, key, value);
        NotSupportedException error = Assert.Throws<NotSupportedException>(() => LanguageModel.Load(folder.Path));
        Assert.Contains(said, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ADamagedSentencePieceModelIsRefused()
    {
        using TemporaryFolder folder = Copy("tiny-xlm-roberta", "config.json", "sentencepiece.bpe.model");
        string path = folder.PathOf("sentencepiece.bpe.model");
        byte[] bytes = File.ReadAllBytes(path);
        File.WriteAllBytes(path, bytes[..(bytes.Length / 2)]);
        Assert.Contains(
            path,
            Assert.Throws<InvalidDataException>(() => CheckpointTokenizer.Load(folder.Path)).Message,
            StringComparison.Ordinal
        );

        // T5's, which begins with <pad>, is another numbering.
        File.Copy(Oracles.PathOf("tiny-t5", "spiece.model"), path, overwrite: true);
        Assert.Contains(
            "<unk>",
            Assert.Throws<InvalidDataException>(() => CheckpointTokenizer.Load(folder.Path)).Message,
            StringComparison.Ordinal
        );
    }

    private static JsonArray Rows(string name, string file) =>
        JsonNode.Parse(File.ReadAllText(Oracles.PathOf("tiny-" + name, file)))!.AsArray();

    private static void Set(TemporaryFolder folder, string key, string value)
    {
        JsonObject config = JsonNode.Parse(File.ReadAllText(folder.PathOf("config.json")))!.AsObject();
        config[key] = JsonNode.Parse(value);
        File.WriteAllText(folder.PathOf("config.json"), config.ToJsonString());
    }

    private static TemporaryFolder Copy(string name, params string[] files)
    {
        var folder = new TemporaryFolder();
        foreach (string file in files)
        {
            File.Copy(Oracles.PathOf(name, file), folder.PathOf(file));
        }

        return folder;
    }

    private static TokenBatch Batch(SafetensorsFile expected, ModelConfig config)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor ids = expected.Read("input_ids"),
            mask = expected.Read("attention_mask");
        Tensor? types = expected.Contains("token_type_ids") && config.TypeVocabularySize > 0 ? expected.Read("token_type_ids") : null;
        var rows = new List<EncodedText>();
        for (long row = 0; row < ids.size(0); row++)
        {
            long count = mask[row].sum().ToInt64();
            rows.Add(new(Row(ids[row], count), types is null ? null : Row(types[row], count), 0));
        }

        return TokenBatch.Create(rows, config.PadTokenId ?? 0);

        static int[] Row(Tensor values, long count) =>
            Array.ConvertAll(values.narrow(0, 0, count).contiguous().data<long>().ToArray(), value => (int)value);
    }

    private static void AssertClose(Tensor expected, Tensor actual, double tolerance = 1e-5)
    {
        Assert.Equal(expected.shape, actual.shape);
        double distance = (expected - actual).abs().max().ToDouble();
        Assert.True(distance <= tolerance, $"the largest distance is {distance:E2}");
    }
}
