using SkillLoc.Models.Checkpoints;

namespace SkillLoc.Models.Architectures;

/// <summary>The architectures that people have and this library does not, by name, for the message that says so.</summary>
internal static class OtherArchitectures
{
    private static readonly Dictionary<string, string> Names = new(StringComparer.Ordinal)
    {
        ["albert"] = "ALBERT",
        ["bart"] = "BART",
        ["bert-generation"] = "BertGeneration",
        ["big_bird"] = "BigBird",
        ["bloom"] = "BLOOM",
        ["canine"] = "CANINE",
        ["convbert"] = "ConvBERT",
        ["data2vec-text"] = "Data2Vec",
        ["deberta"] = "DeBERTa",
        ["deberta-v2"] = "DeBERTa (version 2 or 3)",
        ["deepseek_v3"] = "DeepSeek-V3",
        ["ernie"] = "ERNIE",
        ["esm"] = "ESM",
        ["eurobert"] = "EuroBERT",
        ["falcon"] = "Falcon",
        ["flaubert"] = "FlauBERT",
        ["funnel"] = "Funnel Transformer",
        ["gemma"] = "Gemma",
        ["gemma2"] = "Gemma 2",
        ["gemma3"] = "Gemma 3",
        ["gemma3_text"] = "Gemma 3",
        ["gpt_bigcode"] = "GPTBigCode",
        ["gpt_neo"] = "GPT-Neo",
        ["gpt_neox"] = "GPT-NeoX",
        ["gpt_oss"] = "gpt-oss",
        ["gptj"] = "GPT-J",
        ["ibert"] = "I-BERT",
        ["jina_bert"] = "JinaBERT",
        ["led"] = "LED",
        ["llama"] = "Llama",
        ["llama4"] = "Llama 4",
        ["longformer"] = "Longformer",
        ["longt5"] = "LongT5",
        ["luke"] = "LUKE",
        ["mamba"] = "Mamba",
        ["marian"] = "Marian",
        ["mbart"] = "mBART",
        ["megatron-bert"] = "Megatron-BERT",
        ["mistral"] = "Mistral",
        ["mixtral"] = "Mixtral",
        ["mobilebert"] = "MobileBERT",
        ["modernbert"] = "ModernBERT",
        ["mt5"] = "mT5",
        ["neobert"] = "NeoBERT",
        ["new"] = "GTE's NewModel",
        ["nomic_bert"] = "NomicBERT",
        ["olmo2"] = "OLMo 2",
        ["opt"] = "OPT",
        ["pegasus"] = "PEGASUS",
        ["phi"] = "Phi",
        ["phi3"] = "Phi-3",
        ["qwen2"] = "Qwen2",
        ["qwen3"] = "Qwen3",
        ["reformer"] = "Reformer",
        ["rembert"] = "RemBERT",
        ["roberta-prelayernorm"] = "RoBERTa with layer norms before its blocks",
        ["roformer"] = "RoFormer",
        ["squeezebert"] = "SqueezeBERT",
        ["switch_transformers"] = "Switch Transformers",
        ["t5gemma"] = "T5Gemma",
        ["umt5"] = "UMT5",
        ["xlm"] = "XLM",
        ["xlm-roberta-xl"] = "XLM-RoBERTa-XL",
        ["xlnet"] = "XLNet",
        ["xmod"] = "X-MOD",
    };

    /// <summary>The error for an architecture that is not supported: it names it, those that are, and where to ask for it.</summary>
    public static NotSupportedException Refuse(ModelConfig config)
    {
        string name = Names.TryGetValue(config.ModelType, out string? known) ? $"is of {known}" : "is of another architecture";
        string classes = config.Architectures.Count > 0 ? $", {string.Join(", ", config.Architectures)}" : "";
        return new(
            $"{config.Source} {name} (model_type '{config.ModelType}'{classes}), which is not supported. Supported are "
                + $"{List()}: model_type must be one of "
                + $"{string.Join(", ", Architecture.Supported.Select(architecture => $"'{architecture.ModelType}'"))}. "
                + "To ask for another, open an issue of the SkillLoc.MLNet project that names the checkpoint."
        );
    }

    private static string List()
    {
        string[] names = [.. Architecture.Supported.Select(architecture => architecture.Name)];
        return $"{string.Join(", ", names[..^1])} and {names[^1]}";
    }
}
