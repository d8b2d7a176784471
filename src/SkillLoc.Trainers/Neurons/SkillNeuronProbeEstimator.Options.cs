using Microsoft.ML;
using SkillLoc.Models.Neurons;
using SkillLoc.Transforms;

namespace SkillLoc.Trainers;

public sealed partial class SkillNeuronProbeEstimator
{
    /// <summary>Options for <see cref="SkillNeuronProbeEstimator"/> (methods, B.7, B.8).</summary>
    public sealed class Options
    {
        /// <summary>The fitted model to probe. It is not changed, and must not be disposed before Fit ends.</summary>
        public TextScoringTransformer? Model;

        /// <summary>The positions at which neurons are read; by default the slots of a soft prompt, which the model must have.</summary>
        public NeuronProbeKind Kind = NeuronProbeKind.Prompt;

        /// <summary>The share of each layer's neurons to use as features, above 0 and at most 1; 0.01 by default.</summary>
        public double Fraction = 0.01;

        /// <summary>The key-typed label column.</summary>
        public string LabelColumnName = "Label";

        /// <summary>The output column; "Neurons" by default.</summary>
        public string OutputColumnName = "Neurons";

        /// <summary>Validation rows for the accuracies of neurons, with the columns of the training view. Null (default) uses the training
        /// rows, which is optimistic.</summary>
        public IDataView? ValidationSet;

        /// <summary>Test rows for additional accuracies; null (default) for none.</summary>
        public IDataView? TestSet;

        /// <summary>Cancels Fit with an <see cref="OperationCanceledException"/>, as does cancelling the context's execution.</summary>
        public CancellationToken CancellationToken;

        /// <exception cref="ArgumentException">An option is missing or out of its range.</exception>
        internal void Check()
        {
            if (Model is null)
            {
                throw new ArgumentException("Options.Model must be the transformer that PromptFineTune gave.");
            }

            if (Model.Labels.Count == 0)
            {
                throw new ArgumentException(
                    $"Neurons are judged by labels, and Options.Model {(Model.Writes ? "writes free text" : "predicts a score")}.");
            }

            if (!(Fraction is > 0 and <= 1))
            {
                throw new ArgumentOutOfRangeException(nameof(Fraction), Fraction, "Options.Fraction must be above 0 and at most 1.");
            }

            ArgumentException.ThrowIfNullOrEmpty(OutputColumnName);
        }
    }
}
