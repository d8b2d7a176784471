using System.Text.Json;
using System.Text.Json.Nodes;
using SkillLoc.Models.Architectures;
using SkillLoc.Models.Checkpoints;

namespace SkillLoc.Models.Backbones;

/// <summary>
/// Checks the keys of <c>config.json</c> that change what a model computes and that no backbone supports: each is refused by name unless
/// its value matches what is computed. Keys that have no effect here (<c>use_cache</c>, <c>chunk_size_feed_forward</c>, the type of stored
/// weights, GPT-2's <c>reorder_and_upcast_attn</c>, which moves a rounding, <c>summary_...</c> of unused heads) are ignored.
/// </summary>
internal static class ConfigFields
{
    /// <summary>The <c>problem_type</c> of a multi-label classifier in Python.</summary>
    public const string MultiLabel = "multi_label_classification";

    private const string SingleLabel = "single_label_classification";

    /// <summary>Throws if a key asks for a computation that is not supported.</summary>
    /// <exception cref="NotSupportedException">A key is not supported; the message names it.</exception>
    public static void Check(ModelConfig config)
    {
        Refuse("quantization_config", "weights that are quantized; expected a folder with the original weights");
        Refuse("pruned_heads", "attention heads that were taken out");
        Refuse("tie_encoder_decoder", "an encoder and a decoder that share their weights");
        if (config.Field("auto_map") is JsonObject map && map.Any(entry => entry.Key != "AutoTokenizer"))
        {
            throw Refused("auto_map", map, "Python code of its own, which nobody here can know");
        }

        if (!config.IsEncoderDecoder)
        {
            Refuse("add_cross_attention", "attention to another model's output");
            Refuse("is_encoder_decoder", "an encoder and a decoder, which this architecture has not");
        }

        if (!config.IsCausal && !config.IsEncoderDecoder && config.Text("position_embedding_type") is not (null or "absolute"))
        {
            throw Refused("position_embedding_type", config.Field("position_embedding_type")!, "other positions than 'absolute'");
        }

        void Refuse(string key, string meaning)
        {
            JsonNode? value = config.Field(key);
            bool says =
                value is not null
                && value.GetValueKind() switch
                {
                    JsonValueKind.False => false,
                    JsonValueKind.Object => ((JsonObject)value).Count > 0,
                    JsonValueKind.Array => ((JsonArray)value).Count > 0,
                    _ => true,
                };
            if (says)
            {
                throw Refused(key, value!, meaning);
            }
        }

        NotSupportedException Refused(string key, JsonNode value, string meaning)
        {
            string text = value.ToJsonString();
            return new(
                $"{config.Source}: {key} is {(text.Length <= 80 ? text : text[..80] + "...")}, which asks for {meaning}; that is not "
                    + "supported."
            );
        }
    }

    /// <summary>Whether a Hugging Face classifier is multi-label.</summary>
    public static bool IsMultiLabel(ModelConfig config) => config.Text("problem_type") == MultiLabel;

    /// <summary>Throws if a Hugging Face classifier does not predict probabilities of labels.</summary>
    /// <exception cref="NotSupportedException">It does not; the message names the key.</exception>
    public static void CheckClassifier(ModelConfig config)
    {
        string? type = config.Text("problem_type");
        if (type is not (null or SingleLabel or MultiLabel) || config.Labels.Count == 1)
        {
            throw new NotSupportedException(
                $"{config.Source}: problem_type is "
                    + $"{(type is null ? "not set, and there is one label, which makes it a regression" : $"'{type}'")}; "
                    + $"supported are Hugging Face classifiers of '{SingleLabel}' and '{MultiLabel}'."
            );
        }
    }

    /// <summary>The key of an architecture's activation.</summary>
    public static string ActivationKey(ModelConfig config) =>
        config.IsEncoderDecoder && config.Field("dense_act_fn") is not null ? "dense_act_fn" : Architecture.Of(config).ActivationKey;
}
