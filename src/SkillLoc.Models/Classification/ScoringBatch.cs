using SkillLoc.Models.Backbones;

namespace SkillLoc.Models.Classification;

/// <summary>A padded batch of rows. Disposing it releases its tensors.</summary>
/// <param name="Rows">The rows' indices.</param>
/// <param name="Tokens">Their tokens; each row once per option if whole options are scored.</param>
internal sealed record ScoringBatch(IReadOnlyList<int> Rows, TokenBatch Tokens) : IDisposable
{
    /// <inheritdoc/>
    public void Dispose() => Tokens.Dispose();
}
