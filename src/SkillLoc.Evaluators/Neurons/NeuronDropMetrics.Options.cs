using SkillLoc.Models.Neurons;
using SkillLoc.Transforms;

namespace SkillLoc.Evaluators;

public sealed partial record NeuronDropMetrics
{
    /// <summary>Everything that an accuracy-drop curve can be told.</summary>
    public sealed class Options
    {
        /// <summary>The model; it stays as it is.</summary>
        public TextScoringTransformer? Model;

        /// <summary>What a probe of the model, or of another one of its shape, found.</summary>
        public NeuronProbeResult? Probe;

        /// <summary>The label column: a key, which is compared by its value where it has values, or a text.</summary>
        public string LabelColumnName = "Label";

        /// <summary>The shares of each layer's neurons.</summary>
        public IReadOnlyList<double> Fractions = [0, 0.01, 0.02, 0.05, 0.1, 0.2];

        /// <summary>What is done to neurons.</summary>
        public IReadOnlyList<PerturbationKind> Methods = [PerturbationKind.Gaussian];

        /// <summary>Ranges of layers, the low one included and the high one not; null takes all layers.</summary>
        public IReadOnlyList<(int Low, int High)>? LayerRanges;

        /// <summary>The noise's standard deviation.</summary>
        public double Alpha = 0.1;

        /// <summary>Draws of random neurons for each point, 5 or more (methods, D.6).</summary>
        public int Controls = 5;

        /// <summary>Seed of random neurons and noise; null takes one of the context's.</summary>
        public int? Seed;

        /// <summary>Ends the evaluation with an <see cref="OperationCanceledException"/>, as does the end of the context's
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
