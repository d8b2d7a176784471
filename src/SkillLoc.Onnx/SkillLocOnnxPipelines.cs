using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms.Onnx;
using SkillLoc.Models.Checkpoints;

namespace SkillLoc;

/// <summary>ML.NET models that need no assembly of SkillLoc.</summary>
public static class SkillLocOnnxPipelines
{
    /// <summary>
    /// Writes an ML.NET model that scores texts with ML.NET's own OnnxTransformer, for programs without any assembly of SkillLoc: the columns
    /// <c>Text</c>, and <c>TextPair</c> for pairs, in; <c>PredictedLabel</c> and <c>Score</c> with the labels as slot names out, row by row.
    /// </summary>
    /// <param name="catalog">The catalog, with whose context <c>SetOnnxSessionOption</c> has registered the operators of
    /// onnxruntime-extensions.</param>
    /// <param name="onnx">A file that <c>SaveOnnx</c> wrote with <c>Tokenizer = OnnxTokenizer.Embedded</c>.</param>
    /// <param name="path">The ML.NET model, which is created or replaced at once.</param>
    /// <exception cref="FileNotFoundException">There is no ONNX file.</exception>
    /// <exception cref="InvalidOperationException">The context has not registered the operators, or the file is damaged; the message says
    /// which.</exception>
    /// <exception cref="ArgumentException">The file's tokenizer is not in its graph.</exception>
    /// <exception cref="IOException">The file cannot be written; nothing is left behind.</exception>
    public static void SaveOnnxPipeline(this SkillLocCatalog catalog, string onnx, string path)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentException.ThrowIfNullOrEmpty(onnx);
        if (!File.Exists(onnx))
        {
            throw new FileNotFoundException($"There is no ONNX file '{onnx}'.", onnx);
        }

        MLContext ml = catalog.Context;
        OnnxScoringEstimator estimator;
        try
        {
            estimator = ml.Transforms.ApplyOnnxModel(onnx);
        }
        catch (Exception error) when (error.ToString().Contains("ai.onnx.contrib", StringComparison.Ordinal))
        {
            throw new InvalidOperationException(
                $"'{onnx}' has operators of onnxruntime-extensions, which the context does not know: call ml.SetOnnxSessionOption(new() {{ "
                    + "CreateSessionOptions = ... }) with session options on which RegisterOrtExtensions() was called.",
                error
            );
        }

        IDataView empty = ml.Data.LoadFromEnumerable(Array.Empty<Row>());
        using OnnxTransformer transformer = Fitted(estimator, empty, onnx);
        AtomicFile.Write(path, stream => ml.Model.Save(transformer, empty.Schema, stream));
    }

    private static OnnxTransformer Fitted(OnnxScoringEstimator estimator, IDataView rows, string onnx)
    {
        try
        {
            return estimator.Fit(rows);
        }
        catch (ArgumentException error)
        {
            throw new ArgumentException(
                $"'{onnx}' takes other inputs than texts: export it with Tokenizer = OnnxTokenizer.Embedded.",
                nameof(onnx),
                error
            );
        }
    }

    private sealed class Row
    {
        public string Text { get; set; } = "";

        public string TextPair { get; set; } = "";
    }
}
