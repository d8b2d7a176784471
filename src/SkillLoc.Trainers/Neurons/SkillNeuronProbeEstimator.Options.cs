using Microsoft.ML;
using SkillLoc.Models.Neurons;
using SkillLoc.Transforms;

namespace SkillLoc.Trainers;

public sealed partial class SkillNeuronProbeEstimator
{
    /// <summary>Everything that probing can be told (methods, B.7, B.8).</summary>
    public sealed class Options
    {
        /// <summary>The fitted model whose neurons are probed; it stays as it is and must live until Fit ends.</summary>
        public TextScoringTransformer? Model;

        /// <summary>At which positions neurons are read; the slots of a soft prompt, which the model must have, by default.</summary>
        public NeuronProbeKind Kind = NeuronProbeKind.Prompt;

        /// <summary>The share of each layer's neurons whose activations become features.</summary>
        public double Fraction = 0.01;

        /// <summary>The key-typed label column.</summary>
        public string LabelColumnName = "Label";

        /// <summary>The column that is added.</summary>
        public string OutputColumnName = "Neurons";

        /// <summary>Rows that neurons are judged by; columns as the training view's. Null judges them by the training rows, which is
        /// optimistic.</summary>
        public IDataView? ValidationSet;

        /// <summary>Rows for a second, untouched measurement of the accuracies; null leaves it out.</summary>
        public IDataView? TestSet;

        /// <summary>Ends Fit with an <see cref="OperationCanceledException"/>, as does the end of the context's execution.</summary>
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
