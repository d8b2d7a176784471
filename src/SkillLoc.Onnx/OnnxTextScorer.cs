using System.Globalization;
using Microsoft.ML.OnnxRuntime;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;

namespace SkillLoc.Onnx;

/// <summary>
/// A classifier that was exported to ONNX, on ONNX Runtime: texts in, probabilities out. It may be used from several threads, and disposed
/// while others score: running calls finish, later ones throw an <see cref="ObjectDisposedException"/>.
/// </summary>
public sealed class OnnxTextScorer : IDisposable
{
    private const string Probabilities = "probabilities";

    private static readonly string[] Wanted = [Probabilities];

    private readonly InferenceSession _session;
    private readonly NativeMemory _memory;
    private readonly Lifetime _lifetime;

    private OnnxTextScorer(InferenceSession session, string source, long bytes, OnnxScoringOptions options)
    {
        _session = session;
        Source = source;
        Options = options;
        Encoder = new(session.ModelMetadata.CustomMetadataMap, source);
        Inputs = InputsOf(session);
        _memory = new(bytes);
        _lifetime = new(() =>
        {
            _session.Dispose();
            _memory.Dispose();
        });
    }

    /// <summary>The task, its labels and its prompt.</summary>
    public ScoringSettings Settings => Encoder.Settings;

    /// <summary>How it scores.</summary>
    public OnnxScoringOptions Options { get; }

    /// <summary>Where it was loaded from, as errors name it.</summary>
    internal string Source { get; }

    /// <summary>The inputs of the graph, in the order of <see cref="OnnxMetadata.Inputs"/>.</summary>
    internal string[] Inputs { get; }

    /// <summary>What turns texts into tokens.</summary>
    internal OnnxEncoder Encoder { get; }

    /// <summary>Loads a classifier.</summary>
    /// <param name="path">A file that <c>SaveOnnx</c> wrote.</param>
    /// <param name="options">How it scores; null for the defaults.</param>
    /// <returns>The scorer; the caller disposes it.</returns>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">The file is damaged, or is no exported classifier.</exception>
    /// <exception cref="NotSupportedException">The file needs an operator or an operator set that this ONNX Runtime lacks.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of range.</exception>
    public static OnnxTextScorer Load(string path, OnnxScoringOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        var file = new FileInfo(path);
        return file.Exists
            ? Load(session => new(path, session), $"'{path}'", file.Length, options)
            : throw new FileNotFoundException($"There is no ONNX file '{path}'.", path);
    }

    /// <summary>Loads a classifier from memory.</summary>
    /// <param name="model">The bytes of a file that <c>SaveOnnx</c> wrote; not needed afterwards.</param>
    /// <param name="options">How it scores; null for the defaults.</param>
    /// <returns>The scorer; the caller disposes it.</returns>
    /// <exception cref="InvalidDataException">The bytes are damaged, or are no exported classifier.</exception>
    /// <exception cref="NotSupportedException">They need an operator or an operator set that this ONNX Runtime lacks.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of range.</exception>
    public static OnnxTextScorer Load(byte[] model, OnnxScoringOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        return Load(session => new(model, session), "The ONNX model", model.LongLength, options);
    }

    /// <summary>Computes the probabilities of the labels.</summary>
    /// <param name="texts">Texts, any number and any lengths; they are batched by length. Longer ones than the task's limit are cut as the
    /// settings say.</param>
    /// <param name="pairs">For tasks on pairs, the second text of each; null for others.</param>
    /// <param name="cancellation">Stops between batches.</param>
    /// <returns>For each text one probability per label; of a regression those of the two ends of its range.</returns>
    /// <exception cref="ArgumentException">The second texts are missing, superfluous or not as many, or the prompt alone is longer than the
    /// limit.</exception>
    /// <exception cref="ObjectDisposedException">The scorer was disposed.</exception>
    /// <exception cref="OperationCanceledException">The operation was cancelled.</exception>
    public float[][] Score(IReadOnlyList<string> texts, IReadOnlyList<string>? pairs = null, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(texts);
        CheckPairs(Settings, texts, pairs);
        return Score([.. texts.Select((text, row) => Encode(text, pairs?[row]))], cancellation);
    }

    /// <summary>Encodes the texts of a row.</summary>
    /// <param name="text">The text.</param>
    /// <param name="textPair">The second text of a pair.</param>
    /// <returns>The token ids.</returns>
    /// <exception cref="InvalidDataException">The prompt alone is longer than the limit, or a second text is missing.</exception>
    public EncodedText Encode(string text, string? textPair = null) => Encoder.Encode(text, textPair);

