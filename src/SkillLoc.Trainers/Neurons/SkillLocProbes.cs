using Microsoft.ML;
using SkillLoc.Models.Neurons;
using SkillLoc.Trainers;
using SkillLoc.Transforms;

namespace SkillLoc;

/// <summary>Probes in SkillLoc's catalog.</summary>
public static class SkillLocProbes
{
    /// <summary>Finds the neurons that predict a task's label, and makes features of their activations.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="model">What <c>PromptFineTune</c> fitted.</param>
    /// <param name="kind">At which positions neurons are read.</param>
    /// <param name="fraction">The share of each layer's neurons that become features.</param>
    /// <param name="labelColumnName">The key-typed label column.</param>
    /// <param name="outputColumnName">The column that is added.</param>
    /// <param name="validationSet">Rows that neurons are judged by; null judges them by the training rows.</param>
    /// <returns>The estimator.</returns>
    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    public static SkillNeuronProbeEstimator ProbeSkillNeurons(
        this SkillLocCatalog catalog, TextScoringTransformer model, NeuronProbeKind kind = NeuronProbeKind.Prompt, double fraction = 0.01,
        string labelColumnName = "Label", string outputColumnName = "Neurons", IDataView? validationSet = null) =>
        catalog.ProbeSkillNeurons(new SkillNeuronProbeEstimator.Options
        {
            Model = model,
            Kind = kind,
            Fraction = fraction,
            LabelColumnName = labelColumnName,
            OutputColumnName = outputColumnName,
            ValidationSet = validationSet,
        });

    /// <summary>Finds the neurons that predict a task's label, and makes features of their activations.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="options">Everything that can be told.</param>
    /// <returns>The estimator.</returns>
    /// <exception cref="ArgumentException">An option is missing or out of its range.</exception>
    public static SkillNeuronProbeEstimator ProbeSkillNeurons(this SkillLocCatalog catalog, SkillNeuronProbeEstimator.Options options)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return new(catalog, options);
    }
}
