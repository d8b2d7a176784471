using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Embeddings;
using SkillLoc.Models.Prompts;

namespace SkillLoc.Transforms;

/// <summary>Appends pooled hidden states of a checkpoint as a feature vector. Owns the model: dispose it after use.</summary>
/// <remarks>Prediction engines share the transformer as described at <see cref="TextScoringTransformer"/>.</remarks>
public sealed class EmbedTextTransformer : ITransformer, IRowScorer, IDisposable
{
    private readonly TextEmbedder _embedder;
    private readonly ScoringColumns _columns;
    private readonly string[] _slots;
    private readonly Ownership _ownership;

    /// <summary>Creates a transformer from an embedder.</summary>
    /// <param name="embedder">The embedder; disposed with the transformer.</param>
    /// <param name="columns">The text columns.</param>
    /// <param name="outputColumnName">The output column: a vector of Single, with the dimensions' numbers as slot names.</param>
    public EmbedTextTransformer(TextEmbedder embedder, ScoringColumns columns, string outputColumnName = "Features")
    {
        ArgumentNullException.ThrowIfNull(embedder);
        ArgumentNullException.ThrowIfNull(columns);
        ArgumentException.ThrowIfNullOrEmpty(outputColumnName);
        _embedder = embedder;
        _ownership = new(this, embedder.Dispose);
        _columns = columns;
        OutputColumnName = outputColumnName;
        _slots = [.. Enumerable.Range(0, embedder.Size).Select(i => $"{i}")];
    }

    /// <summary>The output column.</summary>
    public string OutputColumnName { get; }

    /// <inheritdoc cref="TextScoringTransformer.Host"/>
    public ComponentHost? Host { get; set; }

    /// <summary>True: each row is embedded separately.</summary>
    public bool IsRowToRowMapper => true;

    Ownership IRowScorer.Ownership => _ownership;

    IReadOnlyList<string> IRowScorer.Inputs => [.. _columns.Inputs];

    /// <inheritdoc/>
    public DataViewSchema GetOutputSchema(DataViewSchema inputSchema) => ScoringSchema.AppendVector(inputSchema, _columns, OutputColumnName, _slots);

    /// <summary>Embeds lazily, when rows are read.</summary>
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
    void ICanSaveModel.Save(ModelSaveContext ctx) => throw new NotSupportedException(
        "An embedding of texts cannot be saved into an ML.NET model; save what comes after it, and make it anew from its checkpoint.");

    IReadOnlyList<RowScores> IRowScorer.Score(IReadOnlyList<RowTexts> rows, CancellationToken cancellation)
    {
        _ownership.Check();
        return Array.ConvertAll(_embedder.Embed([.. rows.Select(Encode)], cancellation), values => new RowScores(values, null));
    }

    Delegate[] IRowScorer.Getters(Func<RowScores> current) => [ScoredValues.Vector(current)];

    private EncodedText Encode(RowTexts row)
    {
        try
        {
            return _embedder.Encode(row.Values[0], _columns.TextPair is null ? null : row.Values[1]);
        }
        catch (Exception error) when (error is ArgumentException or InvalidDataException)
        {
            throw new InvalidOperationException($"{row.Name} of column '{_columns.Text}' cannot be encoded: {error.Message}", error);
        }
    }

    /// <summary>Releases the model, also for engines and views, now or at the end of the last running pass.</summary>
    public void Dispose() => _ownership.End();

    /// <summary>Releases one share; see the remarks on <see cref="TextScoringTransformer"/>.</summary>
    void IDisposable.Dispose() => _ownership.GiveBack();
}
