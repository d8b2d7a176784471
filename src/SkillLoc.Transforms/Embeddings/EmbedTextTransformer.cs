using SkillLoc.Models.Embeddings;

namespace SkillLoc.Transforms;

/// <summary>Appends pooled hidden states of a checkpoint as a feature vector. Owns the model: dispose it after use.</summary>
/// <param name="embedder">The embedder; disposed with the transformer.</param>
/// <param name="columns">The text columns.</param>
/// <param name="outputColumnName">The output column: a vector of Single, with the dimensions' numbers as slot names.</param>
public sealed class EmbedTextTransformer(TextEmbedder embedder, ScoringColumns columns, string outputColumnName = "Features")
    : ActivationTransformer(embedder?.Reader!, columns, outputColumnName, slotName: "");
