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
    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string> Names => [.. OnnxCases.Names];

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Names))]
    public void ProbabilitiesAreTheClassifiers(string name)
    {
        using TextClassifier classifier = OnnxCases.Create(name);
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
        using TextClassifier classifier = OnnxCases.Create(name);
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
        using TextClassifier classifier = OnnxCases.Create("BERT, label words");
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
        using TextClassifier classifier = OnnxCases.Create("BERT, label words");
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

    public static TheoryData<string, string> Refused =>
        new()
        {
            { "soft prompt", "soft prompt" },
            { "past", nameof(PastKeyValueOptions) },
            { "tokens", nameof(VirtualTokenOptions) },
        };

    [Theory]
    [MemberData(nameof(Refused))]
    public void WhatCannotBeExportedIsSaidAndNothingIsWritten(string tuning, string why)
    {
        using var classifier = TextClassifier.Create(
            Oracles.PathOf("tiny-gpt2"),
            OnnxCases.Causal with
            {
                Tuning = tuning switch
                {
                    "past" => new PastKeyValueOptions { Length = 3 },
                    "tokens" => new VirtualTokenOptions { Size = 3 },
                    _ => new SoftPromptOptions { Size = 3 },
                },
            }
        );
        string path = Path.Combine(_folder.Path, "model.onnx");
        NotSupportedException error = Assert.Throws<NotSupportedException>(() => classifier.SaveOnnx(path));
        Assert.Contains(why, error.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    /// <summary>Rows of every length up to the limit, in one batch.</summary>
    private static EncodedText[] Rows(TextClassifier classifier)
    {
        return [.. OnnxCases.Texts.Select(text => classifier.Encode(text, classifier.Settings.HasTextPair ? OnnxCases.SecondText : null))];
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
