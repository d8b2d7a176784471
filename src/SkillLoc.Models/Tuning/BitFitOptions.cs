using SkillLoc.Models.Backbones;
using TorchSharp.Modules;

namespace SkillLoc.Models.Tuning;

/// <summary>
/// BitFit: trains the model's biases, which are all parameters whose name contains "bias", those of layer norms, embeddings and the
/// language-model head included (methods, B.4). Unlike <see cref="ParameterSelection.BiasOnly"/> only the biases are saved. T5 is not
/// supported.
/// </summary>
public sealed record BitFitOptions : TuningOptions
{
    /// <inheritdoc/>
    /// <exception cref="NotSupportedException">The model is T5, whose linear maps and norms have no biases.</exception>
    public override IReadOnlyDictionary<string, Parameter> ParametersOf(LanguageModel model)
    {
        ArgumentNullException.ThrowIfNull(model);
        Check(model);
        return new OrderedDictionary<string, Parameter>(
            model.Parameters.Where(pair => pair.Key.Contains("bias", StringComparison.Ordinal)), StringComparer.Ordinal);
    }

    /// <inheritdoc/>
    internal override Adaptation? Build(LanguageModel model, ParameterSource source)
    {
        Check(model);
        return null;
    }

    private static void Check(LanguageModel model)
    {
        if (model is T5ForConditionalGeneration)
        {
            throw new NotSupportedException(
                "T5's linear maps and norms have no biases that BitFit could train (its relative_attention_bias is a table of positions); "
                + "take an adapter, LoRA, a prefix or a soft prompt.");
        }
    }
}
