using SkillLoc.Models.Checkpoints;
using static TorchSharp.torch;

namespace SkillLoc.Models.Backbones;

/// <summary>T5's parameters: their names, shapes and initial values, and what of the configuration the stored weights decide.</summary>
internal static class T5Parameters
{
    /// <summary>The word embeddings of encoder and decoder.</summary>
    internal const string Words = "shared.weight";

    /// <summary>The language-model head, where it is not tied to the word embeddings.</summary>
    internal const string HeadWeight = "lm_head.weight";

    private const string ScaleKey = "scale_decoder_outputs";
    private const string TieKey = "tie_word_embeddings";
    private const string DecoderLayersKey = "num_decoder_layers";

    /// <exception cref="NotSupportedException">There is no start token, or the buckets of relative positions are out of range.</exception>
    internal static void Check(ModelConfig config)
    {
        if (config.DecoderStartTokenId is null && config.DecoderLayers > 0)
        {
            throw new NotSupportedException($"{config.Source}: decoder_start_token_id is null; T5's decoder needs a token to begin with.");
        }

        int buckets = config.RelativeAttentionBuckets,
            farthest = config.RelativeAttentionMaxDistance;
        if (buckets < 4 || farthest <= buckets / 2)
        {
            throw new NotSupportedException(
                $"{config.Source}: relative_attention_num_buckets is {buckets} and relative_attention_max_distance {farthest}; "
                    + "expected 4 buckets or more and a distance above half their number."
            );
        }
    }

    /// <summary>Names and shapes of the parameters, in the order of <c>transformers</c>.</summary>
    internal static IEnumerable<(string Name, long[] Shape)> Shapes(ModelConfig config, bool withHead)
    {
        long hidden = config.HiddenSize,
            inner = (long)config.Heads * config.HeadSize;
        yield return (Words, [config.VocabularySize, hidden]);
        foreach ((string stack, int layers) in new[] { ("encoder", config.Layers), ("decoder", config.DecoderLayers) })
        {
            if (layers == 0)
            {
                yield break;
            }

            for (int i = 0; i < layers; i++)
            {
                foreach ((string name, long[] shape) in stack == "encoder" ? EncoderLayer(i) : DecoderLayer(i))
                {
                    yield return ($"{stack}.block.{i}.layer.{name}.weight", shape);
                }
            }

            yield return (stack + ".final_layer_norm.weight", [hidden]);
        }

        if (withHead && !config.TieWordEmbeddings)
        {
            yield return (HeadWeight, [config.VocabularySize, hidden]);
        }

        IEnumerable<(string, long[])> EncoderLayer(int i) =>
            [
                .. AttentionParts("0.SelfAttention", i == 0),
                ("0.layer_norm", [hidden]),
                .. FeedForwardParts("1", config.FeedForwardSizes[i]),
            ];

        IEnumerable<(string, long[])> DecoderLayer(int i) =>
            [
                .. AttentionParts("0.SelfAttention", i == 0),
                ("0.layer_norm", [hidden]),
                .. AttentionParts("1.EncDecAttention", false),
                ("1.layer_norm", [hidden]),
                .. FeedForwardParts("2", config.FeedForwardSize),
            ];

        IEnumerable<(string, long[])> AttentionParts(string name, bool biased)
        {
            yield return (name + ".q", [inner, hidden]);
            yield return (name + ".k", [inner, hidden]);
            yield return (name + ".v", [inner, hidden]);
            yield return (name + ".o", [hidden, inner]);
            if (biased)
            {
                yield return (name + ".relative_attention_bias", [config.RelativeAttentionBuckets, config.Heads]);
            }
        }

        IEnumerable<(string, long[])> FeedForwardParts(string layer, long neurons)
        {
            foreach (string up in config.HasGatedFeedForward ? ["wi_0", "wi_1"] : new[] { "wi" })
            {
                yield return ($"{layer}.DenseReluDense.{up}", [neurons, hidden]);
            }

            yield return (layer + ".DenseReluDense.wo", [hidden, neurons]);
            yield return (layer + ".layer_norm", [hidden]);
        }
    }

    /// <summary>
    /// The configuration that matches the weights: newer versions of <c>transformers</c> write that embeddings are tied even where the head
    /// has weights of its own, tie a head that has none whatever the file says, and say by another key whether the decoder's output is
    /// scaled. Without a decoder, as in a <c>T5EncoderModel</c>, there are no decoder layers.
    /// </summary>
    /// <exception cref="NotSupportedException">Encoder and decoder have different word embeddings.</exception>
    internal static ModelConfig Settle(CheckpointFolder checkpoint)
    {
        ModelConfig config = checkpoint.Config;
        ITensorStore weights = checkpoint.Weights;
        long[] shape = [config.VocabularySize, config.HiddenSize];
        if (!weights.Tensors.Any(info => info.Name.StartsWith("decoder.block.", StringComparison.Ordinal)))
        {
            return config.With(DecoderLayersKey, 0);
        }

        string[] embeddings = [.. new[] { Words, "encoder.embed_tokens.weight", "decoder.embed_tokens.weight" }.Where(weights.Contains)];
        if (embeddings.Length > 1)
        {
            using Tensor first = StoredTensor.Read(checkpoint, embeddings[0], shape, null, ScalarType.Float32);
            foreach (string name in embeddings[1..])
            {
                using Tensor other = StoredTensor.Read(checkpoint, name, shape, null, ScalarType.Float32);
                if (!first.Equals(other))
                {
                    throw new NotSupportedException(
                        $"{weights.Path}: '{embeddings[0]}' and '{name}' differ; T5 with several word embeddings is not supported."
                    );
                }
            }
        }

        bool hasHead = weights.Contains(HeadWeight);
        if (hasHead != config.TieWordEmbeddings)
        {
            return config;
        }

        if (hasHead && !StoredTensor.HasOwnHead(checkpoint, HeadWeight, Words))
        {
            return config;
        }

        return config.With(ScaleKey, ScalesHead(config)).With(TieKey, !hasHead);
    }

    /// <summary>The configuration of the encoder alone.</summary>
    internal static ModelConfig WithoutDecoder(ModelConfig config) => config.With(DecoderLayersKey, 0);

    /// <summary>Whether the decoder's output is scaled before the head, as with tied embeddings.</summary>
    internal static bool ScalesHead(ModelConfig config) => config.Flag(ScaleKey, config.TieWordEmbeddings);

    /// <summary>Standard deviation of new weights, as in the Mesh TensorFlow original.</summary>
    internal static double InitialDeviation(ModelConfig config, string name)
    {
        double fan = name switch
        {
            Words or HeadWeight => 1,
            _ when name.EndsWith(".q.weight", StringComparison.Ordinal) => (double)config.HiddenSize * config.HeadSize,
            _ when name.EndsWith(".o.weight", StringComparison.Ordinal) => (double)config.Heads * config.HeadSize,
            _ when name.EndsWith(".wo.weight", StringComparison.Ordinal) => config.FeedForwardSize,
            _ => config.HiddenSize,
        };
        return config.InitializerRange / Math.Sqrt(fan);
    }
}
