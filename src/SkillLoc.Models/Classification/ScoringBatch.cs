using SkillLoc.Models.Backbones;

namespace SkillLoc.Models.Classification;

/// <summary>Some of the rows that are scored together, padded. Disposing it releases its tensors.</summary>
/// <param name="Rows">The rows' indices.</param>
/// <param name="Tokens">Their tokens; where whole options are scored, each row once per option.</param>
internal sealed record ScoringBatch(IReadOnlyList<int> Rows, TokenBatch Tokens) : IDisposable
{
    /// <inheritdoc/>
    public void Dispose() => Tokens.Dispose();
}
