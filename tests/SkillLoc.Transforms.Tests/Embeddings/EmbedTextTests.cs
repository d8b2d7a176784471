using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Embeddings;
using SkillLoc.Models.Prompts;
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
    [InlineData(3, TextPooling.Mask)]
    public void VectorsArePooledFromTheOraclesHiddenStates(int layer, TextPooling pooling)
    {
        using var scope = NewDisposeScope();
        using SafetensorsFile oracle = SafetensorsFile.Open(Path.Join(Checkpoint, "expected.safetensors"));
        Tensor ids = oracle.Read("input_ids"), mask = oracle.Read("attention_mask"), hidden = oracle.Read($"hidden.{layer}");
        long[] places = oracle.Read("mask_pos").data<long>().ToArray();
        long[] lengths = mask.sum(dim: 1).data<long>().ToArray();
        EncodedText[] rows = [.. lengths.Select((length, i) => new EncodedText(
            [.. ids.select(0, i).narrow(0, 0, length).clone().data<long>().ToArray().Select(id => (int)id)], null, (int)places[i]))];
        using var embedder = new TextEmbedder(Checkpoint, layer, pooling, "*cls**sent_0**mask**sep+*");
        float[][] vectors = embedder.Embed(rows);
        for (int i = 0; i < rows.Length; i++)
        {
            Tensor own = hidden.select(0, i).narrow(0, 0, lengths[i]);
            Tensor expected = pooling switch
            {
                TextPooling.FirstToken => own.select(0, 0),
                TextPooling.Mask => own.select(0, places[i]),
                _ => own.mean([0]),
            };
            Assert.True(allclose(expected, tensor(vectors[i]), 1e-4, 1e-4), $"row {i}");
        }
    }

    [Fact]
    public void FeaturesAreAColumnInAPipeline()
    {
        var pipeline = _ml.SkillLoc().EmbedText(Checkpoint, layer: 1).Append(_ml.Transforms.CopyColumns("Copy", "Features"));
        IDataView embedded = pipeline.Fit(Toy.Rows(_ml)).Transform(Toy.Rows(_ml));
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
        Assert.Throws<ArgumentException>(() => new TextEmbedder(Checkpoint, pooling: TextPooling.Mask));
        Assert.Throws<ArgumentOutOfRangeException>(() => _ml.SkillLoc().EmbedText(Checkpoint, textColumnName: "Body").Fit(Toy.Rows(_ml)));
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    private sealed class Embedded
    {
        public float[] Features { get; set; } = [];
    }
}
