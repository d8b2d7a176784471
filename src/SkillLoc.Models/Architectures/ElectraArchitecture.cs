using SkillLoc.Models.Checkpoints;

namespace SkillLoc.Models.Architectures;

/// <summary>ELECTRA: BERT's layers behind embeddings that may be narrower. The discriminator is an encoder; the generator has a
/// masked-language-model head too.</summary>
internal sealed record ElectraArchitecture()
    : EncoderArchitecture(
        "electra",
        "ELECTRA",
        "Electra",
        new(
            "electra",
            LayerNames.Bert,
            new("generator_predictions.", "generator_predictions.dense", "generator_predictions.LayerNorm", "generator_lm_head")
            {
                ListsNormFirst = true,
            }
        )
    )
{
    /// <inheritdoc/>
    public override (int? Pad, int? Bos, int? Eos) DefaultTokenIds => (0, null, null);

    /// <inheritdoc/>
    public override bool MayLookBackOnly => true;

    /// <inheritdoc/>
    public override bool HasGeluHead => true;

    /// <inheritdoc/>
    public override ClassifierForm Classifier { get; } = new("classifier.dense", "classifier.out_proj") { Activation = "gelu" };

    /// <inheritdoc/>
    public override ModelSizes Read(ConfigJson json) => base.Read(json) with { EmbeddingSize = json.Size("embedding_size", 128) };
}
