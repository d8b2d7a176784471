using System.IO.Compression;
using System.Text;
using Microsoft.ML.OnnxRuntime;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Embeddings;
using SkillLoc.Models.Onnx;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tokenization;
using TorchSharp;
using static TorchSharp.torch;
using TemporaryFolder = SkillLoc.Models.Tests.Checkpoints.TemporaryFolder;

namespace SkillLoc.Models.Tests.Onnx;

/// <summary>A folder that is imported from an ONNX file computes what ONNX Runtime computes from the file. The files are those of
/// tests/oracles/onnx-exports: PyTorch's export, with random weights, and what ONNX Runtime's tools make of it.</summary>
public sealed class OnnxImportTests : IDisposable
{
    private static readonly string[] Texts =
    [
        "a good film",
        "the bad, bad film was a xyz .",
        "q",
        "film film film film film film film film film film",
    ];

    private readonly TemporaryFolder _folder = new();

    public OnnxImportTests() => ZipFile.ExtractToDirectory(Oracles.PathOf("onnx-exports", "exports.zip"), _folder.Path);

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("bert-classifier")]
    [InlineData("bert-classifier", "model.onnx", GraphOptimizationLevel.ORT_ENABLE_BASIC)]
    [InlineData("bert-classifier", "model.onnx", GraphOptimizationLevel.ORT_ENABLE_EXTENDED)]
    [InlineData("bert-classifier", "sdpa.onnx")]
    [InlineData("bert-classifier", "sdpa.onnx", GraphOptimizationLevel.ORT_ENABLE_EXTENDED)]
    [InlineData("bert-classifier", "external.onnx")]
    [InlineData("xlm-roberta")]
    [InlineData("xlm-roberta", "model.onnx", GraphOptimizationLevel.ORT_ENABLE_EXTENDED)]
    [InlineData("camembert")]
    [InlineData("distilbert")]
    [InlineData("electra")]
    public void ClassifiersScoreAsTheirFile(
        string name,
        string file = "model.onnx",
        GraphOptimizationLevel optimization = GraphOptimizationLevel.ORT_DISABLE_ALL
    )
    {
        string path = Optimised(PathOf(name, file), optimization),
            target = _folder.PathOf("imported");
        OnnxCheckpoint.Import(path, target);
        using var classifier = TextClassifier.Load(target);
        Assert.Equal(["bad", "fair", "good"], classifier.Settings.Labels);
        EncodedText[] rows = [.. Texts.Select(text => classifier.Encode(text))];
        float[][] scores = classifier.Score(rows);
        Tensor expected = nn.functional.softmax(Run(path, rows, classifier.Tokenizer.PadId), -1);
        Close(expected, tensor(scores.SelectMany(row => row).ToArray(), rows.Length, 3));
    }

    [Fact]
    public void WordsAreScoredAsInTheFile()
    {
        string target = _folder.PathOf("imported");
        OnnxCheckpoint.Import(_folder.PathOf("roberta-words"), target);
        var tokenizer = CheckpointTokenizer.Load(target);
        using var model = LanguageModel.Load(target);
        Assert.True(model.Config.TieWordEmbeddings);
        using IDisposable gradients = no_grad();
        EncodedText[] rows =
        [
            .. Texts.Select(text => new SequenceEncoder(tokenizer, 20, SpecialTokenLayout.Checkpoint).Encode(text, null)),
        ];
        using var batch = TokenBatch.Create(rows, tokenizer.PadId);
        Tensor hidden = model.Encode(batch);
        Tensor found = model.WordScores(hidden.reshape(-1, hidden.shape[^1])).reshape(hidden.shape[0], hidden.shape[1], -1);
        Tensor read = batch.Mask!.squeeze(1).transpose(1, 2).to(ScalarType.Float32);
        Close(Run(PathOf("roberta-words", "model.onnx"), rows, tokenizer.PadId) * read, found * read);
    }

    /// <summary>modules.json says the first token and normalisation.</summary>
    [Theory]
    [InlineData("sentence-bert", "model.onnx", 1e-5)]
    [InlineData("sentence-bert", "model_O2.onnx", 1e-5)]
    [InlineData("sentence-bert", "model_O3.onnx", 1e-5)]
    // Numbers of 16 bits in the file, of 32 in what is imported.
    [InlineData("sentence-bert", "model_O4.onnx", 5e-3)]
    public void SentenceVectorsAreThoseOfTheFile(string name, string file, double tolerance)
    {
        string path = PathOf(name, "onnx", file),
            target = _folder.PathOf("imported");
        OnnxCheckpoint.Import(path, target);
        using var embedder = new TextEmbedder(target);
        Assert.Equal((TextPooling.FirstToken, true, 12), (embedder.Pooling, embedder.IsNormalised, embedder.Size));
        EncodedText[] rows = [.. Texts.Select(text => embedder.Encode(text))];
        Tensor expected = nn.functional.normalize(Run(path, rows, 0).select(1, 0), p: 2, dim: 1);
        Close(expected, Vectors(embedder.Embed(rows)), tolerance);
        Assert.Equal(
            file is "model_O3.onnx" or "model_O4.onnx" ? "gelu_new" : "gelu",
            CheckpointFolder.ReadConfig(target).HiddenActivation
        );

        // A folder is its usual file.
        OnnxCheckpoint.Import(_folder.PathOf(name), target);
        Assert.True(File.Exists(Path.Join(target, "1_Pooling", "config.json")));
        using var plain = new TextEmbedder(target, pooling: TextPooling.Mean);
        Assert.False(plain.IsNormalised);
    }

    [Fact]
    public void BiasesByRelativePositionAreFound()
    {
        string path = PathOf("mpnet", "model.onnx"),
            target = _folder.PathOf("imported");
        OnnxCheckpoint.Import(path, target);
        using var embedder = new TextEmbedder(target, pooling: TextPooling.FirstToken);
        EncodedText[] rows = [.. Texts.Select(text => embedder.Encode(text))];
        Close(Run(path, rows, 1).select(1, 0), Vectors(embedder.Embed(rows)));
    }

    /// <summary>Our own files name, order and shape things in another way.</summary>
    [Theory]
    [InlineData("BERT, classifier", GraphOptimizationLevel.ORT_DISABLE_ALL)]
    [InlineData("BERT, classifier", GraphOptimizationLevel.ORT_ENABLE_EXTENDED)]
    [InlineData("RoBERTa, classifier", GraphOptimizationLevel.ORT_DISABLE_ALL)]
    [InlineData("RoBERTa, classifier", GraphOptimizationLevel.ORT_ENABLE_EXTENDED)]
    [InlineData("DistilBERT, classifier", GraphOptimizationLevel.ORT_DISABLE_ALL)]
    [InlineData("XLM-RoBERTa, classifier", GraphOptimizationLevel.ORT_DISABLE_ALL)]
    [InlineData("ELECTRA, classifier", GraphOptimizationLevel.ORT_DISABLE_ALL)]
    public void WhatSaveOnnxWroteIsImported(string name, GraphOptimizationLevel optimization)
    {
        using TextClassifier classifier = OnnxCases.Create(name);
        string home = _folder.PathOf("saved"),
            target = _folder.PathOf("imported");
        classifier.Save(home);
        string path = Path.Join(home, "model.onnx");
        classifier.SaveOnnx(path);
        path = Optimised(path, optimization);
        OnnxCheckpoint.Import(path, target);
        using var imported = TextClassifier.Load(target);
        EncodedText[] rows = [.. OnnxCases.Texts.Select(text => classifier.Encode(text))];
        Close(Vectors(classifier.Score(rows)), Vectors(imported.Score(rows)));
    }

    [Theory]
    [InlineData("sentence-bert/onnx/model_qint8.onnx", "holds a quantised model (")]
    [InlineData("bert-classifier/tokens.onnx", "not those of tokens or spans")]
    public void OthersAreRefusedWithTheReason(string file, string why)
    {
        string path = _folder.PathOf(file),
            target = _folder.PathOf("imported");
        string message = Assert.Throws<NotSupportedException>(() => OnnxCheckpoint.Import(path, target)).Message;
        Assert.StartsWith(path, message, StringComparison.Ordinal);
        Assert.Contains(why, message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(target));
    }

    [Theory]
    [InlineData("bert-classifier", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3", "says 3 layers and the graph has 2")]
    [InlineData("bert-classifier", "\"num_attention_heads\": 3", "\"num_attention_heads\": 2", "differs from what it computes by")]
    [InlineData(
        "bert-classifier",
        "\"vocab_size\": 64",
        "\"vocab_size\": 65",
        "'bert.embeddings.word_embeddings.weight' is of shape [64, 12]"
    )]
    [InlineData("bert-classifier", "\"2\": \"good\"", "\"2\": \"good\", \"3\": \"best\"", "names 4 labels, and the graph scores 3")]
    [InlineData("bert-classifier", "\"bert\"", "\"roberta\"", "differs from what it computes by")]
    [InlineData("bert-classifier", "\"bert\"", "\"gpt2\"", "gpt2")]
    [InlineData("roberta-words", "\"pad_token_id\": 1", "\"pad_token_id\": 0", "differs from what it computes by")]
    [InlineData("roberta-words", "\"roberta\"", "\"bert\"", "differs from what it computes by")]
    public void AConfigurationOfAnotherModelIsRefused(string name, string field, string by, string why)
    {
        string config = PathOf(name, "config.json"),
            text = File.ReadAllText(config);
        if (!text.Contains(field, StringComparison.Ordinal))
        {
            // What is Python's default is not written.
            (field, by) = ("{", "{\n " + by + ",");
        }

        File.WriteAllText(config, ReplaceFirst(text, field, by));
        Exception error = Assert.ThrowsAny<Exception>(() => OnnxCheckpoint.Import(_folder.PathOf(name), _folder.PathOf("imported")));
        Assert.True(error is NotSupportedException or InvalidDataException, error.ToString());
        Assert.Contains(why, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void WhatIsMissingIsSaid()
    {
        string home = _folder.PathOf("bert-classifier"),
            target = _folder.PathOf("imported");
        File.Delete(Path.Join(home, "external.onnx_data"));
        Assert.Contains(
            "external.onnx_data', which does not exist",
            Assert.Throws<InvalidDataException>(() => OnnxCheckpoint.Import(Path.Join(home, "external.onnx"), target)).Message,
            StringComparison.Ordinal
        );
        File.Delete(Path.Join(home, "model.onnx"));
        string message = Assert.Throws<FileNotFoundException>(() => OnnxCheckpoint.Import(home, target)).Message;
        Assert.Contains("sdpa.onnx", message, StringComparison.Ordinal);
        File.Delete(PathOf("roberta-words", "config.json"));
        message = Assert.Throws<NotSupportedException>(() => OnnxCheckpoint.Import(_folder.PathOf("roberta-words"), target)).Message;
        Assert.Contains("no config.json", message, StringComparison.Ordinal);
    }

    [Fact]
    public void ScoresAreFoundUnderAnotherName()
    {
        string path = PathOf("bert-classifier", "model.onnx"),
            target = _folder.PathOf("imported");
        OnnxCheckpoint.Import(path, target);
        using var named = TextClassifier.Load(target);
        string text = Encoding.Latin1.GetString(File.ReadAllBytes(path));
        Assert.Contains("logits", text, StringComparison.Ordinal);
        File.WriteAllBytes(path, Encoding.Latin1.GetBytes(text.Replace("logits", "scores", StringComparison.Ordinal)));
        OnnxCheckpoint.Import(path, target + "-scores");
        using var unnamed = TextClassifier.Load(target + "-scores");
        EncodedText[] rows = [.. Texts.Select(row => named.Encode(row))];
        Assert.Equal(named.Score(rows), unnamed.Score(rows));
    }

    private string PathOf(params string[] names) => Path.Combine([_folder.Path, .. names]);

    private static string ReplaceFirst(string text, string what, string by)
    {
        int place = text.IndexOf(what, StringComparison.Ordinal);
        return text[..place] + by + text[(place + what.Length)..];
    }

    /// <summary>The file that ONNX Runtime makes of a file, beside it.</summary>
    private static string Optimised(string path, GraphOptimizationLevel level)
    {
        if (level == GraphOptimizationLevel.ORT_DISABLE_ALL)
        {
            return path;
        }

        string optimised = Path.ChangeExtension(path, ".optimised.onnx");
        using var options = new SessionOptions { GraphOptimizationLevel = level, OptimizedModelFilePath = optimised };
        using var session = new InferenceSession(path, options);
        return optimised;
    }

    /// <summary>The first output for rows in one batch.</summary>
    private static Tensor Run(string path, EncodedText[] rows, int padding)
    {
        using var session = new InferenceSession(path);
        using var batch = TokenBatch.Create(rows, padding);
        long[] shape = batch.Ids.shape;
        Tensor mask = batch.Mask?.reshape(shape).to(ScalarType.Int64) ?? ones_like(batch.Ids);
        Dictionary<string, OrtValue> inputs = new() { ["input_ids"] = Value(batch.Ids), ["attention_mask"] = Value(mask) };
        if (session.InputMetadata.ContainsKey("token_type_ids"))
        {
            inputs["token_type_ids"] = Value(batch.TokenTypes ?? zeros_like(batch.Ids));
        }

        using var run = new RunOptions();
        using IDisposableReadOnlyCollection<OrtValue> outputs = session.Run(run, inputs, [session.OutputNames[0]]);
        return tensor(outputs[0].GetTensorDataAsSpan<float>().ToArray(), outputs[0].GetTensorTypeAndShape().Shape);

        OrtValue Value(Tensor tensor) => OrtValue.CreateTensorValueFromMemory(tensor.data<long>().ToArray(), shape);
    }

    private static Tensor Vectors(float[][] rows) => tensor(rows.SelectMany(row => row).ToArray(), rows.Length, rows[0].Length);

    private static void Close(Tensor expected, Tensor found, double tolerance = 1e-5)
    {
        Assert.Equal(expected.shape, found.shape);
        double off = (expected - found).abs().max().item<float>();
        Assert.True(off < tolerance, $"The greatest difference is {off:R}.");
    }
}
