using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Neurons;
using SkillLoc.Models.Prompts;

namespace SkillLoc.Transforms;

/// <summary>
/// Appends the activations of a model's skill neurons as a feature vector, one slot a neuron, named <c>layer.neuron</c> (both from 0).
/// With a soft prompt a neuron is read at the slot of the prompt where it is most predictive; else it is its mean or maximum over the
/// text. It shares the weights of the model that was probed, and may outlive it.
/// </summary>
/// <remarks>Engines share it with its owner as they do a <see cref="TextScoringTransformer"/>; see there what disposes it.</remarks>
public sealed class SkillNeuronProbeTransformer : ITransformer, IRowScorer, IDisposable
{
    private readonly TextClassifier _classifier;
    private readonly ScoringColumns _columns;
    private readonly string[] _slots;
    private readonly NeuronProbe _probe;
    private readonly Ownership _ownership;

    /// <summary>Makes a transformer of what was found.</summary>
    /// <param name="model">The model that was probed; the caller keeps it.</param>
    /// <param name="result">What was found; see <see cref="NeuronProbe"/>.</param>
    /// <param name="neurons">The neurons whose activations are wanted; at least one.</param>
    /// <param name="outputColumnName">The column that is added.</param>
    /// <exception cref="ArgumentException">The set is empty, or is not of the model's shape.</exception>
    public SkillNeuronProbeTransformer(TextScoringTransformer model, NeuronProbeResult result, NeuronSet neurons, string outputColumnName = "Neurons")
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
                $"The set is [{neurons.Layers}, {neurons.Width}], and neurons [{table.Layers}, {table.Width}] were probed.", nameof(neurons));
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

    /// <summary>The neurons that are read.</summary>
    public NeuronSet Neurons { get; }

    /// <summary>The neurons in the order of the vector's slots, with the slot of the prompt that each is read at.</summary>
    public IReadOnlyList<NeuronPosition> Positions { get; }

    /// <summary>The column that is added: a vector of Single.</summary>
    public string OutputColumnName { get; }

    /// <inheritdoc cref="TextScoringTransformer.Host"/>
    public ComponentHost? Host { get; set; }

    /// <summary>True: each row is read by itself.</summary>
    public bool IsRowToRowMapper => true;

    Ownership IRowScorer.Ownership => _ownership;

    IReadOnlyList<string> IRowScorer.Inputs => [.. _columns.Inputs];

    /// <inheritdoc/>
    public DataViewSchema GetOutputSchema(DataViewSchema inputSchema) =>
        ScoringSchema.AppendVector(inputSchema, _columns, OutputColumnName, _slots);

    /// <summary>Reads neurons lazily: nothing runs before rows are read.</summary>
    /// <param name="input">A view with the text columns.</param>
    /// <returns>The view with <see cref="OutputColumnName"/>.</returns>
    /// <exception cref="ObjectDisposedException">The transformer was disposed; also when a row is read after that.</exception>
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
    void ICanSaveModel.Save(ModelSaveContext ctx) => throw new NotSupportedException(
        "A neuron probe cannot be saved into an ML.NET model. Save the probed model and the tables "
        + $"({nameof(TextScoringTransformer)}.{nameof(TextScoringTransformer.SaveCheckpoint)}, {nameof(NeuronProbeResult)}.{nameof(NeuronProbeResult.Save)}), "
        + $"and make a new {nameof(SkillNeuronProbeTransformer)} of them.");

    IReadOnlyList<RowScores> IRowScorer.Score(IReadOnlyList<RowTexts> rows, CancellationToken cancellation)
    {
        _ownership.Check();
        EncodedText[] encoded = [.. rows.Select(row => row.Encode(_classifier, _columns))];
        float[][] activations = _probe.Activations(encoded, Positions, cancellation);
        return Array.ConvertAll(activations, values => new RowScores(values, _classifier.Settings));
    }

    Delegate[] IRowScorer.Getters(Func<RowScores> current) => [ScoredValues.Vector(current)];

    /// <summary>Releases the model, for engines and views too: now, or with the end of the last pass that runs.</summary>
    public void Dispose() => _ownership.End();

    /// <summary>Gives back one share; see the remarks on <see cref="TextScoringTransformer"/>.</summary>
    void IDisposable.Dispose() => _ownership.GiveBack();
}
