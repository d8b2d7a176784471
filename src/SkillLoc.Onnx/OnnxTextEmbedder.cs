using System.Globalization;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;

namespace SkillLoc.Onnx;

/// <summary>
/// An embedder that was exported to ONNX, on ONNX Runtime: texts in, vectors out. It may be used from several threads, and disposed while
/// others embed: running calls finish, later ones throw an <see cref="ObjectDisposedException"/>.
/// </summary>
public sealed class OnnxTextEmbedder : IDisposable
{
    private readonly OnnxTextModel _model;

    private OnnxTextEmbedder(OnnxTextModel model)
    {
        _model = model;
        Size = model.Encoder.Embedding.Size;
        if (model.Size != Size)
        {
            throw new InvalidDataException(
                $"{model.Source} has {model.Size?.ToString(CultureInfo.InvariantCulture) ?? "no"} '{OnnxMetadata.SentenceEmbedding}', and its "
                    + $"metadata says {Size} numbers a row."
            );
        }
    }

    /// <summary>The size of a vector.</summary>
    public int Size { get; }

    /// <summary>The most tokens of a row; longer ones are cut.</summary>
    public int MaxLength => Encoder.Embedding.MaxLength;

    /// <summary>What stands before each row's first text; null for nothing.</summary>
    public string? Prompt => Encoder.Embedding.Prompt;

    /// <summary>How it computes.</summary>
    public OnnxScoringOptions Options => _model.Options;

    /// <summary>The inputs of the graph, in the order of <see cref="OnnxMetadata.Inputs"/>.</summary>
    internal string[] Inputs => _model.Inputs;

    /// <summary>What turns texts into tokens.</summary>
    internal OnnxEncoder Encoder => _model.Encoder;

    /// <summary>Loads an embedder.</summary>
    /// <param name="path">A file that <c>SaveOnnx</c> wrote.</param>
    /// <param name="options">How it computes; null for the defaults.</param>
    /// <returns>The embedder; the caller disposes it.</returns>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">The file is damaged, or is no exported embedder.</exception>
    /// <exception cref="NotSupportedException">The file needs an operator or an operator set that this ONNX Runtime lacks.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of range.</exception>
    public static OnnxTextEmbedder Load(string path, OnnxScoringOptions? options = null) =>
        OnnxTextModel.Load(path, OnnxMetadata.SentenceEmbedding, options, model => new OnnxTextEmbedder(model));

    /// <summary>Loads an embedder from memory.</summary>
    /// <param name="model">The bytes of a file that <c>SaveOnnx</c> wrote; not needed afterwards.</param>
    /// <param name="options">How it computes; null for the defaults.</param>
    /// <returns>The embedder; the caller disposes it.</returns>
    /// <exception cref="InvalidDataException">The bytes are damaged, or are no exported embedder.</exception>
    /// <exception cref="NotSupportedException">They need an operator or an operator set that this ONNX Runtime lacks.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of range.</exception>
    public static OnnxTextEmbedder Load(byte[] model, OnnxScoringOptions? options = null) =>
        OnnxTextModel.Load(model, OnnxMetadata.SentenceEmbedding, options, loaded => new OnnxTextEmbedder(loaded));

    /// <summary>Embeds texts.</summary>
    /// <param name="texts">Texts, any number and any lengths; they are batched by length.</param>
    /// <param name="pairs">The second text of each; null for single texts.</param>
    /// <param name="cancellation">Stops between batches.</param>
    /// <returns>A vector of <see cref="Size"/> for each text.</returns>
    /// <exception cref="ArgumentException">There are not as many second texts.</exception>
    /// <exception cref="ObjectDisposedException">The embedder was disposed.</exception>
    /// <exception cref="OperationCanceledException">The operation was cancelled.</exception>
    public float[][] Embed(IReadOnlyList<string> texts, IReadOnlyList<string>? pairs = null, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(texts);
        if (pairs is not null && pairs.Count != texts.Count)
        {
            throw new ArgumentException($"{texts.Count} first texts need as many second ones, not {pairs.Count}.", nameof(pairs));
        }

        return Embed([.. texts.Select((text, row) => Encode(text, pairs?[row]))], cancellation);
    }

    /// <summary>Encodes the texts of a row.</summary>
    /// <param name="text">The text.</param>
    /// <param name="textPair">The second text of a pair.</param>
    /// <returns>The token ids.</returns>
    public EncodedText Encode(string text, string? textPair = null) => Encoder.Encode(text, textPair);

    /// <summary>Embeds encoded rows.</summary>
    /// <param name="rows">Encoded rows, any number and any lengths; they are batched by length.</param>
    /// <param name="cancellation">Stops between batches.</param>
    /// <returns>A vector of <see cref="Size"/> for each row.</returns>
    /// <exception cref="ObjectDisposedException">The embedder was disposed.</exception>
    /// <exception cref="OperationCanceledException">The operation was cancelled.</exception>
    public float[][] Embed(IReadOnlyList<EncodedText> rows, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(rows);
        return _model.Run(nameof(OnnxTextEmbedder), rows, copies: 1, cancellation);
    }

    /// <summary>Releases the model, now or when the last running call ends.</summary>
    public void Dispose() => _model.Dispose();
}
