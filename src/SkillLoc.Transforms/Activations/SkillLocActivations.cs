using SkillLoc.Models.Embeddings;
using SkillLoc.Transforms;

namespace SkillLoc;

/// <summary>Reading activations, in SkillLoc's catalog.</summary>
public static class SkillLocActivations
{
    /// <summary>Makes features of texts from what a checkpoint's model computes at a hook point.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="checkpoint">A Hugging Face checkpoint folder.</param>
    /// <param name="point">The hook point's name, such as <c>blocks.3.mlp.hook_post</c>.</param>
    /// <param name="pooling">How a text's activations become one vector.</param>
    /// <param name="outputColumnName">The column that is added: a vector of Single.</param>
    /// <param name="textColumnName">The text column; null for "Text".</param>
    /// <param name="template">A prompt template; null for plain text.</param>
    /// <returns>The estimator.</returns>
    public static ReadActivationsEstimator ReadActivations(
        this SkillLocCatalog catalog, string checkpoint, string point, TextPooling pooling = TextPooling.Mean,
        string outputColumnName = "Activations", string? textColumnName = null, string? template = null) =>
        catalog.ReadActivations(new ReadActivationsEstimator.Options
        {
            Checkpoint = checkpoint,
            Point = point,
            Pooling = pooling,
            OutputColumnName = outputColumnName,
            TextColumnName = textColumnName,
            Template = template,
        });

    /// <summary>Makes features of texts from what a fitted model computes at a hook point.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="model">The model, which is read with its prompt and its tuning; it stays as it is.</param>
    /// <param name="point">The hook point's name, such as <c>blocks.3.mlp.hook_post</c>.</param>
    /// <param name="pooling">How a text's activations become one vector.</param>
    /// <param name="outputColumnName">The column that is added: a vector of Single.</param>
    /// <returns>The estimator.</returns>
    public static ReadActivationsEstimator ReadActivations(
        this SkillLocCatalog catalog, TextScoringTransformer model, string point, TextPooling pooling = TextPooling.Mean,
        string outputColumnName = "Activations") =>
        catalog.ReadActivations(new ReadActivationsEstimator.Options
        {
            Model = model,
            Point = point,
            Pooling = pooling,
            OutputColumnName = outputColumnName,
        });

    /// <summary>Makes features of texts from what a model computes at a hook point.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="options">Everything that can be told.</param>
    /// <returns>The estimator.</returns>
    /// <exception cref="ArgumentException">An option is missing, or one is there too many.</exception>
    public static ReadActivationsEstimator ReadActivations(this SkillLocCatalog catalog, ReadActivationsEstimator.Options options)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return new(catalog, options);
    }
}