    /// <summary>Computes the probabilities of the labels for encoded rows.</summary>
    /// <param name="rows">Encoded rows, any number and any lengths; they are batched by length.</param>
    /// <param name="cancellation">Stops between batches.</param>
    /// <returns>For each row one probability per label.</returns>
    /// <exception cref="ObjectDisposedException">The scorer was disposed.</exception>
    /// <exception cref="OperationCanceledException">The operation was cancelled.</exception>
    public float[][] Score(IReadOnlyList<EncodedText> rows, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(rows);
        using Lifetime.Hold hold = _lifetime.Take(nameof(OnnxTextScorer));
        using var run = new RunOptions();
        float[][] results = new float[rows.Count][];
        int copies = Copies();
        foreach (
            int[] batch in LengthBatches.Split(
                [.. rows.Select(row => row.Ids.Length * copies)],
                Options.BatchTokens,
                LengthBatches.CpuPassTokens
            )
        )
        {
            cancellation.ThrowIfCancellationRequested();
            OnnxRows.Run(_session, run, rows, batch, Inputs, Encoder.Padding, Wanted, results);
        }

        return results;
    }

    /// <summary>Releases the model, now or when the last running call ends.</summary>
    public void Dispose() => _lifetime.End();

    private static OnnxTextScorer Load(Func<SessionOptions, InferenceSession> open, string source, long bytes, OnnxScoringOptions? options)
    {
        options ??= new();
        options.Check();
        InferenceSession session = Open(open, source, options);
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

    /// <summary>Opens a session.</summary>
    /// <param name="open">Opens it.</param>
    /// <param name="source">What is opened, as errors name it.</param>
    /// <param name="options">How it scores.</param>
    /// <exception cref="InvalidDataException">The file is damaged.</exception>
    /// <exception cref="NotSupportedException">The file needs an operator or an operator set that this ONNX Runtime lacks.</exception>
    internal static InferenceSession Open(Func<SessionOptions, InferenceSession> open, string source, OnnxScoringOptions options)
    {
        try
        {
            using var settings = new SessionOptions
            {
                GraphOptimizationLevel = options.Optimization,
                IntraOpNumThreads = options.Threads,
                LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR,
            };
            options.Configure?.Invoke(settings);
            return open(settings);
        }
        catch (OnnxRuntimeException error)
        {
            throw Explained(error, source);
        }
    }

    private static Exception Explained(OnnxRuntimeException error, string source)
    {
        string version = OrtEnv.Instance().GetVersionString();
        bool isLacking =
            error.Message.Contains("NotImplemented", StringComparison.Ordinal)
            || error.Message.Contains("NOT_IMPLEMENTED", StringComparison.Ordinal)
            || error.Message.Contains("opset", StringComparison.OrdinalIgnoreCase)
            || error.Message.Contains("not a registered function/op", StringComparison.Ordinal)
            || error.Message.Contains("No Op registered", StringComparison.Ordinal)
            || error.Message.Contains("Unsupported model IR version", StringComparison.Ordinal);
        return isLacking
            ? new NotSupportedException($"{source} needs what ONNX Runtime {version} lacks: {error.Message}", error)
            : new InvalidDataException($"{source} is damaged, or is no ONNX model: {error.Message}", error);
    }

    /// <summary>Throws where second texts are missing, superfluous or not as many.</summary>
    internal static void CheckPairs(ScoringSettings settings, IReadOnlyList<string> texts, IReadOnlyList<string>? pairs)
    {
        if (pairs is not null != settings.HasTextPair || (pairs is not null && pairs.Count != texts.Count))
        {
            throw new ArgumentException(
                settings.HasTextPair
                    ? $"The task scores pairs: {texts.Count} first texts need as many second ones, not {pairs?.Count ?? 0}."
                    : "The task scores single texts and takes no second ones.",
                nameof(pairs)
            );
        }
    }

    /// <summary>The inputs of the graph that rows have, in order.</summary>
    private string[] InputsOf(InferenceSession session)
    {
        string[] found = OnnxRows.InputsOf(session, Source);
        int? labels = session.OutputMetadata.TryGetValue(Probabilities, out NodeMetadata? output) ? output.Dimensions[^1] : null;
        return labels == Settings.Labels.Count
            ? found
            : throw new InvalidDataException(
                $"{Source} has {labels?.ToString(CultureInfo.InvariantCulture) ?? "no"} '{Probabilities}', and its settings "
                    + $"{Settings.Labels.Count} labels."
            );
    }

    /// <summary>How many sequences the graph computes for a row: those of whole options or answers are about as long as the row.</summary>
    private int Copies() =>
        Settings.TextToText is not null || Settings is { AutoregressiveTemplate: not null, OptionScoring: OptionScoring.WholeOption }
            ? Settings.Labels.Count
            : 1;
}
