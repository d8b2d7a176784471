using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Embeddings;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tokenization;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Transforms.Tests.Embeddings;

public sealed class EmbedTextTests
{
    private static readonly string Checkpoint = Oracles.PathOf("tiny-roberta");
    private readonly MLContext _ml = new(seed: 1);

    [Theory]
    [InlineData(0, TextPooling.Mean)]
    [InlineData(2, TextPooling.FirstToken)]
    [InlineData(3, TextPooling.Mean)]
    [InlineData(3, TextPooling.ScoredPosition)]
    public void VectorsArePooledFromTheOraclesHiddenStates(int layer, TextPooling pooling)
    {
        using DisposeScope scope = NewDisposeScope();
        using var oracle = SafetensorsFile.Open(Path.Join(Checkpoint, "expected.safetensors"));
        Tensor ids = oracle.Read("input_ids"),
            mask = oracle.Read("attention_mask"),
            hidden = oracle.Read($"hidden.{layer}");
        long[] places = oracle.Read("mask_pos").data<long>().ToArray();
        long[] lengths = mask.sum(dim: 1).data<long>().ToArray();
        EncodedText[] rows =
        [
            .. lengths.Select(
                (length, i) =>
                    new EncodedText(
                        [.. ids.select(0, i).narrow(0, 0, length).clone().data<long>().ToArray().Select(id => (int)id)],
                        null,
                        (int)places[i]
                    )
            ),
        ];
        using var embedder = new TextEmbedder(Checkpoint, layer, pooling, "*cls**sent_0**mask**sep+*");
        float[][] vectors = embedder.Embed(rows);
        for (int i = 0; i < rows.Length; i++)
        {
            Tensor own = hidden.select(0, i).narrow(0, 0, lengths[i]);
            Tensor expected = pooling switch
            {
                TextPooling.FirstToken => own.select(0, 0),
                TextPooling.ScoredPosition => own.select(0, places[i]),
                _ => own.mean([0]),
            };
            Assert.True(allclose(expected, tensor(vectors[i]), 1e-4, 1e-4), $"row {i}");
        }
    }

    [Theory]
    [InlineData("tiny-gpt2", 1, "hidden.1")]
    [InlineData("tiny-gpt2", null, "hidden.3")]
    [InlineData("tiny-t5", null, "encoder_last")]
    public void VectorsOfGpt2AndOfT5sEncoderAreMeansOverRealTokens(string name, int? layer, string tensorName)
    {
        using DisposeScope scope = NewDisposeScope();
        string folder = Oracles.PathOf(name);
        using var oracle = SafetensorsFile.Open(Path.Join(folder, "expected.safetensors"));
        Tensor ids = oracle.Read("input_ids"),
            hidden = oracle.Read(tensorName);
        long[] lengths = oracle.Read("attention_mask").sum(dim: 1).data<long>().ToArray();
        EncodedText[] rows =
        [
            .. lengths.Select(
                (length, i) =>
                    new EncodedText(
                        [.. ids.select(0, i).narrow(0, 0, length).clone().data<long>().ToArray().Select(id => (int)id)],
                        null,
                        0
                    )
            ),
        ];
        using var embedder = new TextEmbedder(folder, layer);
        float[][] vectors = embedder.Embed(rows);
        for (int i = 0; i < rows.Length; i++)
        {
            Assert.True(allclose(hidden.select(0, i).narrow(0, 0, lengths[i]).mean([0]), tensor(vectors[i]), 1e-4, 1e-4), $"row {i}");
        }
    }

    [Theory]
    [InlineData("tiny-gpt2")]
    [InlineData("tiny-t5")]
    [InlineData("tiny-t5-v11")]
    [InlineData("tiny-bert")]
    [InlineData("tiny-distilbert")]
    [InlineData("tiny-electra-discriminator")]
    [InlineData("tiny-xlm-roberta")]
    [InlineData("tiny-mpnet")]
    public void AnyCheckpointEmbedsEveryRow(string name)
    {
        string folder = Oracles.PathOf(name);
        IDataView data = _ml.Data.LoadFromEnumerable(
            new[]
            {
                new Toy.Row { Text = "a fine film" },
                new Toy.Row { Text = "" },
                new Toy.Row { Text = "bad" },
            }
        );
        using EmbedTextTransformer transformer = _ml.SkillLoc().EmbedText(folder).Fit(data);
        float[][] vectors = [.. transformer.Transform(data).GetColumn<float[]>("Features")];
        Assert.Equal(3, vectors.Length);
        Assert.All(vectors, vector => Assert.Equal(CheckpointFolder.ReadConfig(folder).HiddenSize, vector.Length));

        // As the folder's own tokenizer has special tokens: T5 ends a text, GPT-2 has none.
        using var embedder = new TextEmbedder(folder);
        var tokenizer = CheckpointTokenizer.Load(folder);
        int[] bare = tokenizer.Encode("a fine film");
        int[] expected = name switch
        {
            "tiny-gpt2" => bare,
            "tiny-t5" or "tiny-t5-v11" => [.. bare, tokenizer.SepId],
            _ => [tokenizer.ClsId, .. bare, tokenizer.SepId],
        };
        Assert.Equal(expected, embedder.Encode("a fine film").Ids);
        Assert.Equal(vectors[0], embedder.Embed([embedder.Encode("a fine film")])[0], (a, b) => Math.Abs(a - b) < 1e-4);
    }

