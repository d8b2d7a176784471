using SkillLoc.Models.Embeddings;
using SkillLoc.Transforms;

namespace SkillLoc;

/// <summary>Catalog methods for text embeddings.</summary>
public static class SkillLocEmbeddings
{
    /// <summary>Computes features of texts from the hidden states of any layer of a checkpoint.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="checkpoint">A Hugging Face checkpoint folder.</param>
    /// <param name="outputColumnName">The output column, a vector of Single.</param>
    /// <param name="textColumnName">The text column.</param>
    /// <param name="layer">0 for the embeddings, i for layer i from 1; null (default) for the last.</param>
    /// <param name="pooling">How hidden states are pooled into one vector.</param>
    /// <param name="template">A prompt template, required for pooling at the mask.</param>
    /// <returns>The estimator.</returns>
    public static EmbedTextEstimator EmbedText(
        this SkillLocCatalog catalog, string checkpoint, string outputColumnName = "Features", string textColumnName = "Text", int? layer = null,
        TextPooling pooling = TextPooling.Mean, string? template = null) =>
        catalog.EmbedText(new EmbedTextEstimator.Options
        {
            Checkpoint = checkpoint,
            OutputColumnName = outputColumnName,
            TextColumnName = textColumnName,
            Layer = layer,
            Pooling = pooling,
            Template = template,
        });

    /// <summary>Computes features of texts from the hidden states of any layer of a checkpoint.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="options">The options.</param>
    /// <returns>The estimator.</returns>
    /// <exception cref="ArgumentException">No checkpoint is named.</exception>
    public static EmbedTextEstimator EmbedText(this SkillLocCatalog catalog, EmbedTextEstimator.Options options)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return new(catalog, options);
    }
}
