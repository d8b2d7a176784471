using System.Globalization;
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

    private readonly OnnxTextModel _model;

    private OnnxTextScorer(OnnxTextModel model)
    {
        _model = model;
        int labels = Settings.Labels.Count;
        if (model.Size != labels)
        {
            throw new InvalidDataException(
                $"{model.Source} has {model.Size?.ToString(CultureInfo.InvariantCulture) ?? "no"} '{Probabilities}', and its settings "
                    + $"{labels} labels."
            );
        }
    }

    /// <summary>The task, its labels and its prompt.</summary>
    public ScoringSettings Settings => Encoder.Settings;

    /// <summary>How it scores.</summary>
    public OnnxScoringOptions Options => _model.Options;

    /// <summary>The inputs of the graph, in the order of <see cref="OnnxMetadata.Inputs"/>.</summary>
    internal string[] Inputs => _model.Inputs;

    /// <summary>What turns texts into tokens.</summary>
    internal OnnxEncoder Encoder => _model.Encoder;

    /// <summary>Loads a classifier.</summary>
    /// <param name="path">A file that <c>SaveOnnx</c> wrote.</param>
    /// <param name="options">How it scores; null for the defaults.</param>
    /// <returns>The scorer; the caller disposes it.</returns>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">The file is damaged, or is no exported classifier.</exception>
    /// <exception cref="NotSupportedException">The file needs an operator or an operator set that this ONNX Runtime lacks.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of range.</exception>
    public static OnnxTextScorer Load(string path, OnnxScoringOptions? options = null) =>
        OnnxTextModel.Load(path, Probabilities, options, model => new OnnxTextScorer(model));

    /// <summary>Loads a classifier from memory.</summary>
    /// <param name="model">The bytes of a file that <c>SaveOnnx</c> wrote; not needed afterwards.</param>
    /// <param name="options">How it scores; null for the defaults.</param>
    /// <returns>The scorer; the caller disposes it.</returns>
    /// <exception cref="InvalidDataException">The bytes are damaged, or are no exported classifier.</exception>
    /// <exception cref="NotSupportedException">They need an operator or an operator set that this ONNX Runtime lacks.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of range.</exception>
    public static OnnxTextScorer Load(byte[] model, OnnxScoringOptions? options = null) =>
        OnnxTextModel.Load(model, Probabilities, options, loaded => new OnnxTextScorer(loaded));

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
        return _model.Run(nameof(OnnxTextScorer), rows, Copies(), cancellation);
    }

    /// <summary>Releases the model, now or when the last running call ends.</summary>
    public void Dispose() => _model.Dispose();

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

    /// <summary>How many sequences the graph computes for a row: those of whole options or answers are about as long as the row.</summary>
    private int Copies() =>
        Settings.TextToText is not null || Settings is { AutoregressiveTemplate: not null, OptionScoring: OptionScoring.WholeOption }
            ? Settings.Labels.Count
            : 1;
}
