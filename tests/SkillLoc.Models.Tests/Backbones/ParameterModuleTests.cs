using SkillLoc.Models.Backbones;

namespace SkillLoc.Models.Tests;

public sealed class ParameterModuleTests
{
    [Theory]
    [InlineData("roberta.encoder.layer.3.attention.self.query.weight", "q")]
    [InlineData("roberta.encoder.layer.3.attention.self.value.bias", "bias")]
    [InlineData("roberta.encoder.layer.3.attention.output.dense.weight", "o")]
    [InlineData("roberta.encoder.layer.3.attention.output.LayerNorm.bias", "norm")]
    [InlineData("roberta.encoder.layer.3.intermediate.dense.weight", "ffn-in")]
    [InlineData("roberta.encoder.layer.3.output.dense.weight", "ffn-out")]
    [InlineData("distilbert.transformer.layer.1.attention.q_lin.weight", "q")]
    [InlineData("distilbert.transformer.layer.1.ffn.lin2.weight", "ffn-out")]
    [InlineData("distilbert.transformer.layer.1.sa_layer_norm.weight", "norm")]
    [InlineData("transformer.h.0.attn.c_attn.weight", "qkv")]
    [InlineData("transformer.h.0.attn.c_proj.weight", "o")]
    [InlineData("transformer.h.0.mlp.c_proj.weight", "ffn-out")]
    [InlineData("transformer.h.0.ln_1.weight", "norm")]
    [InlineData("decoder.block.2.layer.1.EncDecAttention.k.weight", "k")]
    [InlineData("encoder.block.2.layer.1.DenseReluDense.wi_0.weight", "ffn-in")]
    [InlineData("mpnet.encoder.layer.0.attention.attn.o.weight", "o")]
    [InlineData("roberta.embeddings.word_embeddings.weight", "other")]
    [InlineData("lm_head.dense.weight", "other")]
    public void PartsOfBlocksHaveOneNameInAllArchitectures(string name, string module) =>
        Assert.Equal(module, ParameterPlace.Of(name).Module);
}
