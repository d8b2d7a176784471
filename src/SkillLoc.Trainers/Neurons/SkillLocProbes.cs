using Microsoft.ML;
using SkillLoc.Models.Neurons;
using SkillLoc.Trainers;
using SkillLoc.Transforms;

namespace SkillLoc;

/// <summary>Catalog methods that probe neurons.</summary>
public static class SkillLocProbes
{
    /// <summary>Finds the neurons that predict a task's label, and uses their activations as features.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="model">A transformer fitted by <c>PromptFineTune</c>.</param>
    /// <param name="kind">The positions at which neurons are read.</param>
    /// <param name="fraction">The share of each layer's neurons to use as features, above 0 and at most 1.</param>
    /// <param name="labelColumnName">The key-typed label column.</param>
    /// <param name="outputColumnName">The output column.</param>
    /// <param name="validationSet">Validation rows for the accuracies of neurons; null uses the training rows.</param>
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

    /// <summary>Finds the neurons that predict a task's label, and uses their activations as features.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="options">The options.</param>
    /// <returns>The estimator.</returns>
    /// <exception cref="ArgumentException">An option is missing or out of its range.</exception>
    public static SkillNeuronProbeEstimator ProbeSkillNeurons(this SkillLocCatalog catalog, SkillNeuronProbeEstimator.Options options)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return new(catalog, options);
    }
}
