using Microsoft.ML;
using SkillLoc.Models.Hooks;
using SkillLoc.Models.Prompts;

namespace SkillLoc.Transforms;

/// <summary>Appends pooled activations of a model as a feature vector. It owns the model's tensors: dispose it when done.</summary>
/// <remarks>Engines share it with its owner as they do a <see cref="TextScoringTransformer"/>; see there what disposes it.</remarks>
public abstract class ActivationTransformer : FeatureTransformer
{
    private readonly ActivationReader _reader;
    private readonly string[] _slots;

    /// <summary>Takes over a reader.</summary>
    /// <param name="reader">The reader; disposed with the transformer.</param>
    /// <param name="columns">The text columns.</param>
    /// <param name="outputColumnName">The column that is added: a vector of Single.</param>
    /// <param name="slotName">What comes before the dimensions' numbers in the slot names.</param>
    private protected ActivationTransformer(ActivationReader reader, ScoringColumns columns, string outputColumnName, string slotName)
        : base(columns, outputColumnName)
    {
        ArgumentNullException.ThrowIfNull(reader);
        _reader = reader;
        _slots = [.. Enumerable.Range(0, reader.Size).Select(i => $"{slotName}{i}")];
    }

    private protected override IReadOnlyList<string> Slots => _slots;

    private protected override float[][] Compute(IReadOnlyList<RowTexts> rows, CancellationToken cancellation)
    {
        EncodedText[] encoded = [.. rows.Select(row => row.Encode(_reader.Encode, Columns, Columns.TextPair is not null))];
        return _reader.Read(encoded, cancellation);
    }

    private protected override void Release() => _reader.Dispose();

    /// <summary>Not supported: a feature vector of known size cannot be restored from an ML.NET model by public API.</summary>
    /// <param name="ctx">Not used.</param>
    private protected override void Save(ModelSaveContext ctx) =>
        throw new NotSupportedException(
            "Activations of texts cannot be saved into an ML.NET model; save what comes after them, and make the transformer anew "
                + "from its checkpoint."
        );
}
