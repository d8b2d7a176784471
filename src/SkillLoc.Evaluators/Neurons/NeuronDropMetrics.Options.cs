using SkillLoc.Models.Neurons;
using SkillLoc.Transforms;

namespace SkillLoc.Evaluators;

public sealed partial record NeuronDropMetrics
{
    /// <summary>Options of accuracy-drop curves.</summary>
    public sealed class Options
    {
        /// <summary>The model, which is not changed.</summary>
        public TextScoringTransformer? Model;

        /// <summary>The probe result of the model, or of another model of the same shape.</summary>
        public NeuronProbeResult? Probe;

        /// <summary>The label column: a key, compared by value if it has values, or a text.</summary>
        public string LabelColumnName = "Label";

        /// <summary>The shares of each layer's neurons, in [0, 1].</summary>
        public IReadOnlyList<double> Fractions = [0, 0.01, 0.02, 0.05, 0.1, 0.2];

        /// <summary>The kinds of perturbation; Gaussian noise by default.</summary>
        public IReadOnlyList<PerturbationKind> Methods = [PerturbationKind.Gaussian];

        /// <summary>Ranges of layers, excluding the high one; null (default) for all layers.</summary>
        public IReadOnlyList<(int Low, int High)>? LayerRanges;

        /// <summary>Standard deviation of the noise; 0.1 by default.</summary>
        public double Alpha = 0.1;

        /// <summary>Number of draws of random neurons per point, 5 or more (methods, D.6); 5 by default.</summary>
        public int Controls = 5;

        /// <summary>Seed of random neurons and noise; null (default) draws one from the context.</summary>
        public int? Seed;

        /// <summary>Cancels the evaluation with an <see cref="OperationCanceledException"/>, as does cancelling the context's
        /// execution.</summary>
        public CancellationToken CancellationToken;

        /// <exception cref="ArgumentException">An option is missing or out of its range.</exception>
        internal void Check()
        {
            if (Model is null || Probe is null)
            {
                throw new ArgumentException($"Options.{nameof(Model)} and Options.{nameof(Probe)} must be given.");
            }

            if (Controls < 5)
            {
                throw new ArgumentOutOfRangeException(nameof(Controls), Controls, $"Options.{nameof(Controls)} must be 5 or more draws.");
            }
        }
    }
}
