using System.Text.RegularExpressions;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Tuning;

namespace SkillLoc.Trainers.Tests;

/// <summary>The rules of selection (methods, A.8), by name.</summary>
public sealed class ParameterSelectionTests
{
    // Each name with what selects it when everything is free, or one thing is fixed: free, embeddings, head, the lowest 2 layers, not
    // biases.
    [Theory]
    [InlineData("roberta.embeddings.word_embeddings.weight", true, false, true, true, true)]
    [InlineData("roberta.embeddings.position_embeddings.weight", true, false, true, true, true)]
    [InlineData("roberta.embeddings.LayerNorm.bias", true, false, true, true, true)]
    [InlineData("roberta.encoder.layer.0.attention.self.query.weight", true, true, true, false, false)]
    [InlineData("roberta.encoder.layer.1.attention.output.LayerNorm.bias", true, true, true, false, true)]
    [InlineData("roberta.encoder.layer.2.output.LayerNorm.weight", true, true, true, true, false)]
    [InlineData("roberta.encoder.layer.11.intermediate.dense.bias", true, true, true, true, true)]
    [InlineData("roberta.pooler.dense.weight", true, true, false, true, false)]
    [InlineData("roberta.pooler.dense.bias", true, true, false, true, true)]
    [InlineData("lm_head.dense.weight", true, true, false, true, false)]
    [InlineData("lm_head.layer_norm.bias", true, true, false, true, true)]
    [InlineData("distilbert.transformer.layer.2.sa_layer_norm.bias", true, true, true, true, true)]
    [InlineData("electra.embeddings_project.weight", true, false, true, true, true)]
    [InlineData("mpnet.encoder.relative_attention_bias.weight", true, false, true, true, true)]
    [InlineData("vocab_projector.bias", true, true, false, true, true)]
    [InlineData("lm_head.bias", true, true, false, true, true)]
    [InlineData("lm_head.decoder.weight", true, true, false, true, false)]
    [InlineData("bert.embeddings.token_type_embeddings.weight", true, false, true, true, true)]
    [InlineData("bert.encoder.layer.1.output.dense.weight", true, true, true, false, false)]
    [InlineData("bert.encoder.layer.10.output.dense.bias", true, true, true, true, true)]
    [InlineData("bert.pooler.dense.weight", true, true, false, true, false)]
    [InlineData("cls.predictions.bias", true, true, false, true, true)]
    [InlineData("cls.predictions.transform.dense.weight", true, true, false, true, false)]
    [InlineData("cls.predictions.transform.LayerNorm.bias", true, true, false, true, true)]
    [InlineData("cls.predictions.decoder.weight", true, true, false, true, false)]
    public void NamesDecide(string name, bool free, bool fixEmbeddings, bool fixHead, bool fixLayers, bool biasOnly)
    {
        var all = new ParameterSelection { FixEmbeddings = false, FixHead = false };
        Assert.Equal(
            (free, fixEmbeddings, fixHead, fixLayers, biasOnly),
            (
                all.Selects(name),
                (all with { FixEmbeddings = true }).Selects(name),
                (all with { FixHead = true }).Selects(name),
                (all with { FixLayers = 2 }).Selects(name),
                (all with { BiasOnly = true }).Selects(name)
            )
        );
    }

    [Theory]
    [InlineData("tiny-roberta")]
    [InlineData("tiny-bert")]
    [InlineData("tiny-distilbert")]
    [InlineData("tiny-electra")]
    [InlineData("tiny-camembert")]
    [InlineData("tiny-mpnet")]
    public void TheUsualSelectionIsTheEncodersLayers(string checkpoint)
    {
        using var model = LanguageModel.Load(Oracles.PathOf(checkpoint));
        IReadOnlyList<string> names = new ParameterSelection().Of(model);
        Assert.Equal(16 * model.Config.Layers, names.Count);
        Assert.Equal(model.Parameters.Keys.Where(name => Regex.IsMatch(name, @"\.layer\.\d")), names);
        Assert.Equal(10 * model.Config.Layers, names.Count(name => ParameterPlace.Of(name).Sublayer == "attention"));
    }
}
