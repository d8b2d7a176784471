using System.Text;
using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Embeddings;
using SkillLoc.Models.Onnx;
using SkillLoc.Models.Prompts;
using SkillLoc.Transforms;
using TorchSharp;

namespace SkillLoc.Onnx.Tests;

/// <summary>An embedder on ONNX Runtime adds what the embedder on TorchSharp adds.</summary>
public sealed class OnnxEmbeddingTransformerTests : IDisposable
{
    private const string Prompt = "*cls**sent_0*_It_was*mask*.*sep+*";

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("skillloc-onnx-");
    private readonly MLContext _ml = new(seed: 1);

    private string Model => Path.Combine(_folder.FullName, "model.onnx");

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [InlineData("tiny-bert", null, TextPooling.Mean, true)]
    [InlineData("tiny-bert", null, TextPooling.FirstToken, false)]
    [InlineData("tiny-bert", 0, TextPooling.Max, false)]
    [InlineData("tiny-bert", 2, TextPooling.Mean, false)]
    [InlineData("tiny-bert", null, TextPooling.ScoredPosition, false, Prompt)]
    [InlineData("tiny-roberta", null, TextPooling.Mean, true)]
    [InlineData("tiny-roberta", 1, TextPooling.Max, true)]
    [InlineData("tiny-distilbert", null, TextPooling.Mean, false)]
    [InlineData("tiny-electra", null, TextPooling.FirstToken, true)]
    [InlineData("tiny-electra", 0, TextPooling.Mean, false)]
    [InlineData("tiny-mpnet", null, TextPooling.Mean, true)]
    [InlineData("tiny-xlm-roberta", null, TextPooling.Mean, true)]
    [InlineData("tiny-camembert", null, TextPooling.Max, false)]
    [InlineData("tiny-gpt2", null, TextPooling.ScoredPosition, false)]
    [InlineData("tiny-gpt2", 1, TextPooling.Mean, false)]
    [InlineData("tiny-t5", null, TextPooling.Mean, true)]
    [InlineData("tiny-t5", 1, TextPooling.FirstToken, false)]
    public void ColumnsAreThoseOfTheEmbedderOnTorchSharp(
        string checkpoint,
        int? layer,
        TextPooling pooling,
        bool isNormalised,
        string? template = null
    )
    {
        var options = new EmbedTextEstimator.Options
        {
            Checkpoint = Oracles.PathOf(checkpoint),
            Layer = layer,
            Pooling = pooling,
            IsNormalised = isNormalised,
            Template = template,
            MaxLength = 30,
            TextPairColumnName = template is null && checkpoint != "tiny-gpt2" ? "TextPair" : null,
        };
        using EmbedTextTransformer torch = _ml.SkillLoc().EmbedText(options).Fit(Rows());
        using (var embedder = new TextEmbedder(options.Checkpoint, layer, pooling, template, 30, isNormalised: isNormalised))
        {
            embedder.SaveOnnx(Model);
        }

        using OnnxEmbeddingTransformer onnx = _ml.SkillLoc().LoadOnnxEmbedder(Model, textPairColumnName: options.TextPairColumnName);
        IDataView wanted = torch.Transform(Rows()),
            found = onnx.Transform(Rows());
        Assert.Equal(wanted.Schema.Select(column => (column.Name, column.Type)), found.Schema.Select(column => (column.Name, column.Type)));
        Assert.Equal(SlotNames(wanted), SlotNames(found));
        Close(Vectors(wanted), Vectors(found));
        Assert.Equal(30, onnx.Embedder.MaxLength);
    }

