using System.Text.Json;
using System.Text.Json.Nodes;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tests.Checkpoints;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Classification;

/// <summary>Hugging Face folders as classifiers, and what is said of folders that lack what a head reads.</summary>
public sealed class ForeignClassifierTests
{
    private static string SeqCls => Oracles.PathOf("bugs", "checkpoints", "bert-seqcls");

    [Fact]
    public void WithoutNamesLabelsAreNumbered()
    {
        using var classifier = TextClassifier.Load(SeqCls);
        Assert.Equal(["LABEL_0", "LABEL_1"], classifier.Settings.Labels);

        // Probabilities by transformers, of the last twenty texts.
        string[] texts = JsonSerializer.Deserialize<string[]>(File.ReadAllText(Oracles.PathOf("bugs", "checkpoints", "texts.json")))![55..];
        float[][] expected = JsonSerializer.Deserialize<float[][]>(File.ReadAllText(Path.Combine(SeqCls, "ref_scores.json")))!;
        float[][] scores = classifier.Score([.. texts.Select(text => classifier.Encode(text))]);
        Assert.Equal(20, scores.Length);
        for (int i = 0; i < scores.Length; i++)
        {
            Assert.Equal(expected[i][1], scores[i][1], 1e-5f);
        }
    }

    [Theory]
    [InlineData("roberta")]
    [InlineData("bert")]
    [InlineData("gpt2")]
    [InlineData("distilbert")]
    [InlineData("electra")]
    [InlineData("xlm-roberta")]
    [InlineData("camembert")]
    [InlineData("mpnet")]
    public void TextsAndPairsScoreAsInPython(string name)
    {
        // RoBERTa has two separators between the texts of a pair, GPT-2 nothing, and reads the last token.
        string folder = Oracles.PathOf("foreign-classifiers", name);
        JsonArray rows = JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "expected.json")))!.AsArray();
        foreach (bool isPair in new[] { false, true })
        {
            using var classifier = TextClassifier.Create(folder, ClassifierSettings.Load(folder, isPair));
            Assert.Equal(["no", "maybe", "yes"], classifier.Settings.Labels);
            foreach (JsonNode? row in rows.Where(row => row!["pair"] is not null == isPair))
            {
                EncodedText encoded = classifier.Encode(row!["text"]!.GetValue<string>(), row["pair"]?.GetValue<string>());
                Assert.Equal(row["ids"].Deserialize<int[]>(), encoded.Ids);
                float[] expected = row["scores"].Deserialize<float[]>()!,
                    scores = classifier.Score([encoded])[0];
                for (int label = 0; label < 3; label++)
                {
                    Assert.Equal(expected[label], scores[label], 1e-5f);
                }
            }
        }
    }

    [Theory]
    [InlineData("roberta", "RobertaForSequenceClassification")]
    [InlineData("distilbert", "DistilBertForSequenceClassification")]
    [InlineData("electra", "ElectraForSequenceClassification")]
    [InlineData("xlm-roberta", "XLMRobertaForSequenceClassification")]
    [InlineData("camembert", "CamembertForSequenceClassification")]
    [InlineData("mpnet", "MPNetForSequenceClassification")]
    public void ASavedForeignClassifierReadsAsBefore(string name, string architecture)
    {
        using var target = new TemporaryFolder();
        string folder = Oracles.PathOf("foreign-classifiers", name);
        using var classifier = TextClassifier.Create(folder, ClassifierSettings.Load(folder, hasTextPair: true));
        string saved = target.PathOf("saved");
        classifier.Save(saved);
        using var read = TextClassifier.Load(saved);
        Assert.Equal(["no", "maybe", "yes"], read.Backbone.Config.Labels);
        Assert.Equal([architecture], read.Backbone.Config.Architectures);
        Assert.Equal(classifier.Encode("a fine film", "good").Ids, read.Encode("a fine film", "good").Ids);
        Assert.Equal(classifier.Score([classifier.Encode("a", "b")])[0], read.Score([read.Encode("a", "b")])[0]);
    }

    [Theory]
    [InlineData("""{"num_labels": 3}""", "LABEL_0,LABEL_1,LABEL_2")]
    [InlineData("""{"id2label": null}""", "LABEL_0,LABEL_1")]
    [InlineData("""{"id2label": {"1": 5, "0": "no"}}""", "no,5")]
    [InlineData("""{"architectures": ["BertForMaskedLM"]}""", "")]
    public void LabelsAreThoseOfTransformers(string fields, string labels)
    {
        JsonNode json = JsonNode.Parse(File.ReadAllText(Path.Combine(SeqCls, "config.json")))!;
        foreach ((string key, JsonNode? value) in JsonNode.Parse(fields)!.AsObject())
        {
            json[key] = value?.DeepClone();
        }

        Assert.Equal(labels, string.Join(',', ModelConfig.Parse(json.ToJsonString()).Labels));
    }

    [Theory]
    [InlineData("problem_type", "\"regression\"")]
    [InlineData("num_labels", "1")]
    public void WhatIsNoChoiceOfOneLabelIsRefusedByName(string key, string value)
    {
        using var folder = new TemporaryFolder();
        JsonNode json = JsonNode.Parse(File.ReadAllText(Path.Combine(SeqCls, "config.json")))!;
        json[key] = JsonNode.Parse(value);
        File.WriteAllText(folder.PathOf("config.json"), json.ToJsonString());
        string message = Assert.Throws<NotSupportedException>(() => ClassifierSettings.Load(folder.Path)).Message;
        Assert.Contains("problem_type", message, StringComparison.Ordinal);
        Assert.Contains(folder.PathOf("config.json"), message, StringComparison.Ordinal);
    }

    [Fact]
    public void SeveralLabelsARowHaveProbabilitiesOfTheirOwn()
    {
        using var folder = new TemporaryFolder();
        foreach (string file in Directory.GetFiles(SeqCls))
        {
            File.Copy(file, folder.PathOf(Path.GetFileName(file)));
        }

        JsonNode json = JsonNode.Parse(File.ReadAllText(folder.PathOf("config.json")))!;
        json["problem_type"] = "multi_label_classification";
        File.WriteAllText(folder.PathOf("config.json"), json.ToJsonString());
        using var one = TextClassifier.Load(SeqCls);
        using var several = TextClassifier.Load(folder.Path);
        Assert.All(several.Settings.Thresholds!, threshold => Assert.Equal(0.5f, threshold));
        float[] odds = one.Score([one.Encode("the man was")])[0],
            probabilities = several.Score([several.Encode("the man was")])[0];
        double[] logits = Array.ConvertAll(probabilities, value => Math.Log(value / (1 - value)));
        Assert.Equal(Math.Log(odds[1] / odds[0]), logits[1] - logits[0], 1e-4);
        Assert.NotEqual(1, probabilities.Sum(), 3);
    }

    [Fact]
    public void AFolderWithoutALanguageModelHeadSaysWhatItIs()
    {
        // The classifier with a prompt: label words need the head of a masked language model.
        string message = Assert.Throws<InvalidDataException>(() => LanguageModel.Load(SeqCls)).Message;
        foreach (
            string said in new[]
            {
                SeqCls,
                "BertForSequenceClassification",
                "no language-model head",
                "'LABEL_0', 'LABEL_1'",
                "HeadKind.SequenceClassification",
                "ForMaskedLM",
            }
        )
        {
            Assert.Contains(said, message, StringComparison.Ordinal);
        }

        // RobertaModel: weights without the head and without the architecture's prefix.
        using var folder = new TemporaryFolder();
        string source = Oracles.PathOf("tiny-roberta");
        ModelConfig config = ModelConfig.Load(Path.Combine(source, "config.json")).WithArchitecture("RobertaModel");
        File.WriteAllText(folder.PathOf("config.json"), config.ToJson());
        using (TorchSharp.DisposeScope scope = NewDisposeScope())
        using (var weights = SafetensorsFile.Open(Path.Combine(source, "model.safetensors")))
        {
            SafetensorsWriter.Write(
                folder.PathOf("model.safetensors"),
                weights
                    .Tensors.Where(info => info.Name.StartsWith("roberta.", StringComparison.Ordinal))
                    .Select(info => (info.Name["roberta.".Length..], weights.Read(info.Name)))
            );
        }

        message = Assert.Throws<InvalidDataException>(() => LanguageModel.Load(folder.Path)).Message;
        Assert.Contains("RobertaModel", message, StringComparison.Ordinal);
        Assert.Contains("no language-model head", message, StringComparison.Ordinal);
        Assert.DoesNotContain("classifier of the labels", message, StringComparison.Ordinal);
        using var bare = LanguageModel.Load(folder.Path, withHead: false);
        Assert.False(bare.HasHead);
    }
}