    [Fact]
    public void T5sEncoderAloneEmbedsAndSaysThatItCannotWrite()
    {
        string folder = Directory.CreateTempSubdirectory("skillloc-").FullName;
        try
        {
            string whole = Oracles.PathOf("tiny-t5");
            ModelConfig config = ModelConfig.Load(Path.Join(whole, "config.json")).WithArchitecture("T5EncoderModel");
            using (DisposeScope scope = NewDisposeScope())
            using (var weights = SafetensorsFile.Open(Path.Join(whole, "model.safetensors")))
            {
                CheckpointFolder.Save(
                    folder,
                    config,
                    weights
                        .Tensors.Where(info => !info.Name.StartsWith("decoder.", StringComparison.Ordinal))
                        .Select(info => (info.Name, weights.Read(info.Name))),
                    [Path.Join(whole, "spiece.model")]
                );
            }

            using (var alone = new TextEmbedder(folder))
            using (var both = new TextEmbedder(whole))
            {
                Assert.Equal(both.Embed([both.Encode("a fine film")])[0], alone.Embed([alone.Encode("a fine film")])[0]);
            }

            string message = Assert.Throws<InvalidDataException>(() => LanguageModel.Load(folder)).Message;
            Assert.Contains("T5EncoderModel", message, StringComparison.Ordinal);
            Assert.Contains("EmbedText", message, StringComparison.Ordinal);
            Assert.Contains("T5ForConditionalGeneration", message, StringComparison.Ordinal);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Theory]
    [InlineData("tiny-gpt2")]
    [InlineData("tiny-t5")]
    public void ATemplateNeedsAMask(string name) =>
        Assert.Contains(
            "has none",
            Assert.Throws<ArgumentException>(() => new TextEmbedder(Oracles.PathOf(name), template: "*cls**sent_0**mask**sep+*")).Message,
            StringComparison.Ordinal
        );

    [Fact]
    public void FeaturesAreAColumnInAPipeline()
    {
        EstimatorChain<ColumnCopyingTransformer> pipeline = _ml.SkillLoc()
            .EmbedText(Checkpoint, layer: 1)
            .Append(_ml.Transforms.CopyColumns("Copy", "Features"));
        using TransformerChain<ColumnCopyingTransformer> fitted = pipeline.Fit(Toy.Rows(_ml));
        IDataView embedded = fitted.Transform(Toy.Rows(_ml));
        Assert.Equal(48, ((VectorDataViewType)embedded.Schema["Copy"].Type).Size);
        float[][] vectors = [.. embedded.GetColumn<float[]>("Copy")];
        using EmbedTextTransformer transformer = _ml.SkillLoc().EmbedText(Checkpoint, layer: 1).Fit(Toy.Rows(_ml));
        using PredictionEngine<Toy.Row, Embedded> engine = _ml.Model.CreatePredictionEngine<Toy.Row, Embedded>(transformer);
        Assert.Equal(vectors[7], engine.Predict(new Toy.Row { Text = Toy.Texts[7] }).Features, (a, b) => Math.Abs(a - b) < 1e-4);
    }

    [Fact]
    public void NoTensorIsLeftAndBadInputIsNamed()
    {
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        using (EmbedTextTransformer transformer = _ml.SkillLoc().EmbedText(Checkpoint).Fit(Toy.Rows(_ml)))
        {
            Assert.Equal(100, transformer.Transform(Toy.Rows(_ml)).GetColumn<float[]>("Features").Count());
        }

        Assert.Throws<ArgumentOutOfRangeException>(() => new TextEmbedder(Checkpoint, layer: 4));
        Assert.Throws<ArgumentOutOfRangeException>(() => _ml.SkillLoc().EmbedText(Checkpoint, textColumnName: "Body").Fit(Toy.Rows(_ml)));
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    private sealed class Embedded
    {
        public float[] Features { get; set; } = [];
    }
}
