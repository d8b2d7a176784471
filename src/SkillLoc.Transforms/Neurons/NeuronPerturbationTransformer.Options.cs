using SkillLoc.Models.Neurons;

namespace SkillLoc.Transforms;

public sealed partial class NeuronPerturbationTransformer
{
    /// <summary>Options of a perturbation (methods, B.9).</summary>
    public sealed class Options
    {
        /// <summary>The model, which is not changed.</summary>
        public TextScoringTransformer? Model;

        /// <summary>The neurons to perturb, <c>[layers, neurons]</c>.</summary>
        public NeuronSet? Neurons;

        /// <summary>The kind of perturbation; Gaussian noise by default.</summary>
        public PerturbationKind Kind = PerturbationKind.Gaussian;

        /// <summary>Standard deviation of the noise, 0 or more; 0.1 by default.</summary>
        public double Alpha = 0.1;

        /// <summary>The values for <see cref="PerturbationKind.Mean"/>: <c>[layers, neurons]</c>, or <c>[layers, slots, neurons]</c>, which
        /// are averaged over the slots.</summary>
        public NeuronValues? Means;

        /// <summary>The first perturbed layer, zero-based; 0 by default.</summary>
        public int LowLayer;

        /// <summary>The layer after the last perturbed one; null (default) for the end.</summary>
        public int? HighLayer;

        /// <summary>Seed of the noise; null (default) draws one from the context.</summary>
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