    /// <summary>Rows of every length up to the limit, in batches and alone.</summary>
    [Fact]
    public void EveryLengthIsEmbedded()
    {
        using var embedder = new TextEmbedder(Oracles.PathOf("tiny-bert"), maxLength: 128, isNormalised: true);
        embedder.SaveOnnx(Model);
        using var onnx = OnnxTextEmbedder.Load(Model);
        EncodedText[] rows =
        [
            .. Enumerable
                .Range(1, 128)
                .Select(length => new EncodedText(
                    [.. Enumerable.Range(0, length).Select(place => 5 + (place * 7 % 800))],
                    new int[length],
                    0
                )),
        ];
        float[][] wanted = embedder.Embed(rows);
        Close(wanted, onnx.Embed(rows));
        Close(wanted, [.. rows.Select(row => onnx.Embed([row])[0])]);
    }

    /// <summary>Real sentences with a real model, whose linear layers in int8 leave the neighbours where they are.</summary>
    [Fact]
    public void MiniLMEmbedsSentencesAsOnTorchSharp()
    {
        const int Count = 100;
        string path = Oracles.SharedPathOf("data", "sst-2", "dev.tsv");
        Assert.SkipUnless(File.Exists(path), $"There is no {path}.");
        string[] texts = [.. File.ReadLines(path).Skip(1).Take(Count).Select(line => line.Split('\t')[1])];
        using var embedder = new TextEmbedder(Checkpoints.MiniLMEncoder(), isNormalised: true);
        float[][] wanted = embedder.Embed([.. texts.Select(text => embedder.Encode(text))]);
        embedder.SaveOnnx(Model);
        using (var onnx = OnnxTextEmbedder.Load(Model))
        {
            Close(wanted, onnx.Embed(texts));
        }

        embedder.SaveOnnx(Model, OnnxQuantization.Int8);
        using var quantized = OnnxTextEmbedder.Load(Model);
        double[] cosines = [.. wanted.Zip(quantized.Embed(texts), (one, other) => (double)one.Zip(other, (x, y) => x * y).Sum())];
        Assert.InRange(cosines.Min(), 0.98, 0.99999);
    }

    [Fact]
    public void ASavedModelHoldsTheOnnxFile()
    {
        string zip = Path.Combine(_folder.FullName, "model.zip");
        float[][] wanted;
        using (OnnxEmbeddingTransformer onnx = Load("Vector"))
        {
            wanted = [.. onnx.Transform(Rows()).GetColumn<float[]>("Vector")];
            _ml.Model.Save(onnx, Rows().Schema, zip);
        }

        File.Delete(Model);
        ITransformer loaded = new MLContext().Model.Load(zip, out _);
        IDataView found = loaded.Transform(Rows());
        Assert.Equal(["Text", "TextPair", "Vector"], found.Schema.Select(column => column.Name));
        Assert.Equal(48, ((VectorDataViewType)found.Schema["Vector"].Type).Size);
        Close(wanted, [.. found.GetColumn<float[]>("Vector")]);
    }

    [Fact]
    public void APredictionEngineEmbedsAsTheView()
    {
        using OnnxEmbeddingTransformer onnx = Load();
        float[][] vectors = Vectors(onnx.Transform(Rows()));
        using (PredictionEngine<Row, Embedded> engine = _ml.Model.CreatePredictionEngine<Row, Embedded>(onnx))
        {
            Close(vectors, [.. OnnxCases.Texts.Select(text => engine.Predict(new() { Text = text }).Features)]);
        }

        Assert.Equal(48, onnx.Embedder.Embed(["still here"])[0].Length);
        onnx.Dispose();
        Assert.Throws<ObjectDisposedException>(() => onnx.Transform(Rows()));
    }

    [Fact]
    public void Int8ComesNear()
    {
        using var embedder = new TextEmbedder(Oracles.PathOf("tiny-roberta"), isNormalised: true);
        string quantized = Path.Combine(_folder.FullName, "int8.onnx");
        embedder.SaveOnnx(Model);
        embedder.SaveOnnx(quantized, OnnxQuantization.Int8);
        Assert.True(new FileInfo(quantized).Length < new FileInfo(Model).Length);
        using var onnx = OnnxTextEmbedder.Load(quantized);
        EncodedText[] rows = [.. OnnxCases.Texts.Select(text => embedder.Encode(text))];
        double[] cosines = [.. embedder.Embed(rows).Zip(onnx.Embed(rows), (one, other) => (double)one.Zip(other, (x, y) => x * y).Sum())];
        Assert.InRange(cosines.Min(), 0.99, 0.999999);
    }

