using Microsoft.ML;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Neurons;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Runtime;

namespace SkillLoc.Transforms;

/// <summary>
/// Scores text as another transformer does, with some of its model's feed-forward neurons perturbed (methods, B.9). It shares that model's
/// weights, which other passes use unperturbed, and may outlive it.
/// </summary>
/// <remarks>Noise is drawn for each group of rows scored together, from the seed and the rows: the same view always gives the same scores,
/// on any number of threads. A single row gets different noise than within a view.</remarks>
public sealed class NeuronPerturbationTransformer : TextScoringTransformer
{
    private readonly Options _options;
    private readonly NeuronSet _neurons;
    private readonly NeuronPerturbation? _fixed;

    /// <summary>Creates a transformer.</summary>
    /// <param name="context">The context, which provides a seed if none is given.</param>
    /// <param name="options">The options.</param>
    /// <exception cref="ArgumentException">An option is missing, or its shape differs from the model's neurons.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The layers are outside the model, or alpha is negative.</exception>
    public NeuronPerturbationTransformer(MLContext context, Options options)
        : base(
            Checked(options).Classifier.Clone(_ => true),
            options.Model!.Columns,
            options.Model.CheckpointFolder,
            options.Model.BaseCheckpoint
        )
    {
        try
        {
            Host = new(context, nameof(NeuronPerturbationTransformer));
            Seed = options.Seed ?? Host.DrawSeed();
            _options = options;
            _neurons = options.Neurons!.Within(options.LowLayer, options.HighLayer ?? options.Neurons.Layers);
            _fixed = options.Kind switch
            {
                PerturbationKind.Zero => NeuronPerturbation.Zero(Classifier.Backbone, _neurons),
                PerturbationKind.Mean => NeuronPerturbation.Mean(Classifier.Backbone, _neurons, options.Means!),
                _ => null,
            };
            if (_fixed is not null)
            {
                _fixed.AddTo(Classifier.Backbone.Hooks);
                Classifier.Backbone.DisposeWith(_fixed);
            }
            else
            {
                Noise(0).Dispose();
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The seed of the noise.</summary>
    public int Seed { get; }

    /// <inheritdoc/>
    public override Precision Precision
    {
        get => Precision.Float32;
        set
        {
            if (value != Precision.Float32)
            {
                throw new NotSupportedException("A model whose neurons are perturbed scores in float32 only.");
            }
        }
    }

    /// <inheritdoc/>
    private protected override T[] Run<T>(IReadOnlyList<EncodedText> rows, Func<TextClassifier, T[]> work)
    {
        if (_fixed is not null)
        {
            return base.Run(rows, work);
        }

        int seed = Seed;
        foreach (EncodedText row in rows)
        {
            foreach (int id in row.Ids)
            {
                seed = unchecked((seed * 31) + id);
            }
        }

        // A model of its own, of the same weights: other threads draw from their own seeds.
        using TextClassifier own = Classifier.Clone(_ => true);
        using NeuronPerturbation noise = Noise(seed);
        noise.AddTo(own.Backbone.Hooks);
        return work(own);
    }

    /// <inheritdoc/>
    private protected override SavedScorer State() =>
        throw new NotSupportedException(
            "A perturbed model is for experiments and cannot be saved into an ML.NET model; save the model that it perturbs."
        );

    /// <inheritdoc/>
    private protected override SavedScorer State(PackedCheckpoints packed) => State();

    private static TextScoringTransformer Checked(Options options)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Check();
        return options.Model!;
    }

    private NeuronPerturbation Noise(int seed) => NeuronPerturbation.Gaussian(Classifier.Backbone, _neurons, seed, _options.Alpha);

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
                throw new ArgumentException(
                    $"Options.{nameof(Means)} must be given, for example a probe's thresholds, where neurons are set to their mean."
                );
            }
        }
    }
}
