using Microsoft.ML;
using SkillLoc.Models.Neurons;
using SkillLoc.Transforms;

namespace SkillLoc.Evaluators;

/// <summary>The drop of a model's accuracy when skill neurons are perturbed, compared with random neurons (Wang et al. 2022, section
/// 4).</summary>
public sealed partial record NeuronDropMetrics
{
    /// <summary>Number of labelled rows.</summary>
    public required long Count { get; init; }

    /// <summary>The accuracy of the unperturbed model.</summary>
    public required double Accuracy { get; init; }

    /// <summary>The seed of random neurons and noise.</summary>
    public required int Seed { get; init; }

    /// <summary>The points of the curve, ordered by method, range of layers and fraction.</summary>
    public required IReadOnlyList<NeuronDropPoint> Points { get; init; }

    /// <summary>The points as rows, with the columns Method, LowLayer, HighLayer, Fraction, Neurons, Accuracy, ControlAccuracy and
    /// ControlDeviation.</summary>
    /// <param name="context">The context.</param>
    /// <returns>One row per point.</returns>
    public IDataView ToDataView(MLContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return context.Data.LoadFromEnumerable(Points);
    }
}

/// <summary>A point of an accuracy-drop curve.</summary>
/// <param name="Method">The name of the <see cref="PerturbationKind"/>.</param>
/// <param name="LowLayer">The first perturbed layer, zero-based.</param>
/// <param name="HighLayer">The layer after the last.</param>
/// <param name="Fraction">The share of each of these layers' neurons.</param>
/// <param name="Neurons">Number of perturbed neurons.</param>
/// <param name="Accuracy">The accuracy with the skill neurons perturbed.</param>
/// <param name="ControlAccuracy">The mean accuracy with equally many random neurons of each layer perturbed.</param>
/// <param name="ControlDeviation">The sample standard deviation of that over the draws.</param>
public sealed record NeuronDropPoint(
    string Method, int LowLayer, int HighLayer, double Fraction, int Neurons, double Accuracy, double ControlAccuracy, double ControlDeviation);

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