    [Fact]
    public void AFolderIsThatOfSentenceTransformers()
    {
        string folder = Path.Combine(_folder.FullName, "sentence"),
            imported = Path.Combine(_folder.FullName, "imported");
        using var embedder = new TextEmbedder(Oracles.PathOf("tiny-bert"), pooling: TextPooling.Max, isNormalised: true, maxLength: 20);
        embedder.SaveOnnxFolder(folder);
        Assert.Equal(
            [
                "1_Pooling",
                "2_Normalize",
                "config.json",
                "config_sentence_transformers.json",
                "modules.json",
                "onnx",
                "sentence_bert_config.json",
                "vocab.txt",
            ],
            Directory.EnumerateFileSystemEntries(folder).Select(Path.GetFileName).Order(StringComparer.Ordinal)
        );
        Models.Checkpoints.OnnxCheckpoint.Import(folder, imported);
        using var again = new TextEmbedder(imported, maxLength: 20);
        Assert.Equal((TextPooling.Max, true), (again.Pooling, again.IsNormalised));
        Close(embedder.Embed(Encoded(embedder)), again.Embed(Encoded(again)));

        using var other = new TextEmbedder(Oracles.PathOf("tiny-bert"), layer: 1);
        Assert.Contains(
            "layer 1",
            Assert.Throws<NotSupportedException>(() => other.SaveOnnxFolder(folder)).Message,
            StringComparison.Ordinal
        );
        using var causal = new TextEmbedder(Oracles.PathOf("tiny-gpt2"));
        Assert.Contains(
            "no encoder",
            Assert.Throws<NotSupportedException>(() => causal.SaveOnnxFolder(folder)).Message,
            StringComparison.Ordinal
        );
    }

    /// <summary>What is behind pooling is in the graph as well.</summary>
    [Fact]
    public void DenseLayersAreInTheGraph()
    {
        string folder = Path.Combine(_folder.FullName, "dense");
        Directory.CreateDirectory(Path.Combine(folder, "1_Pooling"));
        Directory.CreateDirectory(Path.Combine(folder, "2_Dense"));
        foreach (string file in Directory.EnumerateFiles(Oracles.PathOf("tiny-bert")))
        {
            File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
        }

        File.WriteAllText(
            Path.Combine(folder, "modules.json"),
            """
            [{"type": "a.Transformer", "path": ""}, {"type": "a.Pooling", "path": "1_Pooling"}, {"type": "a.Dense", "path": "2_Dense"},
             {"type": "a.Normalize", "path": "3_Normalize"}]
            """
        );
        File.WriteAllText(Path.Combine(folder, "1_Pooling", "config.json"), """{"pooling_mode": "mean"}""");
        File.WriteAllText(
            Path.Combine(folder, "2_Dense", "config.json"),
            """{"activation_function": "torch.nn.modules.activation.GELU"}"""
        );
        Models.Checkpoints.SafetensorsWriter.Write(
            Path.Combine(folder, "2_Dense", "model.safetensors"),
            [("linear.weight", torch.arange(7 * 48).reshape(7, 48).sin()), ("linear.bias", torch.ones(7))]
        );
        string lengths = Path.Combine(folder, "sentence_bert_config.json");
        File.WriteAllText(lengths, """{"max_seq_length": 0}""");
        Assert.Contains(lengths, Assert.Throws<InvalidDataException>(() => new TextEmbedder(folder)).Message, StringComparison.Ordinal);
        File.WriteAllText(lengths, """{"max_seq_length": 9}""");
        using var embedder = new TextEmbedder(folder);
        Assert.Equal(9, embedder.MaxLength);
        Assert.Equal(9, embedder.Encode(string.Join(' ', Enumerable.Repeat("one", 30))).Ids.Length);
        embedder.SaveOnnx(Model);
        using var onnx = OnnxTextEmbedder.Load(Model);
        Assert.Equal(7, onnx.Size);
        Close(embedder.Embed(Encoded(embedder)), onnx.Embed(OnnxCases.Texts));

        string copy = Path.Combine(_folder.FullName, "copy"),
            imported = Path.Combine(_folder.FullName, "imported");
        embedder.SaveOnnxFolder(copy);
        Models.Checkpoints.OnnxCheckpoint.Import(copy, imported);
        using var again = new TextEmbedder(imported);
        Assert.Equal(9, again.MaxLength);
        Close(embedder.Embed(Encoded(embedder)), again.Embed(Encoded(again)));
    }

