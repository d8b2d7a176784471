using SkillLoc.Models.Backbones;
using TorchSharp.Modules;

namespace SkillLoc.Models.Tuning;

/// <summary>
/// The model's own biases train: every parameter whose name contains "bias", those of layer norms, embeddings and the language-model
/// head included (skill neurons, B.3 and B.4). Unlike <see cref="ParameterSelection.BiasOnly"/> it is saved as biases alone.
/// </summary>
public sealed record BitFitOptions : TuningOptions
{
    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, Parameter> ParametersOf(LanguageModel model)
    {
        ArgumentNullException.ThrowIfNull(model);
        return new OrderedDictionary<string, Parameter>(
            model.Parameters.Where(pair => pair.Key.Contains("bias", StringComparison.Ordinal)), StringComparer.Ordinal);
    }

    /// <inheritdoc/>
    internal override Adaptation? Build(LanguageModel model, ParameterSource source) => null;
}
