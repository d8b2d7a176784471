using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;

namespace SkillLoc.Models.Architectures;

/// <summary>MPNet: RoBERTa's layers without token types, with biases of attention by relative position that all layers share.</summary>
internal sealed record MpnetArchitecture()
    : EncoderArchitecture(
        "mpnet",
        "MPNet",
        "MPNet",
        new(
            "mpnet",
            LayerNames.Bert with
            {
                Query = "attention.attn.q",
                Key = "attention.attn.k",
                Value = "attention.attn.v",
                AttentionOutput = "attention.attn.o",
                AttentionNorm = "attention.LayerNorm",
            },
            HeadNames.Roberta
        )
        {
            HasTokenTypes = false,
        }
    )
{
    // What positions count from, whatever pad_token_id is.
    private const int Padding = 1;

    /// <inheritdoc/>
    public override (int? Pad, int? Bos, int? Eos) DefaultTokenIds => (1, 0, 2);

    /// <inheritdoc/>
    public override bool HasGeluHead => true;

    /// <inheritdoc/>
    public override ClassifierForm Classifier { get; } = new("classifier.dense", "classifier.out_proj");

    /// <inheritdoc/>
    public override int? UncountedToken(ModelConfig config) => Padding;

    /// <inheritdoc/>
    public override ModelSizes Read(ConfigJson json)
    {
        ModelSizes sizes = base.Read(json);
        return sizes with
        {
            ClassifierDropout = sizes.HiddenDropout,
            RelativeAttentionBuckets = json.Size("relative_attention_num_buckets", RelativePositions.MpnetBuckets),
            RelativeAttentionMaxDistance = RelativePositions.MpnetMaxDistance,
        };
    }

    /// <inheritdoc/>
    public override void Check(ModelConfig config)
    {
        // transformers sorts distances into 32 buckets whatever the table's size.
        if (config.RelativeAttentionBuckets < RelativePositions.MpnetBuckets)
        {
            throw new NotSupportedException(
                $"{config.Source}: relative_attention_num_buckets is {config.RelativeAttentionBuckets}; MPNet's attention uses "
                    + $"{RelativePositions.MpnetBuckets}; expected that or more."
            );
        }
    }
}
