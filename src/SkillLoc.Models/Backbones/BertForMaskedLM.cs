using SkillLoc.Models.Checkpoints;
using TorchSharp.Modules;

namespace SkillLoc.Models.Backbones;

/// <summary>BERT with its masked-language-model head.</summary>
public sealed class BertForMaskedLM : MaskedLanguageModel
{
    private static readonly Names Spelling = new(
        "bert", "cls.predictions.bias", "cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm",
        "cls.predictions.decoder.weight", "cls.predictions.decoder.bias");

    internal BertForMaskedLM(ModelConfig config, OrderedDictionary<string, Parameter> parameters)
        : base(config, parameters, Spelling)
    {
    }

    /// <inheritdoc/>
    private protected override int PositionOffset => 0;

    internal static IEnumerable<(string Name, long[] Shape)> Shapes(ModelConfig config, bool withHead) => Shapes(config, Spelling, withHead);

    internal static ModelConfig Settle(CheckpointFolder checkpoint) => Settle(checkpoint, Spelling);
}
