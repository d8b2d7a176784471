using System.Diagnostics.CodeAnalysis;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace SkillLoc.Transforms;

/// <summary>
/// Appends what a model computes of texts as a feature vector. Rows are read ahead, computed in groups of similar length, and returned in
/// order. Owns the model: dispose it after use.
/// </summary>
/// <remarks>
/// ML.NET's <see cref="PredictionEngine{TSrc, TDst}"/> disposes its transformer. So the transformer counts shares, one for its owner and one
/// per engine; disposing it as an <see cref="IDisposable"/> releases one, and the last one releases the model. Calling <see cref="Dispose"/>
/// on the transformer releases the model for all. Running passes finish; later calls throw an <see cref="ObjectDisposedException"/>.
/// </remarks>
public abstract class FeatureTransformer : ITransformer, IRowScorer, IDisposable
{
    private readonly Ownership _ownership;

    /// <param name="columns">The text columns.</param>
    /// <param name="outputColumnName">The column that is added: a vector of Single.</param>
    private protected FeatureTransformer(ScoringColumns columns, string outputColumnName)
    {
        ArgumentNullException.ThrowIfNull(columns);
        ArgumentException.ThrowIfNullOrEmpty(outputColumnName);
        Columns = columns;
        OutputColumnName = outputColumnName;
        _ownership = new(this, Release);
    }

    /// <summary>The column that is added: a vector of Single.</summary>
    public string OutputColumnName { get; }

    /// <summary>
    /// Access to the context; null without one. When the execution of the context is cancelled, reading rows throws an
    /// <see cref="OperationCanceledException"/>, which ML.NET wraps when it reads on its own threads; predictions of single rows are not
    /// affected.
    /// </summary>
    public ComponentHost? Host { get; set; }

    /// <summary>True: each row is computed separately.</summary>
    public bool IsRowToRowMapper => true;

    /// <summary>The text columns.</summary>
    private protected ScoringColumns Columns { get; }

    /// <summary>The names of the vector's slots.</summary>
    private protected abstract IReadOnlyList<string> Slots { get; }

    Ownership IRowScorer.Ownership => _ownership;

    IReadOnlyList<string> IRowScorer.Inputs => [.. Columns.Inputs];

    /// <inheritdoc/>
    public DataViewSchema GetOutputSchema(DataViewSchema inputSchema) =>
        ScoringSchema.AppendVector(inputSchema, Columns, OutputColumnName, Slots);

    /// <summary>Computes lazily, when rows are read.</summary>
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

    /// <summary>Releases the model, also for engines and views, now or at the end of the last running pass.</summary>
    public void Dispose() => _ownership.End();

    /// <summary>Releases one share; see the remarks on the class.</summary>
    [SuppressMessage("Usage", "CA1816", Justification = "Other shares may be left, and there is no finalizer to suppress.")]
    void IDisposable.Dispose() => _ownership.GiveBack();

    /// <summary>Saves the transformer into an ML.NET model where it can be; else says what to save in its place.</summary>
    /// <param name="ctx">ML.NET's save context.</param>
    void ICanSaveModel.Save(ModelSaveContext ctx) => Save(ctx);

    IReadOnlyList<RowScores> IRowScorer.Score(IReadOnlyList<RowTexts> rows, CancellationToken cancellation)
    {
        Check();
        return Array.ConvertAll(Compute(rows, cancellation), values => new RowScores(values, null));
    }

    Delegate[] IRowScorer.Getters(Func<RowScores> current) => [ScoredValues.Vector(current)];

    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    private protected void Check() => _ownership.Check();

    /// <summary>Computes the vectors of rows.</summary>
    /// <param name="rows">The rows.</param>
    /// <param name="cancellation">Stops between batches.</param>
    private protected abstract float[][] Compute(IReadOnlyList<RowTexts> rows, CancellationToken cancellation);

    /// <summary>Releases the model; called once.</summary>
    private protected abstract void Release();

    /// <inheritdoc cref="ICanSaveModel.Save"/>
    private protected abstract void Save(ModelSaveContext ctx);
}