    [Fact]
    public void OtherFilesAreRefused()
    {
        using (Models.Classification.TextClassifier classifier = OnnxCases.Create("BERT, label words"))
        {
            classifier.SaveOnnx(Model);
        }

        Assert.Contains(
            "LoadOnnxScorer",
            Assert.Throws<InvalidDataException>(() => OnnxTextEmbedder.Load(Model)).Message,
            StringComparison.Ordinal
        );
        Load().Dispose();
        Assert.Contains(
            "LoadOnnxEmbedder",
            Assert.Throws<InvalidDataException>(() => OnnxTextScorer.Load(Model)).Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "as many",
            Assert.Throws<ArgumentException>(() => Embedder().Embed(["a"], ["b", "c"])).Message,
            StringComparison.Ordinal
        );
        string damaged = Encoding
            .Latin1.GetString(File.ReadAllBytes(Model))
            .Replace("\"size\": 48", "\"size\": 47", StringComparison.Ordinal);
        Assert.Contains(
            "says 47 numbers",
            Assert.Throws<InvalidDataException>(() => OnnxTextEmbedder.Load(Encoding.Latin1.GetBytes(damaged))).Message,
            StringComparison.Ordinal
        );
        Assert.Throws<FileNotFoundException>(() => OnnxTextEmbedder.Load(Model + "x"));

        OnnxTextEmbedder Embedder() => OnnxTextEmbedder.Load(Model);
    }

    private static EncodedText[] Encoded(TextEmbedder embedder) => [.. OnnxCases.Texts.Select(text => embedder.Encode(text))];

    private static float[][] Vectors(IDataView view) => [.. view.GetColumn<float[]>("Features")];

    private static string[] SlotNames(IDataView view)
    {
        VBuffer<ReadOnlyMemory<char>> names = default;
        view.Schema["Features"].GetSlotNames(ref names);
        return [.. names.DenseValues().Select(name => name.ToString())];
    }

    /// <summary>To a hundred-thousandth of the largest value, which is 1 at most where vectors are normalised.</summary>
    private static void Close(float[][] wanted, float[][] found)
    {
        Assert.Equal(wanted.Length, found.Length);
        for (int i = 0; i < wanted.Length; i++)
        {
            Assert.Equal(wanted[i].Length, found[i].Length);
            double off = wanted[i].Zip(found[i], (one, other) => Math.Abs(one - other)).Max();
            Assert.True(off < 1e-5 * Math.Max(1, wanted[i].Max(Math.Abs)), $"Row {i} is {off:R} off.");
        }
    }

    private OnnxEmbeddingTransformer Load(string column = "Features")
    {
        using var embedder = new TextEmbedder(Oracles.PathOf("tiny-bert"));
        embedder.SaveOnnx(Model);
        return _ml.SkillLoc().LoadOnnxEmbedder(Model, column);
    }

    private IDataView Rows() =>
        _ml.Data.LoadFromEnumerable(OnnxCases.Texts.Select(text => new Row { Text = text, TextPair = OnnxCases.SecondText }));

    private sealed class Row
    {
        public string Text { get; set; } = "";

        public string TextPair { get; set; } = "";
    }

    private sealed class Embedded
    {
        public float[] Features { get; set; } = [];
    }
}
