using Microsoft.ML.OnnxRuntime;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;

namespace SkillLoc.Onnx;

/// <summary>A session of an exported model that turns rows into vectors, with what encodes the rows. Threads share it.</summary>
internal sealed class OnnxTextModel : IDisposable
{
    private readonly OnnxSession _session;
    private readonly string[] _wanted;
    private readonly NativeMemory _memory;
    private readonly Lifetime _lifetime;

    private OnnxTextModel(OnnxSession session, string source, long bytes, string output, OnnxScoringOptions options)
    {
        _session = session;
        _wanted = [output];
        Source = source;
        Options = options;
        Encoder = session.Encoder?.GetAwaiter().GetResult() ?? new(session.Inner.ModelMetadata.CustomMetadataMap, source);
        Inputs = OnnxRows.InputsOf(session.Inner, source);
        Size = session.Inner.OutputMetadata.TryGetValue(output, out NodeMetadata? found) ? found.Dimensions[^1] : null;
        _memory = new(bytes);
        _lifetime = new(() =>
        {
            _session.Dispose();
            _memory.Dispose();
        });
    }

    /// <summary>Where it was loaded from, as errors name it.</summary>
    public string Source { get; }

    /// <summary>How it computes.</summary>
    public OnnxScoringOptions Options { get; }

    /// <summary>What turns texts into tokens.</summary>
    public OnnxEncoder Encoder { get; }

    /// <summary>The inputs of the graph, in the order of <see cref="OnnxMetadata.Inputs"/>.</summary>
    public string[] Inputs { get; }

    /// <summary>The size of a row's output; null if the graph has none of that name.</summary>
    public int? Size { get; }

    /// <summary>Loads a model from a file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="output">The output, float <c>[batch, size]</c>.</param>
    /// <param name="options">How it computes; null for the defaults.</param>
    /// <param name="wrap">Checks the model and makes what owns it; when it throws, the model is disposed.</param>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    public static T Load<T>(string path, string output, OnnxScoringOptions? options, Func<OnnxTextModel, T> wrap)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        var file = new FileInfo(path);
        string source = $"'{path}'";
        return file.Exists
            ? Load(Open, source, file.Length, output, options, wrap)
            : throw new FileNotFoundException($"There is no ONNX file '{path}'.", path);

        // Options of the caller's could switch packing off.
        OnnxSession Open(OnnxScoringOptions chosen) =>
            (chosen.Configure is null ? MappedOnnxFile.TryOpen(path, () => Settings(chosen), source) : null)
            ?? new(OnnxTextModel.Open(settings => new(path, settings), source, chosen), []);
    }

    /// <summary>Loads a model from memory.</summary>
    /// <param name="model">The bytes of a file; not needed afterwards.</param>
    /// <param name="output">The output, float <c>[batch, size]</c>.</param>
    /// <param name="options">How it computes; null for the defaults.</param>
    /// <param name="wrap">Checks the model and makes what owns it; when it throws, the model is disposed.</param>
    public static T Load<T>(byte[] model, string output, OnnxScoringOptions? options, Func<OnnxTextModel, T> wrap)
    {
        ArgumentNullException.ThrowIfNull(model);
        const string source = "The ONNX model";
        return Load(Open, source, model.LongLength, output, options, wrap);

        OnnxSession Open(OnnxScoringOptions chosen) => new(OnnxTextModel.Open(settings => new(model, settings), source, chosen), []);
    }

    /// <summary>Opens a session.</summary>
    /// <param name="open">Opens it.</param>
    /// <param name="source">What is opened, as errors name it.</param>
    /// <param name="options">How it computes.</param>
    /// <exception cref="InvalidDataException">The file is damaged.</exception>
    /// <exception cref="NotSupportedException">The file needs an operator or an operator set that this ONNX Runtime lacks.</exception>
    public static InferenceSession Open(Func<SessionOptions, InferenceSession> open, string source, OnnxScoringOptions options)
    {
        try
        {
            using SessionOptions settings = Settings(options);
            options.Configure?.Invoke(settings);
            return open(settings);
        }
        catch (OnnxRuntimeException error)
        {
            throw Explained(error, source);
        }
    }

    /// <summary>Computes the output of encoded rows.</summary>
    /// <param name="owner">What computes, as the error names it once it is disposed.</param>
    /// <param name="rows">Encoded rows, any number and any lengths; they are batched by length.</param>
    /// <param name="copies">How many sequences the graph computes for a row.</param>
    /// <param name="cancellation">Stops between batches.</param>
    /// <returns>A vector for each row.</returns>
    /// <exception cref="ObjectDisposedException">The model was disposed.</exception>
    /// <exception cref="OperationCanceledException">The operation was cancelled.</exception>
    public float[][] Run(string owner, IReadOnlyList<EncodedText> rows, int copies, CancellationToken cancellation)
    {
        using Lifetime.Hold hold = _lifetime.Take(owner);
        using var run = new RunOptions();
        float[][] results = new float[rows.Count][];
        int[] lengths = [.. rows.Select(row => row.Ids.Length * copies)];
        foreach (int[] batch in LengthBatches.Split(lengths, Options.BatchTokens, LengthBatches.CpuPassTokens))
        {
            cancellation.ThrowIfCancellationRequested();
            OnnxRows.Run(_session.Inner, run, rows, batch, Inputs, Encoder.Padding, _wanted, results);
        }

        return results;
    }

    /// <summary>Releases the session, now or when the last running call ends.</summary>
    public void Dispose() => _lifetime.End();

    private static SessionOptions Settings(OnnxScoringOptions options) =>
        new()
        {
            GraphOptimizationLevel = options.Optimization,
            IntraOpNumThreads = options.Threads,
            LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR,
        };

    private static T Load<T>(
        Func<OnnxScoringOptions, OnnxSession> open,
        string source,
        long bytes,
        string output,
        OnnxScoringOptions? options,
        Func<OnnxTextModel, T> wrap
    )
    {
        options ??= new();
        options.Check();
        OnnxSession session = open(options);
        OnnxTextModel model;
        try
        {
            model = new(session, source, bytes, output, options);
        }
        catch
        {
            session.Dispose();
            throw;
        }

        try
        {
            return wrap(model);
        }
        catch
        {
            model.Dispose();
            throw;
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
}
