using System.Diagnostics.CodeAnalysis;
using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Hooks;
using SkillLoc.Models.Prompts;

namespace SkillLoc.Transforms;

/// <summary>Appends pooled activations of a model as a feature vector. It owns the model's tensors: dispose it when done.</summary>
/// <remarks>Engines share it with its owner as they do a <see cref="TextScoringTransformer"/>; see there what disposes it.</remarks>
public abstract class ActivationTransformer : ITransformer, IRowScorer, IDisposable
{
    private readonly ActivationReader _reader;
    private readonly ScoringColumns _columns;
    private readonly string[] _slots;
    private readonly Ownership _ownership;

    /// <summary>Takes over a reader.</summary>
    /// <param name="reader">The reader; disposed with the transformer.</param>
    /// <param name="columns">The text columns.</param>
    /// <param name="outputColumnName">The column that is added: a vector of Single.</param>
    /// <param name="slotName">What comes before the dimensions' numbers in the slot names.</param>
    private protected ActivationTransformer(ActivationReader reader, ScoringColumns columns, string outputColumnName, string slotName)
    {
        ArgumentNullException.ThrowIfNull(reader);
        ArgumentNullException.ThrowIfNull(columns);
        ArgumentException.ThrowIfNullOrEmpty(outputColumnName);
        _reader = reader;
        _ownership = new(this, reader.Dispose);
        _columns = columns;
        OutputColumnName = outputColumnName;
        _slots = [.. Enumerable.Range(0, reader.Size).Select(i => $"{slotName}{i}")];
    }

    /// <summary>The column that is added.</summary>
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

    /// <summary>Reads lazily: nothing runs before rows are read.</summary>
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
    void ICanSaveModel.Save(ModelSaveContext ctx) =>
        throw new NotSupportedException(
            "Activations of texts cannot be saved into an ML.NET model; save what comes after them, and make the transformer anew "
                + "from its checkpoint."
        );

    IReadOnlyList<RowScores> IRowScorer.Score(IReadOnlyList<RowTexts> rows, CancellationToken cancellation)
    {
        _ownership.Check();
        return Array.ConvertAll(_reader.Read([.. rows.Select(Encode)], cancellation), values => new RowScores(values, null));
    }

    Delegate[] IRowScorer.Getters(Func<RowScores> current) => [ScoredValues.Vector(current)];

    private EncodedText Encode(RowTexts row)
    {
        try
        {
            return _reader.Encode(row.Values[0], _columns.TextPair is null ? null : row.Values[1]);
        }
        catch (Exception error) when (error is ArgumentException or InvalidDataException)
        {
            throw new InvalidOperationException($"{row.Name} of column '{_columns.Text}' cannot be encoded: {error.Message}", error);
        }
    }

    /// <summary>Releases the model, for engines and views too: now, or with the end of the last pass that runs.</summary>
    public void Dispose() => _ownership.End();

    /// <summary>Gives back one share; see the remarks on <see cref="TextScoringTransformer"/>.</summary>
    [SuppressMessage("Usage", "CA1816", Justification = "Other shares may be left, and there is no finalizer to suppress.")]
    void IDisposable.Dispose() => _ownership.GiveBack();
}
