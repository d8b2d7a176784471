using Microsoft.ML;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Neurons;
using SkillLoc.Models.Prompts;

namespace SkillLoc.Transforms;

/// <summary>
/// Appends the activations of a model's skill neurons as a feature vector with one slot per neuron, named <c>layer.neuron</c> (both from
/// 0). With a soft prompt, a neuron is read at the slot where it is most predictive; otherwise, its mean or maximum over the text is used.
/// It shares the weights of the probed model, and may outlive it.
/// </summary>
/// <remarks>Prediction engines share the transformer as described at <see cref="TextScoringTransformer"/>.</remarks>
public sealed class SkillNeuronProbeTransformer : FeatureTransformer
{
    private readonly TextClassifier _classifier;
    private readonly string[] _slots;
    private readonly NeuronProbe _probe;

    /// <summary>Creates a transformer from the result of a probe.</summary>
    /// <param name="model">The probed model, which the caller keeps owning.</param>
    /// <param name="result">The result; see <see cref="NeuronProbe"/>.</param>
    /// <param name="neurons">The neurons to read, at least one.</param>
    /// <param name="outputColumnName">The output column.</param>
    /// <exception cref="ArgumentException">The set is empty, or its shape differs from the model's.</exception>
    public SkillNeuronProbeTransformer(
        TextScoringTransformer model,
        NeuronProbeResult result,
        NeuronSet neurons,
        string outputColumnName = "Neurons"
    )
        : base((model ?? throw new ArgumentNullException(nameof(model))).Columns, outputColumnName)
    {
        ArgumentNullException.ThrowIfNull(result);
        ArgumentNullException.ThrowIfNull(neurons);
        if (neurons.Count == 0)
        {
            throw new ArgumentException("No neuron is selected; take a larger fraction of each layer.", nameof(neurons));
        }

        NeuronValues table = result.Accuracies[0];
        if (table.Layers != neurons.Layers || table.Width != neurons.Width)
        {
            throw new ArgumentException(
                $"The set is [{neurons.Layers}, {neurons.Width}], and neurons [{table.Layers}, {table.Width}] were probed.",
                nameof(neurons)
            );
        }

        Result = result;
        Neurons = neurons;
        Positions = result.Positions(neurons);
        _slots = [.. Positions.Select(position => $"{position.Layer}.{position.Neuron}")];
        _classifier = model.Classifier.Clone(_ => true);
        try
        {
            _probe = new(_classifier, result.Kind);
        }
        catch
        {
            _classifier.Dispose();
            throw;
        }
    }

    /// <summary>Thresholds and accuracies; <see cref="NeuronProbeResult.Save"/> writes them.</summary>
    public NeuronProbeResult Result { get; }

    /// <summary>The neurons to read.</summary>
    public NeuronSet Neurons { get; }

    /// <summary>The neurons in the order of the vector's slots, with the slot of the prompt at which each is read.</summary>
    public IReadOnlyList<NeuronPosition> Positions { get; }

    private protected override IReadOnlyList<string> Slots => _slots;

    /// <summary>Not supported: a feature vector of known size cannot be restored from an ML.NET model by public API.</summary>
    /// <param name="ctx">Not used.</param>
    private protected override void Save(ModelSaveContext ctx) =>
        throw new NotSupportedException(
            "A neuron probe cannot be saved into an ML.NET model. Save the probed model and the tables "
                + $"({nameof(TextScoringTransformer)}.{nameof(TextScoringTransformer.SaveCheckpoint)}, "
                + $"{nameof(NeuronProbeResult)}.{nameof(NeuronProbeResult.Save)}), "
                + $"and make a new {nameof(SkillNeuronProbeTransformer)} of them."
        );

    private protected override float[][] Compute(IReadOnlyList<RowTexts> rows, CancellationToken cancellation)
    {
        EncodedText[] encoded = [.. rows.Select(row => row.Encode(_classifier.Encode, Columns, _classifier.Settings.HasTextPair))];
        return _probe.Activations(encoded, Positions, cancellation);
    }

    private protected override void Release() => _classifier.Dispose();
}
