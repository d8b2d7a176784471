using SkillLoc.Models.Neurons;

namespace SkillLoc.Transforms;

public sealed partial class NeuronPerturbationTransformer
{
    /// <summary>Everything that a perturbation can be told (methods, B.9).</summary>
    public sealed class Options
    {
        /// <summary>The model that is perturbed; it stays as it is.</summary>
        public TextScoringTransformer? Model;

        /// <summary>The neurons that are perturbed, <c>[layers, neurons]</c>.</summary>
        public NeuronSet? Neurons;

        /// <summary>What is done to them.</summary>
        public PerturbationKind Kind = PerturbationKind.Gaussian;

        /// <summary>The noise's standard deviation.</summary>
        public double Alpha = 0.1;

        /// <summary>What they are set to by <see cref="PerturbationKind.Mean"/>: <c>[layers, neurons]</c>, or
        /// <c>[layers, slots, neurons]</c>, whose mean over the slots is used.</summary>
        public NeuronValues? Means;

        /// <summary>The first layer that is perturbed, zero-based.</summary>
        public int LowLayer;

        /// <summary>The layer after the last that is perturbed; null goes to the end.</summary>
        public int? HighLayer;

        /// <summary>Seed of the noise; null takes one of the context's.</summary>
        public int? Seed;

        /// <exception cref="ArgumentException">An option is missing.</exception>
        internal void Check()
        {
            if (Model is null || Neurons is null)
            {
                throw new ArgumentException($"Options.{nameof(Model)} and Options.{nameof(Neurons)} must be given.");
            }

            if (Kind == PerturbationKind.Mean && Means is null)
            {
                throw new ArgumentException($"Options.{nameof(Means)} must be given, for example a probe's thresholds, where neurons are set to their mean.");
            }
        }
    }
}
