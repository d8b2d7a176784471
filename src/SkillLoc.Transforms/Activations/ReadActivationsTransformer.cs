using SkillLoc.Models.Embeddings;
using SkillLoc.Models.Hooks;

namespace SkillLoc.Transforms;

/// <summary>Appends the pooled activation at a hook point as a feature vector, whose slots are called <c>point.number</c>, such as
/// <c>blocks.3.mlp.hook_post.17</c>. It owns tensors: dispose it when done.</summary>
public sealed class ReadActivationsTransformer : ActivationTransformer
{
    private readonly ActivationReader _reader;

    /// <summary>Takes over a reader.</summary>
    /// <param name="reader">The reader; disposed with the transformer.</param>
    /// <param name="columns">The text columns.</param>
    /// <param name="outputColumnName">The column that is added: a vector of Single.</param>
    public ReadActivationsTransformer(ActivationReader reader, ScoringColumns columns, string outputColumnName = "Activations")
        : base(reader, columns, outputColumnName, $"{reader?.Point.Name}.") => _reader = reader!;

    /// <summary>The point that is read.</summary>
    public HookPoint Point => _reader.Point;

    /// <summary>How a text's activations become one vector.</summary>
    public TextPooling Pooling => _reader.Pooling;
}
