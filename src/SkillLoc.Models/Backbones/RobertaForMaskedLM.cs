using SkillLoc.Models.Checkpoints;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Models.Backbones;

/// <summary>RoBERTa with its masked-language-model head.</summary>
public sealed class RobertaForMaskedLM : MaskedLanguageModel
{
    private static readonly Names Spelling = new(
        "roberta", "lm_head.bias", "lm_head.dense", "lm_head.layer_norm", "lm_head.decoder.weight", "lm_head.decoder.bias");

    internal RobertaForMaskedLM(ModelConfig config, OrderedDictionary<string, Parameter> parameters)
        : base(config, parameters, Spelling)
    {
    }

    /// <summary>RoBERTa counts positions from the padding id + 1.</summary>
    private protected override int PositionOffset => Config.PadTokenId!.Value + 1;

    /// <summary>A padding token within a text has the position of padding, and positions after it do not count it.</summary>
    private protected override int? UncountedToken => Config.PadTokenId;

    /// <summary>GELU, regardless of the activation of the layers.</summary>
    private protected override Func<Tensor, Tensor> HeadActivation => Activation.Gelu;

    internal static IEnumerable<(string Name, long[] Shape)> Shapes(ModelConfig config, bool withHead) => Shapes(config, Spelling, withHead);

    internal static ModelConfig Settle(CheckpointFolder checkpoint) => Settle(checkpoint, Spelling);
}
