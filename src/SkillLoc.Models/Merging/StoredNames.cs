using SkillLoc.Models.Checkpoints;
using TorchSharp;

namespace SkillLoc.Models.Merging;

/// <summary>
/// The tensors of a model under names that do not depend on how its folder was saved: without the architecture's prefix, with today's names
/// of norms, and without copies of tied tensors (an output layer that is the word embeddings, T5's embeddings of each stack, the head's
/// bias).
/// </summary>
internal static class StoredNames
{
    private static readonly string[] Prefixes = ["roberta.", "bert.", "distilbert.", "electra.", "mpnet."];

    // GPT-2's prefix is the name of a module in other architectures.
    private static readonly string[] Gpt2Parts = ["transformer.h.", "transformer.wte.", "transformer.wpe.", "transformer.ln_f."];

    // A tensor, and the one that it is a copy of where both hold the same; and whether it stands for that one where it is alone.
    private static readonly (string Copy, string Original, bool StandsForIt)[] Tied =
    [
        ("lm_head.decoder.weight", "embeddings.word_embeddings.weight", false),
        ("cls.predictions.decoder.weight", "embeddings.word_embeddings.weight", false),
        ("lm_head.decoder.bias", "lm_head.bias", true),
        ("cls.predictions.decoder.bias", "cls.predictions.bias", true),
        ("lm_head.weight", "wte.weight", false),
        ("encoder.embed_tokens.weight", "shared.weight", true),
        ("decoder.embed_tokens.weight", "shared.weight", true),
        ("lm_head.weight", "shared.weight", false),
    ];

    /// <summary>The common name of a stored tensor.</summary>
    public static string Common(string name)
    {
        string? prefix = Array.Find(Prefixes, prefix => name.StartsWith(prefix, StringComparison.Ordinal));
        prefix ??= Array.Exists(Gpt2Parts, part => name.StartsWith(part, StringComparison.Ordinal)) ? "transformer." : "";
        return name[prefix.Length..]
            .Replace("LayerNorm.gamma", "LayerNorm.weight", StringComparison.Ordinal)
            .Replace("LayerNorm.beta", "LayerNorm.bias", StringComparison.Ordinal);
    }

    /// <summary>Stored names by common name.</summary>
    public static Dictionary<string, string> Of(IReadOnlyDictionary<string, TensorInfo> tensors, ITensorStore weights)
    {
        var names = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (string name in tensors.Keys)
        {
            names.TryAdd(Common(name), name);
        }

        foreach ((string copy, string original, bool standsForIt) in Tied)
        {
            if (!names.TryGetValue(copy, out string? copied))
            {
                continue;
            }

            if (!names.TryGetValue(original, out string? kept))
            {
                if (standsForIt)
                {
                    names.Remove(copy);
                    names.Add(original, copied);
                }
            }
            else if (tensors[copied].Shape.SequenceEqual(tensors[kept].Shape) && AreEqual(weights, copied, kept))
            {
                names.Remove(copy);
            }
        }

        return names;
    }

    private static bool AreEqual(ITensorStore weights, string one, string other)
    {
        using torch.Tensor first = weights.Read(one),
            second = weights.Read(other);
        return first.dtype == second.dtype && first.Equals(second);
    }
}
