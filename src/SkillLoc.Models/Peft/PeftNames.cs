using SkillLoc.Models.Checkpoints;

namespace SkillLoc.Models.Peft;

/// <summary>What Python's models call the parameters of a base.</summary>
internal static class PeftNames
{
    /// <summary>Tensors that Python's models have under several names and checkpoints under one: T5's word embeddings, biases of heads.</summary>
    private static readonly string[][] Tied =
    [
        ["shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight"],
        ["cls.predictions.bias", "cls.predictions.decoder.bias"],
        ["lm_head.bias", "lm_head.decoder.bias"],
    ];

    /// <summary>GPT-2's projections, stored as [in, out].</summary>
    public static bool IsConv1D(ModelConfig config, string module) =>
        config.ModelType == "gpt2" && module[(module.LastIndexOf('.') + 1)..] is "c_attn" or "c_proj" or "c_fc";

    /// <summary>The name in the base of a parameter that an adapter calls by its path; null if there is none.</summary>
    public static string? Find(ITensorStore basis, string name)
    {
        string[] prefixes = ["", "bert.", "roberta.", "transformer."];
        string? found = prefixes.Select(prefix => prefix + name).FirstOrDefault(basis.Contains);
        if (found is null && prefixes.Skip(1).FirstOrDefault(prefix => name.StartsWith(prefix, StringComparison.Ordinal)) is { } own)
        {
            found = basis.Contains(name[own.Length..]) ? name[own.Length..] : null;
        }

        return found ?? Array.Find(Tied, names => names.Contains(name))?.FirstOrDefault(basis.Contains);
    }

    /// <summary>The name of the output layer's weight.</summary>
    public static string HeadOf(ModelConfig config) =>
        config.ModelType switch
        {
            "bert" => "cls.predictions.decoder.weight",
            "roberta" => "lm_head.decoder.weight",
            _ => "lm_head.weight",
        };

    /// <summary>Whether a module is the word embeddings.</summary>
    public static bool IsWordModule(ModelConfig config, string module) =>
        WordsOf(config).EndsWith(module + ".weight", StringComparison.Ordinal)
        || module.EndsWith("." + WordsOf(config)[..^".weight".Length], StringComparison.Ordinal);

    public static string WordsOf(ModelConfig config) =>
        config.ModelType switch
        {
            "gpt2" => "transformer.wte.weight",
            "t5" => "shared.weight",
            _ => "embeddings.word_embeddings.weight",
        };
}
