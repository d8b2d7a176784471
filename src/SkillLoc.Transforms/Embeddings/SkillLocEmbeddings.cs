using SkillLoc.Models.Embeddings;
using SkillLoc.Transforms;

namespace SkillLoc;

/// <summary>Embeddings in SkillLoc's catalog.</summary>
public static class SkillLocEmbeddings
{
    /// <summary>Makes features of texts from hidden states of any layer of a checkpoint.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="checkpoint">A Hugging Face checkpoint folder.</param>
    /// <param name="outputColumnName">The column that is added: a vector of Single.</param>
    /// <param name="textColumnName">The text column.</param>
    /// <param name="layer">0 for the embeddings, i for layer i, counted from 1; null for the last.</param>
    /// <param name="pooling">How hidden states become one vector.</param>
    /// <param name="template">A prompt template, which pooling at its mask needs.</param>
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

    /// <summary>Makes features of texts from hidden states of any layer of a checkpoint.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="options">Everything that can be told.</param>
    /// <returns>The estimator.</returns>
    /// <exception cref="ArgumentException">No checkpoint is named.</exception>
    public static EmbedTextEstimator EmbedText(this SkillLocCatalog catalog, EmbedTextEstimator.Options options)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return new(catalog, options);
    }
}
