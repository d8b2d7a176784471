using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Generation;
using SkillLoc.Models.Onnx;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tuning;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using TemporaryFolder = SkillLoc.Models.Tests.Checkpoints.TemporaryFolder;

namespace SkillLoc.Models.Tests.Onnx;

/// <summary>What ONNX Runtime computes from exported classifiers is what they compute.</summary>
public sealed class OnnxExportTests : IDisposable
{
    private const int Longest = 40;

    private static readonly ClassifierSettings Mask = new()
    {
        Head = HeadKind.LabelWords,
        Labels = ["no", "yes"],
        Words = ["bad", "good"],
        Template = "*cls**sent_0*_It_was*mask*.*sep+*",
        MaxLength = Longest,
    };

    private static readonly ClassifierSettings Causal = Mask with
    {
        Template = null,
        AutoregressiveTemplate = "{0} It was",
        Words = [" bad", " good"],
    };

    private static readonly ClassifierSettings Written = new()
    {
        Head = HeadKind.Generation,
        TextToText = new("toy", TextMetric.Accuracy),
        Labels = ["entailment", "neutral", "a contradiction"],
        MaxLength = Longest,
    };

    private static readonly Dictionary<string, (string Checkpoint, ClassifierSettings Settings)> Cases = new(StringComparer.Ordinal)
    {
        ["BERT, label words"] = ("tiny-bert", Mask),
        ["BERT, mask first"] = ("tiny-bert", Mask with { Template = "*cls**mask*:*+sent_0**sep+*" }),
        ["BERT, two texts"] = ("tiny-bert", Mask with { Template = "*cls**sent-_0*?*mask*,*+sentl_1**sep+*", HasTextPair = true }),
        ["BERT, classifier"] = ("tiny-bert", Mask with { Head = HeadKind.SequenceClassification, Template = null, Words = null }),
        ["BERT, mask linear"] = ("tiny-bert", Mask with { Head = HeadKind.MaskTokenLinear, Words = null }),
        ["BERT, regression"] = ("tiny-bert", Mask with { ScoreRange = new(0, 5) }),
        ["BERT, soft prompt"] = (
            "tiny-bert",
            Mask with
            {
                Template = null,
                Tuning = new SoftPromptOptions { Size = 5 },
            }
        ),
        ["RoBERTa, label words"] = ("tiny-roberta", Mask),
        ["RoBERTa, classifier"] = ("tiny-roberta", Mask with { Head = HeadKind.SequenceClassification, Template = null, Words = null }),
        ["RoBERTa, several labels"] = (
            "tiny-roberta",
            Mask with
            {
                Head = HeadKind.FirstTokenLinear,
                Template = null,
                Words = null,
                Thresholds = [0.5f, 0.5f],
            }
        ),
        ["RoBERTa, LoRA"] = (
            "tiny-roberta",
            Mask with
            {
                Tuning = new LoraOptions { Rank = 2, Bias = true },
            }
        ),
        ["RoBERTa, adapters"] = ("tiny-roberta", Mask with { Tuning = new AdapterOptions { BottleneckSize = 4 } }),
        ["RoBERTa, Houlsby"] = (
            "tiny-roberta",
            Mask with
            {
                Tuning = new AdapterOptions { BottleneckSize = 4, Placement = AdapterPlacement.Houlsby },
            }
        ),
        ["RoBERTa, prefix"] = (
            "tiny-roberta",
            Mask with
            {
                Tuning = new PrefixOptions { Length = 3, ProjectionSize = 8 },
            }
        ),
        ["RoBERTa, soft prompt"] = (
            "tiny-roberta",
            Mask with
            {
                Template = null,
                Tuning = new SoftPromptOptions { Size = 5 },
            }
        ),
        ["GPT-2, first tokens"] = ("tiny-gpt2", Causal),
        ["GPT-2, whole options"] = (
            "tiny-gpt2",
            Causal with
            {
                Words = [" not good", " so very bad"],
                OptionScoring = OptionScoring.WholeOption,
            }
        ),
        ["GPT-2, classifier"] = (
            "tiny-gpt2",
            Causal with
            {
                Head = HeadKind.SequenceClassification,
                AutoregressiveTemplate = null,
                Words = null,
            }
        ),
        ["GPT-2, prefix"] = (
            "tiny-gpt2",
            Causal with
            {
                Tuning = new PrefixOptions { Length = 3, ProjectionSize = null },
            }
        ),
        ["DistilBERT, label words"] = ("tiny-distilbert", Mask),
        ["DistilBERT, classifier"] = (
            "tiny-distilbert",
            Mask with
            {
                Head = HeadKind.SequenceClassification,
                Template = null,
                Words = null,
            }
        ),
        ["ELECTRA, classifier"] = ("tiny-electra", Mask with { Head = HeadKind.SequenceClassification, Template = null, Words = null }),
        ["MPNet, label words"] = ("tiny-mpnet", Mask),
        ["XLM-RoBERTa, classifier"] = (
            "tiny-xlm-roberta",
            Mask with
            {
                Head = HeadKind.SequenceClassification,
                Template = null,
                Words = null,
            }
        ),
        ["T5, answers"] = ("tiny-t5", Written),
        ["T5 1.1, answers"] = ("tiny-t5-v11", Written),
        ["T5, LoRA"] = ("tiny-t5", Written with { Tuning = new LoraOptions { Rank = 2 } }),
        ["GPT-2, adapters"] = ("tiny-gpt2", Causal with { Tuning = new AdapterOptions { BottleneckSize = 4 } }),
    };

    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string> Names => [.. Cases.Keys];

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Names))]
    public void ProbabilitiesAreTheClassifiers(string name)
    {
        using TextClassifier classifier = Create(name);
        EncodedText[] rows = Rows(classifier);
        string path = Path.Combine(_folder.Path, "model.onnx");
        classifier.SaveOnnx(path);
        using var session = new InferenceSession(path);

        float[][] wanted = classifier.Score(rows);
        using IDisposableReadOnlyCollection<DisposableNamedOnnxValue> outputs = session.Run(Inputs(session, rows));
        Tensor<float> found = outputs.Single(output => output.Name == "probabilities").AsTensor<float>();
        int labels = classifier.Settings.Labels.Count;
        for (int row = 0; row < rows.Length; row++)
        {
            if (classifier.Settings.ScoreRange is not null)
            {
                Assert.Equal(5 * wanted[row][1], outputs.Single(output => output.Name == "score").AsTensor<float>()[row], 1e-5f);
                continue;
            }

            for (int label = 0; label < labels; label++)
            {
                Assert.Equal(wanted[row][label], found[row, label], 1e-5f);
            }

            if (!classifier.Settings.IsMultiLabel)
            {
                string best = outputs.Single(output => output.Name == "label").AsTensor<string>()[row];
                Assert.Equal(classifier.Settings.Labels[Array.IndexOf(wanted[row], wanted[row].Max())], best);
            }
        }
    }

    [Theory]
    [InlineData("BERT, label words")]
    [InlineData("RoBERTa, classifier")]
    [InlineData("GPT-2, first tokens")]
    public void Int8ComesNear(string name)
    {
        using TextClassifier classifier = Create(name);
        EncodedText[] rows = Rows(classifier);
        (string whole, string quantized) = (Path.Combine(_folder.Path, "whole.onnx"), Path.Combine(_folder.Path, "int8.onnx"));
        classifier.SaveOnnx(whole);
        classifier.SaveOnnx(quantized, new() { Quantization = OnnxQuantization.Int8 });
        Assert.True(new FileInfo(quantized).Length < new FileInfo(whole).Length);
        using var session = new InferenceSession(quantized);
        using IDisposableReadOnlyCollection<DisposableNamedOnnxValue> outputs = session.Run(Inputs(session, rows));
        float[] found = [.. outputs.Single(output => output.Name == "probabilities").AsEnumerable<float>()];
        float[] wanted = [.. classifier.Score(rows).SelectMany(row => row)];
        Assert.Equal(wanted.Length, found.Length);
        Assert.InRange(wanted.Zip(found, (first, second) => Math.Abs(first - second)).Max(), 1e-7, 0.05);
    }

    [Fact]
    public void ATemperatureFlattensProbabilitiesAndKeepsLabels()
    {
        using TextClassifier classifier = Create("BERT, label words");
        EncodedText[] rows = Rows(classifier);
        string path = Path.Combine(_folder.Path, "model.onnx");
        classifier.SaveOnnx(path, new() { Temperature = 2 });
        using var session = new InferenceSession(path);
        using IDisposableReadOnlyCollection<DisposableNamedOnnxValue> outputs = session.Run(Inputs(session, rows));
        Tensor<float> found = outputs.Single(output => output.Name == "probabilities").AsTensor<float>();
        Assert.All(
            classifier.Score(rows).Select((scores, row) => (scores, row)),
            pair => Assert.Equal(Math.Log(pair.scores[0] / pair.scores[1]) / 2, Math.Log(found[pair.row, 0] / found[pair.row, 1]), 1e-4)
        );
    }

    [Fact]
    public void TheFileCarriesSettingsAndTokenizer()
    {
        using TextClassifier classifier = Create("BERT, label words");
        string path = Path.Combine(_folder.Path, "model.onnx");
        classifier.SaveOnnx(path);
        using var session = new InferenceSession(path);
        Dictionary<string, string> metadata = session.ModelMetadata.CustomMetadataMap;
        Assert.Equal(classifier.Settings.ToJson(), metadata["skillloc.settings"]);
        Assert.Equal(
            File.ReadAllBytes(Path.Combine(Oracles.PathOf("tiny-bert"), "vocab.txt")),
            Convert.FromBase64String(metadata["skillloc.tokenizer/vocab.txt"])
        );
    }

    [Fact]
    public void WhatCannotBeExportedIsSaidAndNothingIsWritten()
    {
        using var classifier = TextClassifier.Create(
            Oracles.PathOf("tiny-gpt2"),
            Causal with
            {
                Tuning = new SoftPromptOptions { Size = 3 },
            }
        );
        string path = Path.Combine(_folder.Path, "model.onnx");
        NotSupportedException error = Assert.Throws<NotSupportedException>(() => classifier.SaveOnnx(path));
        Assert.Contains("soft prompt", error.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    /// <summary>What a tuning method adds is moved, so that leaving it out would show.</summary>
    private static TextClassifier Create(string name)
    {
        (string checkpoint, ClassifierSettings settings) = Cases[name];
        var classifier = TextClassifier.Create(Oracles.PathOf(checkpoint), settings);
        using IDisposable inference = no_grad();
        using DisposeScope scope = NewDisposeScope();
        using var generator = new Generator(7);
        foreach (Parameter parameter in classifier.TunedParameters.Values)
        {
            parameter.add_(randn(parameter.shape, generator: generator).mul_(0.2));
        }

        return classifier;
    }

    /// <summary>Rows of every length up to the limit, in one batch.</summary>
    private static EncodedText[] Rows(TextClassifier classifier)
    {
        string[] words = ["a", "film", "that", "nobody", "needs", "Grüße", "1,000", "it", "was", "…", "good"];
        return
        [
            .. Enumerable
                .Range(0, 30)
                .Select(length => string.Join(' ', Enumerable.Range(0, length).Select(i => words[(i * 7 + length) % words.Length])))
                .Select(text => classifier.Encode(text, classifier.Settings.HasTextPair ? "they were early" : null)),
        ];
    }

    private static List<NamedOnnxValue> Inputs(InferenceSession session, EncodedText[] rows)
    {
        int length = rows.Max(row => row.Ids.Length);
        int padding = int.Parse(session.ModelMetadata.CustomMetadataMap["skillloc.padding_id"], null);
        var ids = new DenseTensor<long>([rows.Length, length]);
        var mask = new DenseTensor<long>([rows.Length, length]);
        var types = new DenseTensor<long>([rows.Length, length]);
        ids.Fill(padding);
        for (int i = 0; i < rows.Length; i++)
        {
            for (int j = 0; j < rows[i].Ids.Length; j++)
            {
                (ids[i, j], mask[i, j], types[i, j]) = (rows[i].Ids[j], 1, rows[i].TokenTypes?[j] ?? 0);
            }
        }

        List<NamedOnnxValue> inputs =
        [
            NamedOnnxValue.CreateFromTensor("input_ids", ids),
            NamedOnnxValue.CreateFromTensor("attention_mask", mask),
        ];
        if (session.InputMetadata.ContainsKey("token_type_ids"))
        {
            inputs.Add(NamedOnnxValue.CreateFromTensor("token_type_ids", types));
        }

        return inputs;
    }
}
