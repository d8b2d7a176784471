using SkillLoc.Models.Checkpoints;
using TorchSharp.Modules;

namespace SkillLoc.Models.Backbones;

/// <summary>RoBERTa with its masked-language-model head.</summary>
public sealed class RobertaForMaskedLM : MaskedLanguageModel
{
    private static readonly Names Spelling = new(
        "roberta", "lm_head.bias", "lm_head.dense", "lm_head.layer_norm", "lm_head.decoder.weight");

    internal RobertaForMaskedLM(ModelConfig config, OrderedDictionary<string, Parameter> parameters)
        : base(config, parameters, Spelling)
    {
    }

    /// <summary>RoBERTa counts positions from the padding id + 1.</summary>
    private protected override int PositionOffset => (Config.PadTokenId ?? 1) + 1;

    internal static IEnumerable<(string Name, long[] Shape)> Shapes(ModelConfig config, bool withHead) => Shapes(config, Spelling, withHead);
}
