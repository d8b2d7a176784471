using SkillLoc.Onnx;
using SkillLoc.Transforms;

namespace SkillLoc;

/// <summary>Catalog methods for ONNX models.</summary>
public static class SkillLocOnnx
{
    /// <summary>Loads a text scorer that <c>SaveOnnx</c> wrote. It needs no TorchSharp.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="path">The ONNX file.</param>
    /// <param name="columns">The columns to read and add; by default Text (and TextPair), PredictedLabel and Score.</param>
    /// <param name="options">How it scores; null for the defaults.</param>
    /// <returns>The model; the caller disposes it.</returns>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">The file is damaged, or is no exported classifier.</exception>
    /// <exception cref="NotSupportedException">The file needs an operator or an operator set that this ONNX Runtime lacks.</exception>
    /// <exception cref="ArgumentException">The columns do not fit the task, or an option is out of range.</exception>
    public static OnnxScoringTransformer LoadOnnxScorer(
        this SkillLocCatalog catalog,
        string path,
        ScoringColumns? columns = null,
        OnnxScoringOptions? options = null
    )
    {
        ArgumentNullException.ThrowIfNull(catalog);
        var scorer = OnnxTextScorer.Load(path, options);
        try
        {
            return new(scorer, new(path), columns) { Host = new(catalog.Context, nameof(LoadOnnxScorer)) };
        }
        catch
        {
            scorer.Dispose();
            throw;
        }
    }

    /// <summary>Loads a text embedder that <c>SaveOnnx</c> wrote. It needs no TorchSharp.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="path">The ONNX file.</param>
    /// <param name="outputColumnName">The output column, a vector of Single.</param>
    /// <param name="textColumnName">The text column.</param>
    /// <param name="textPairColumnName">The second text column; null for single texts.</param>
    /// <param name="options">How it computes; null for the defaults.</param>
    /// <returns>The model; the caller disposes it.</returns>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">The file is damaged, or is no exported embedder.</exception>
    /// <exception cref="NotSupportedException">The file needs an operator or an operator set that this ONNX Runtime lacks.</exception>
    /// <exception cref="ArgumentException">An option is out of range.</exception>
    public static OnnxEmbeddingTransformer LoadOnnxEmbedder(
        this SkillLocCatalog catalog,
        string path,
        string outputColumnName = "Features",
        string textColumnName = "Text",
        string? textPairColumnName = null,
        OnnxScoringOptions? options = null
    )
    {
        ArgumentNullException.ThrowIfNull(catalog);
        var embedder = OnnxTextEmbedder.Load(path, options);
        try
        {
            return new(embedder, new(path), new() { Text = textColumnName, TextPair = textPairColumnName }, outputColumnName)
            {
                Host = new(catalog.Context, nameof(LoadOnnxEmbedder)),
            };
        }
        catch
        {
            embedder.Dispose();
            throw;
        }
    }

    /// <summary>Loads one base model with many grafted skills on ONNX Runtime. It needs no TorchSharp.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="path">The base model, a file that <c>OnnxBase.Save</c> wrote.</param>
    /// <param name="grafts">The graft files by skill, as <c>SaveGraft</c> and <c>Graft.Save</c> write them.</param>
    /// <param name="columns">The columns to read and add; by default Text (and TextPair if a skill needs it), PredictedLabel and
    /// Score.</param>
    /// <param name="skillColumnName">The column that names each row's skill.</param>
    /// <param name="options">How it scores; null for the defaults.</param>
    /// <returns>The set; the caller disposes it.</returns>
    /// <exception cref="FileNotFoundException">The base model or a graft is missing.</exception>
    /// <exception cref="InvalidDataException">A file is damaged or of another kind, or a graft is for another base or has a task that a set
    /// does not score.</exception>
    /// <exception cref="NotSupportedException">The file needs an operator or an operator set that this ONNX Runtime lacks.</exception>
    /// <exception cref="ArgumentException">There are no grafts, one scores pairs without a second text column, or an option is out of
    /// range.</exception>
    public static OnnxGraftedModelSet LoadOnnxModelSet(
        this GraftCatalog catalog,
        string path,
        IReadOnlyDictionary<string, string> grafts,
        ScoringColumns? columns = null,
        string skillColumnName = "Skill",
        OnnxScoringOptions? options = null
    )
    {
        ArgumentNullException.ThrowIfNull(catalog);
        var set = OnnxGraftedModelSet.Load(path, grafts, columns, skillColumnName, options);
        set.Host = new(catalog.Context, nameof(LoadOnnxModelSet));
        return set;
    }
}
