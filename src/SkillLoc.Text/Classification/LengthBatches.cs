namespace SkillLoc.Models.Classification;

/// <summary>Groups rows of similar length to reduce padding.</summary>
internal static class LengthBatches
{
    /// <summary>A budget of padded tokens per batch that suits a CPU: small, so that activations stay in its caches.</summary>
    public const int CpuTokens = 1024;

    /// <summary>Splits rows into batches: longest rows first, each batch within a budget of padded tokens.</summary>
    /// <param name="lengths">Each row's length in tokens.</param>
    /// <param name="maxTokens">Upper limit of the number of rows times the longest row, which only a single longer row may exceed.</param>
    /// <returns>Batches of indices into <paramref name="lengths"/>; each index occurs once.</returns>
    public static IEnumerable<int[]> Split(IReadOnlyList<int> lengths, int maxTokens)
    {
        ArgumentNullException.ThrowIfNull(lengths);
        ArgumentOutOfRangeException.ThrowIfLessThan(maxTokens, 1);
        int[] order = [.. Enumerable.Range(0, lengths.Count).OrderByDescending(i => lengths[i])];
        for (int start = 0; start < order.Length; )
        {
            int count = Math.Clamp(maxTokens / Math.Max(1, lengths[order[start]]), 1, order.Length - start);
            yield return order[start..(start + count)];
            start += count;
        }
    }
}
