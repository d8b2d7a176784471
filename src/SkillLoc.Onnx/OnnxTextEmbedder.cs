using System.Globalization;
using Microsoft.ML.OnnxRuntime;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;

namespace SkillLoc.Onnx;

/// <summary>
/// An embedder that was exported to ONNX, on ONNX Runtime: texts in, vectors out. It may be used from several threads, and disposed while
/// others embed: running calls finish, later ones throw an <see cref="ObjectDisposedException"/>.
/// </summary>
public sealed class OnnxTextEmbedder : IDisposable
{
    private static readonly string[] Wanted = [OnnxMetadata.SentenceEmbedding];

    private readonly InferenceSession _session;
    private readonly NativeMemory _memory;
    private readonly Lifetime _lifetime;

    private OnnxTextEmbedder(InferenceSession session, string source, long bytes, OnnxScoringOptions options)
    {
        _session = session;
        Options = options;
        Encoder = new(session.ModelMetadata.CustomMetadataMap, source);
        Size = Encoder.Embedding.Size;
        Inputs = OnnxRows.InputsOf(session, source);
        int? size = session.OutputMetadata.TryGetValue(Wanted[0], out NodeMetadata? output) ? output.Dimensions[^1] : null;
        if (size != Size)
        {
            throw new InvalidDataException(
                $"{source} has {size?.ToString(CultureInfo.InvariantCulture) ?? "no"} '{Wanted[0]}', and its metadata says {Size} numbers a row."
            );
        }

        _memory = new(bytes);
        _lifetime = new(() =>
        {
            _session.Dispose();
            _memory.Dispose();
        });
    }

    /// <summary>The size of a vector.</summary>
    public int Size { get; }

    /// <summary>The most tokens of a row; longer ones are cut.</summary>
    public int MaxLength => Encoder.Embedding.MaxLength;

    /// <summary>How it computes.</summary>
    public OnnxScoringOptions Options { get; }

    /// <summary>The inputs of the graph, in the order of <see cref="OnnxMetadata.Inputs"/>.</summary>
    internal string[] Inputs { get; }

    /// <summary>What turns texts into tokens.</summary>
    internal OnnxEncoder Encoder { get; }

    /// <summary>Loads an embedder.</summary>
    /// <param name="path">A file that <c>SaveOnnx</c> wrote.</param>
    /// <param name="options">How it computes; null for the defaults.</param>
    /// <returns>The embedder; the caller disposes it.</returns>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">The file is damaged, or is no exported embedder.</exception>
    /// <exception cref="NotSupportedException">The file needs an operator or an operator set that this ONNX Runtime lacks.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of range.</exception>
    public static OnnxTextEmbedder Load(string path, OnnxScoringOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        var file = new FileInfo(path);
        return file.Exists
            ? Load(session => new(path, session), $"'{path}'", file.Length, options)
            : throw new FileNotFoundException($"There is no ONNX file '{path}'.", path);
    }

    /// <summary>Loads an embedder from memory.</summary>
    /// <param name="model">The bytes of a file that <c>SaveOnnx</c> wrote; not needed afterwards.</param>
    /// <param name="options">How it computes; null for the defaults.</param>
    /// <returns>The embedder; the caller disposes it.</returns>
    /// <exception cref="InvalidDataException">The bytes are damaged, or are no exported embedder.</exception>
    /// <exception cref="NotSupportedException">They need an operator or an operator set that this ONNX Runtime lacks.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of range.</exception>
    public static OnnxTextEmbedder Load(byte[] model, OnnxScoringOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        return Load(session => new(model, session), "The ONNX model", model.LongLength, options);
    }

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
        using Lifetime.Hold hold = _lifetime.Take(nameof(OnnxTextEmbedder));
        using var run = new RunOptions();
        float[][] vectors = new float[rows.Count][];
        foreach (
            int[] batch in LengthBatches.Split([.. rows.Select(row => row.Ids.Length)], Options.BatchTokens, LengthBatches.CpuPassTokens)
        )
        {
            cancellation.ThrowIfCancellationRequested();
            OnnxRows.Run(_session, run, rows, batch, Inputs, Encoder.Padding, Wanted, vectors);
        }

        return vectors;
    }

    /// <summary>Releases the model, now or when the last running call ends.</summary>
    public void Dispose() => _lifetime.End();

    private static OnnxTextEmbedder Load(
        Func<SessionOptions, InferenceSession> open,
        string source,
        long bytes,
        OnnxScoringOptions? options
    )
    {
        options ??= new();
        options.Check();
        InferenceSession session = OnnxTextScorer.Open(open, source, options);
        try
        {
            return new(session, source, bytes, options);
        }
        catch
        {
            session.Dispose();
            throw;
        }
    }
}
