using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Prompts;
using SkillLoc.Transforms;

namespace SkillLoc.Onnx;

/// <summary>
/// Appends the vectors of an embedder that was exported to ONNX, without TorchSharp. Rows are read ahead, embedded in groups of similar
/// length, and returned in order. Owns the model: dispose it after use.
/// </summary>
/// <remarks>Engines share it with its owner as they do an <see cref="OnnxScoringTransformer"/>; see there what disposes it.</remarks>
public sealed class OnnxEmbeddingTransformer : ITransformer, IRowScorer, IDisposable
{
    private readonly OnnxTextEmbedder _embedder;
    private readonly OnnxFile _file;
    private readonly ScoringColumns _columns;
    private readonly string[] _slots;
    private readonly Ownership _ownership;

    internal OnnxEmbeddingTransformer(OnnxTextEmbedder embedder, OnnxFile file, ScoringColumns columns, string outputColumnName)
    {
        ArgumentException.ThrowIfNullOrEmpty(outputColumnName);
        _embedder = embedder;
        _file = file;
        _columns = columns;
        _slots = [.. Enumerable.Range(0, embedder.Size).Select(slot => slot.ToString(CultureInfo.InvariantCulture))];
        _ownership = new(this, embedder.Dispose);
        OutputColumnName = outputColumnName;
    }

    /// <summary>The column that is added: a vector of Single, with the dimensions' numbers as slot names.</summary>
    public string OutputColumnName { get; }

    /// <inheritdoc cref="OnnxScoringTransformer.Host"/>
    public ComponentHost? Host { get; set; }

    /// <summary>The model: for embedding texts without ML.NET's views.</summary>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    public OnnxTextEmbedder Embedder
    {
        get
        {
            _ownership.Check();
            return _embedder;
        }
    }

    /// <summary>True: each row is embedded by itself.</summary>
    public bool IsRowToRowMapper => true;

    Ownership IRowScorer.Ownership => _ownership;

    IReadOnlyList<string> IRowScorer.Inputs => [.. _columns.Inputs];

    /// <inheritdoc/>
    public DataViewSchema GetOutputSchema(DataViewSchema inputSchema) =>
        ScoringSchema.AppendVector(inputSchema, _columns, OutputColumnName, _slots);

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

    /// <summary>
    /// Saves the transformer into an ML.NET model that holds the ONNX file, in ML.NET's own OnnxTransformer, and can be loaded with
    /// <c>mlContext.Model.Load</c> in any program with the assembly SkillLoc.Onnx. It embeds row by row, with ONNX Runtime's default options;
    /// columns that are called like an input of the graph or <c>sentence_embedding</c> do not survive it, and the slots of its vectors have no
    /// names.
    /// </summary>
    /// <param name="ctx">ML.NET's save context.</param>
    /// <exception cref="InvalidOperationException">The file is missing by now, or another one. ML.NET has already started to write the file
    /// then.</exception>
    void ICanSaveModel.Save(ModelSaveContext ctx) => SavedOnnxScorer.Carrier(_columns, OutputColumnName, Embedder, _file.Path).Save(ctx);

    /// <summary>Releases the model, also for engines and views, now or at the end of the last running pass.</summary>
    public void Dispose() => _ownership.End();

    /// <summary>Releases one share; see the remarks on <see cref="OnnxScoringTransformer"/>.</summary>
    [SuppressMessage("Usage", "CA1816", Justification = "Other shares may be left, and there is no finalizer to suppress.")]
    void IDisposable.Dispose() => _ownership.GiveBack();

    IReadOnlyList<RowScores> IRowScorer.Score(IReadOnlyList<RowTexts> rows, CancellationToken cancellation)
    {
        OnnxTextEmbedder embedder = Embedder;
        EncodedText[] encoded = [.. rows.Select(row => row.Encode(embedder.Encode, _columns, _columns.TextPair is not null))];
        return Array.ConvertAll(embedder.Embed(encoded, cancellation), vector => new RowScores(vector, null));
    }

    Delegate[] IRowScorer.Getters(Func<RowScores> current) => [ScoredValues.Vector(current)];
}
