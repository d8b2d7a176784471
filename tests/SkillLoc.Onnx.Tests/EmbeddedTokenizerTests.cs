using System.Diagnostics;
using System.Text.Json;
using Microsoft.ML;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.Transforms.Onnx;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Onnx;
using SkillLoc.Models.Tokenization;

namespace SkillLoc.Onnx.Tests;

/// <summary>Models whose tokenizer is in the graph score as they do here, and load where SkillLoc is not.</summary>
public sealed class EmbeddedTokenizerTests : IDisposable
{
    private static readonly string[] Texts =
    [
        "a lovely film",
        "",
        " ",
        "A Film That NOBODY needs!",
        "Zürich, naïve café",
        "emoji \U0001F600 and \U0001F469\u200D\U0001F680 here",
        "中文字符 and 日本語 テキスト",
        "tabs\tand\nnew lines\r\n and  double  spaces",
        "zero\u200Bwidth and \u00A0no-break",
        "control \u0001\u0007 characters",
        "[MASK] [SEP] [CLS] [PAD] are only text",
        "don't can't it's — “quotes” … ‘single’",
        "½ № ™ €100 1,000.50 3.14e-10",
        "ﬁ ligature",
        "combining e\u0301 a\u0308 n\u0303",
        "العربية עברית",
        "supercalifragilisticexpialidocious" + new string('x', 150),
        "\uD835\uDD38\uD835\uDD39 math letters",
        string.Concat(Enumerable.Repeat("a very long text that nobody needs ", 60)),
    ];

    // What the operator of onnxruntime-extensions does otherwise, as docs/components/onnx.md says.
    private static readonly string[] Others =
    [
        "an unknown gr\u00F8\u1234 within a word",
        "a byte order mark \uFEFF",
        "a delete \u007F",
        "İstanbul",
        "हिन्दी",
    ];

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("skillloc-onnx-");

    private string Model => Path.Combine(_folder.FullName, "model.onnx");

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [InlineData("BERT, label words")]
    [InlineData("BERT, mask first")]
    [InlineData("BERT, classifier")]
    [InlineData("BERT, two texts")]
    [InlineData("RoBERTa, label words")]
    [InlineData("RoBERTa, classifier")]
    public void IdsAreOurs(string name)
    {
        using TextClassifier classifier = OnnxCases.Create(name);
        string? template = classifier.Settings.Template?.Replace("sent-_0", "sent_0", StringComparison.Ordinal);
        Assert.Empty(Differences(classifier.Settings with { Template = template }, classifier.Tokenizer, Texts));

        // What stands behind this character is lost before the operator.
        string[] cut = ["a film \0 that nobody needs"];
        Assert.Equal(cut, Differences(classifier.Settings with { Template = template }, classifier.Tokenizer, cut));
        if (classifier.Tokenizer.DistinguishesLeadingSpace)
        {
            Assert.Empty(Differences(classifier.Settings with { Template = "*cls*a*+sent_0**mask**sep+*" }, classifier.Tokenizer, Texts));
            Assert.Empty(Differences(classifier.Settings, classifier.Tokenizer, Others));

            // The operator takes special tokens that a text spells for these tokens.
            string[] spelled = ["<mask> <s></s> <pad> <|endoftext|> are too"];
            Assert.Equal(spelled, Differences(classifier.Settings, classifier.Tokenizer, spelled));
        }
    }

    [Fact]
    public void IdsAreOursInMiniLMsVocabulary()
    {
        var tokenizer = CheckpointTokenizer.Load(Checkpoints.MiniLM());
        ClassifierSettings settings = OnnxCases.Mask with { Words = ["terrible", "great"], MaxLength = 128 };
        Assert.Empty(Differences(settings, tokenizer, Texts));
        Assert.Equal(Others, Differences(settings, tokenizer, Others));
    }

    private List<string> Differences(ClassifierSettings settings, CheckpointTokenizer tokenizer, string[] rows) =>
        EmbeddedIds.Differences(Model, settings, tokenizer, rows);

