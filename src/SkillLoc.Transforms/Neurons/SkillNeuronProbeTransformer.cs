using Microsoft.ML;
using Microsoft.ML.Data;
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
public sealed class SkillNeuronProbeTransformer : ITransformer, IRowScorer, IDisposable
{
    private readonly TextClassifier _classifier;
    private readonly ScoringColumns _columns;
    private readonly string[] _slots;
    private readonly NeuronProbe _probe;
    private readonly Ownership _ownership;

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
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(result);
        ArgumentNullException.ThrowIfNull(neurons);
        ArgumentException.ThrowIfNullOrEmpty(outputColumnName);
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
        OutputColumnName = outputColumnName;
        Positions = result.Positions(neurons);
        _columns = model.Columns;
        _slots = [.. Positions.Select(position => $"{position.Layer}.{position.Neuron}")];
        _classifier = model.Classifier.Clone(_ => true);
        _ownership = new(this, _classifier.Dispose);
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

    /// <summary>The output column: a vector of Single.</summary>
    public string OutputColumnName { get; }

    /// <inheritdoc cref="TextScoringTransformer.Host"/>
    public ComponentHost? Host { get; set; }

    /// <summary>True: each row is processed separately.</summary>
    public bool IsRowToRowMapper => true;

    Ownership IRowScorer.Ownership => _ownership;

    IReadOnlyList<string> IRowScorer.Inputs => [.. _columns.Inputs];

    /// <inheritdoc/>
    public DataViewSchema GetOutputSchema(DataViewSchema inputSchema) =>
        ScoringSchema.AppendVector(inputSchema, _columns, OutputColumnName, _slots);

    /// <summary>Reads neurons lazily, when rows are read.</summary>
    /// <param name="input">A view with the text columns.</param>
    /// <returns>The view with <see cref="OutputColumnName"/>.</returns>
    /// <exception cref="ObjectDisposedException">The transformer was disposed; also thrown when a row is read afterwards.</exception>
    public IDataView Transform(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        _ownership.Check();
        return new ScoringView(this, input);
    }

    /// <inheritdoc/>
    public IRowToRowMapper GetRowToRowMapper(DataViewSchema inputSchema) => new ScoringRowMapper(this, inputSchema);

    /// <summary>Not supported: a feature vector of known size cannot be restored from an ML.NET model by public API.</summary>
    /// <param name="ctx">Not used.</param>
    void ICanSaveModel.Save(ModelSaveContext ctx) =>
        throw new NotSupportedException(
            "A neuron probe cannot be saved into an ML.NET model. Save the probed model and the tables "
                + $"({nameof(TextScoringTransformer)}.{nameof(TextScoringTransformer.SaveCheckpoint)}, "
                + $"{nameof(NeuronProbeResult)}.{nameof(NeuronProbeResult.Save)}), "
                + $"and make a new {nameof(SkillNeuronProbeTransformer)} of them."
        );

    IReadOnlyList<RowScores> IRowScorer.Score(IReadOnlyList<RowTexts> rows, CancellationToken cancellation)
    {
        _ownership.Check();
        EncodedText[] encoded = [.. rows.Select(row => row.Encode(_classifier.Encode, _columns, _classifier.Settings.HasTextPair))];
        float[][] activations = _probe.Activations(encoded, Positions, cancellation);
        return Array.ConvertAll(activations, values => new RowScores(values, _classifier.Settings));
    }

    Delegate[] IRowScorer.Getters(Func<RowScores> current) => [ScoredValues.Vector(current)];

    /// <summary>Releases the model, also for engines and views, now or at the end of the last running pass.</summary>
    public void Dispose() => _ownership.End();

    /// <summary>Releases one share; see the remarks on <see cref="TextScoringTransformer"/>.</summary>
    void IDisposable.Dispose() => _ownership.GiveBack();
}
