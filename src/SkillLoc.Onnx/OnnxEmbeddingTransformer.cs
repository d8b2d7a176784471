using System.Globalization;
using Microsoft.ML;
using SkillLoc.Models.Prompts;
using SkillLoc.Transforms;

namespace SkillLoc.Onnx;

/// <summary>
/// Appends the vectors of an embedder that was exported to ONNX, without TorchSharp. Rows are read ahead, embedded in groups of similar
/// length, and returned in order. Owns the model: dispose it after use.
/// </summary>
/// <remarks>Engines share it with its owner as they do an <see cref="OnnxScoringTransformer"/>; see there what disposes it.</remarks>
public sealed class OnnxEmbeddingTransformer : FeatureTransformer
{
    private readonly OnnxTextEmbedder _embedder;
    private readonly OnnxFile _file;
    private readonly string[] _slots;

    internal OnnxEmbeddingTransformer(OnnxTextEmbedder embedder, OnnxFile file, ScoringColumns columns, string outputColumnName)
        : base(columns, outputColumnName)
    {
        _embedder = embedder;
        _file = file;
        _slots = [.. Enumerable.Range(0, embedder.Size).Select(slot => slot.ToString(CultureInfo.InvariantCulture))];
    }

    /// <summary>The model: for embedding texts without ML.NET's views.</summary>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    public OnnxTextEmbedder Embedder
    {
        get
        {
            Check();
            return _embedder;
        }
    }

    private protected override IReadOnlyList<string> Slots => _slots;

    /// <summary>
    /// Saves the transformer into an ML.NET model that holds the ONNX file, in ML.NET's own OnnxTransformer, and can be loaded with
    /// <c>mlContext.Model.Load</c> in any program with the assembly SkillLoc.Onnx. It embeds row by row, with ONNX Runtime's default options;
    /// columns that are called like an input of the graph or <c>sentence_embedding</c> do not survive it, and the slots of its vectors have no
    /// names.
    /// </summary>
    /// <param name="ctx">ML.NET's save context.</param>
    /// <exception cref="InvalidOperationException">The file is missing by now, or another one. ML.NET has already started to write the file
    /// then.</exception>
    private protected override void Save(ModelSaveContext ctx) =>
        SavedOnnxScorer.Carrier(Columns, OutputColumnName, Embedder, _file.Path).Save(ctx);

    private protected override float[][] Compute(IReadOnlyList<RowTexts> rows, CancellationToken cancellation)
    {
        EncodedText[] encoded = [.. rows.Select(row => row.Encode(_embedder.Encode, Columns, Columns.TextPair is not null))];
        return _embedder.Embed(encoded, cancellation);
    }

    private protected override void Release() => _embedder.Dispose();
}