    [Theory]
    [InlineData("BERT, label words")]
    [InlineData("BERT, regression")]
    [InlineData("RoBERTa, label words")]
    [InlineData("XLM-RoBERTa, label words")]
    [InlineData("XLM-RoBERTa, two texts")]
    [InlineData("XLM-RoBERTa, classifier")]
    [InlineData("CamemBERT, label words")]
    [InlineData("T5, answers")]
    [InlineData("T5 1.1, answers")]
    public void AProgramWithoutSkillLocScoresTheSame(string name)
    {
        using TextClassifier classifier = OnnxCases.Create(name);
        classifier.SaveOnnx(Model, new() { Tokenizer = OnnxTokenizer.Embedded });
        string zip = Path.Combine(_folder.FullName, "model.zip");
        Assert.Contains(
            "RegisterOrtExtensions",
            Assert.Throws<InvalidOperationException>(() => new MLContext().SkillLoc().SaveOnnxPipeline(Model, zip)).Message,
            StringComparison.Ordinal
        );
        Assert.False(File.Exists(zip));
        Context().SkillLoc().SaveOnnxPipeline(Model, zip);

        // The small vocabulary lacks letters of these two.
        string[] texts =
        [
            .. OnnxCases.Texts.Select(text =>
                text.Replace("Grüße", "it", StringComparison.Ordinal).Replace("…", "a", StringComparison.Ordinal)
            ),
        ];
        string[] lines = Load(zip, texts);
        float[][] found = JsonSerializer.Deserialize<float[][]>(lines[2])!;
        string? second = classifier.Settings.HasTextPair ? OnnxCases.SecondText : null;
        float[][] wanted = classifier.Score([.. texts.Select(text => classifier.Encode(text, second))]);
        if (classifier.Settings.ScoreRange is { } range)
        {
            wanted = Array.ConvertAll(wanted, row => new[] { range.Predict(row) });
        }
        else
        {
            Assert.Equal(classifier.Settings.Labels, JsonSerializer.Deserialize<string[]>(lines[0])!);
            Assert.Equal(
                wanted.Select(row => classifier.Settings.Labels[TextClassifier.MostProbable(row)]),
                JsonSerializer.Deserialize<string[][]>(lines[1])!.Select(row => Assert.Single(row))
            );
        }

        Assert.Equal("[]", lines[3]);
        Assert.All(
            wanted.Zip(found),
            pair => Assert.All(pair.First.Zip(pair.Second), score => Assert.Equal(score.First, score.Second, 1e-5f))
        );
    }

    [Fact]
    public void WhatTheGraphCannotDoIsRefused()
    {
        foreach (string name in new[] { "GPT-2, classifier", "GPT-2, first tokens", "BERT, two texts" })
        {
            using TextClassifier classifier = OnnxCases.Create(name);
            Assert.Contains(
                "graph",
                Assert
                    .Throws<NotSupportedException>(() => classifier.SaveOnnx(Model, new() { Tokenizer = OnnxTokenizer.Embedded }))
                    .Message,
                StringComparison.Ordinal
            );
        }

        Assert.False(File.Exists(Model));
        using TextClassifier plain = OnnxCases.Create("BERT, label words");
        plain.SaveOnnx(Model, new() { Tokenizer = OnnxTokenizer.Embedded });
        Assert.Contains(
            "ai.onnx.contrib",
            Assert.Throws<NotSupportedException>(() => OnnxTextScorer.Load(Model)).Message,
            StringComparison.Ordinal
        );

        // Neither who writes the pipeline nor who loads it gets on without having registered the operators.
        string zip = Model + ".zip";
        Assert.Contains(
            "RegisterOrtExtensions",
            Assert.Throws<InvalidOperationException>(() => new MLContext().SkillLoc().SaveOnnxPipeline(Model, zip)).Message,
            StringComparison.Ordinal
        );
        Assert.False(File.Exists(zip));
        Context().SkillLoc().SaveOnnxPipeline(Model, zip);
        Assert.Contains(
            "ai.onnx.contrib",
            Assert.ThrowsAny<Exception>(() => new MLContext().Model.Load(zip, out _)).ToString(),
            StringComparison.Ordinal
        );

        plain.SaveOnnx(Model);
        Assert.Throws<ArgumentException>(() => Context().SkillLoc().SaveOnnxPipeline(Model, zip));
    }

    private static MLContext Context()
    {
        var ml = new MLContext();
        try
        {
            ml.SetOnnxSessionOption(
                new()
                {
                    CreateSessionOptions = () =>
                    {
                        var options = new SessionOptions();
                        options.RegisterOrtExtensions();
                        return options;
                    },
                }
            );
        }
        catch (ArgumentException)
        {
            // ML.NET sets the options, and then throws.
        }

        return ml;
    }

    private string[] Load(string zip, IReadOnlyList<string> texts)
    {
        string file = Path.Combine(_folder.FullName, "texts.json");
        File.WriteAllText(file, JsonSerializer.Serialize(texts));
        var start = new ProcessStartInfo("dotnet")
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            ArgumentList = { Path.Combine(AppContext.BaseDirectory, "PlainLoader.dll"), zip, file },
        };
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, errors.Result);
        return output.Split('\n');
    }
}
