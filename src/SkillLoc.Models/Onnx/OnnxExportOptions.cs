using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;

namespace SkillLoc.Models.Onnx;

/// <summary>How a classifier is written as ONNX.</summary>
public sealed record OnnxExportOptions
{
    /// <summary>The numbers that linear layers compute with; float32 by default.</summary>
    public OnnxQuantization Quantization { get; init; }

    /// <summary>What logits are divided by before they become probabilities, above 0; 1 by default. It is what
    /// <c>CalibrateTemperature</c> finds (methods, Guo et al. 2017).</summary>
    public double Temperature { get; init; } = 1;

    /// <summary>Where texts become tokens: before the graph by default.</summary>
    public OnnxTokenizer Tokenizer { get; init; }
}

/// <summary>Where the texts of an exported model become tokens.</summary>
public enum OnnxTokenizer
{
    /// <summary>Before the graph, whose inputs are token ids; the tokenizer's files are in the metadata.</summary>
    Metadata,

    /// <summary>
    /// In the graph, by an operator of onnxruntime-extensions, which the program that loads it registers: <c>Text</c>, and
    /// <c>TextPair</c> for pairs, text <c>[1, 1]</c>, in; <c>Score</c>, float <c>[1, labels]</c> (of a regression <c>[1, 1]</c>), and
    /// <c>PredictedLabel</c>, text <c>[1]</c>, out. One row at a time, which is how ML.NET's OnnxTransformer calls it. For word pieces (BERT),
    /// byte-level BPE (RoBERTa) and SentencePiece (T5, XLM-RoBERTa, CamemBERT).
    /// </summary>
    Embedded,
}

/// <summary>The numbers that linear layers of an exported model compute with.</summary>
public enum OnnxQuantization
{
    /// <summary>float32: probabilities as the classifier computes them, to 1e-5.</summary>
    None,

    /// <summary>
    /// int8 by dynamic quantisation: weights symmetric with one step a column, inputs with one step a token, found while scoring; blocks of
    /// both are rotated before, which spreads outliers. The file is a quarter as large where linear layers are most of the model.
    /// </summary>
    Int8,
}

/// <summary>Writes classifiers as ONNX.</summary>
public static class OnnxClassifier
{
    /// <summary>
    /// Writes a classifier as one ONNX file (operator set 17, standard operators), whose graph any runtime runs: <c>input_ids</c>,
    /// <c>attention_mask</c> and, for models with segments, <c>token_type_ids</c>, Int64 <c>[batch, sequence]</c>, in; <c>logits</c> and
    /// <c>probabilities</c>, float <c>[batch, labels]</c>, and <c>label</c>, text <c>[batch]</c>, out; for regressions <c>score</c>,
    /// float <c>[batch]</c>, in place of <c>label</c>, and nothing in its place for multi-label tasks. What a tuning method learnt is in the
    /// weights or beside them, and of a language-model head only the label words' rows. Settings, template and tokenizer are in the file's
    /// metadata.
    /// </summary>
    /// <param name="classifier">The classifier.</param>
    /// <param name="path">The file, which is created or replaced at once.</param>
    /// <param name="options">How it is written; float32 by default.</param>
    /// <exception cref="NotSupportedException">The model cannot be exported; the message says why. Nothing is written.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The temperature is not above 0.</exception>
    /// <exception cref="IOException">The file cannot be written; nothing is left behind.</exception>
    public static void SaveOnnx(this TextClassifier classifier, string path, OnnxExportOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(classifier);
        options ??= new();
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(options.Temperature);
        AtomicFile.Write(path, stream => OnnxExport.Write(classifier, stream, options));
    }
}
