namespace SkillLoc.Models.Classification;

/// <summary>Groups rows of similar length to reduce padding.</summary>
internal static class LengthBatches
{
    /// <summary>A budget of padded tokens per batch that suits a CPU: small, so that activations stay in its caches.</summary>
    public const int CpuTokens = 1024;

    /// <summary>
    /// The cost of another pass on a CPU, as the number of padded tokens that take as long: reading the weights, adding to their gradients
    /// and calling the operators. Measured as of benchmarks/README.md.
    /// </summary>
    public const int CpuPassTokens = 64;

    /// <summary>Splits rows into batches: longest rows first, each batch within a budget of padded tokens.</summary>
    /// <param name="lengths">Each row's length in tokens.</param>
    /// <param name="maxTokens">Upper limit of the number of rows times the longest row, which only a single longer row may exceed.</param>
    /// <param name="passTokens">The cost of another batch in padded tokens: batches are chosen so that the sum of padded tokens and of this
    /// for each batch is smallest. Null puts as many rows into each batch as fit.</param>
    /// <returns>Batches of indices into <paramref name="lengths"/>; each index occurs once.</returns>
    public static IEnumerable<int[]> Split(IReadOnlyList<int> lengths, int maxTokens, int? passTokens = null)
    {
        ArgumentNullException.ThrowIfNull(lengths);
        ArgumentOutOfRangeException.ThrowIfLessThan(maxTokens, 1);
        int[] order = [.. Enumerable.Range(0, lengths.Count).OrderByDescending(i => lengths[i])];
        int[] ends = passTokens is { } cost ? Cheapest(order, lengths, maxTokens, cost) : Fullest(order, lengths, maxTokens);
        for (int start = 0; start < order.Length; start = ends[start])
        {
            yield return order[start..ends[start]];
        }
    }

    /// <summary>For each row at which a batch may start, the end of that batch.</summary>
    private static int[] Fullest(int[] order, IReadOnlyList<int> lengths, int maxTokens) =>
        [.. order.Select((row, start) => start + Math.Clamp(maxTokens / Math.Max(1, lengths[row]), 1, order.Length - start))];

    /// <summary>The same such that the rows from there on cost least, by dynamic programming from the last row to the first.</summary>
    private static int[] Cheapest(int[] order, IReadOnlyList<int> lengths, int maxTokens, int passTokens)
    {
        int[] ends = Fullest(order, lengths, maxTokens);
        long[] costs = new long[order.Length + 1];
        for (int start = order.Length - 1; start >= 0; start--)
        {
            long longest = Math.Max(1, lengths[order[start]]);
            int most = ends[start];
            costs[start] = long.MaxValue;
            for (int end = most; end > start; end--)
            {
                long cost = (longest * (end - start)) + passTokens + costs[end];
                if (cost < costs[start])
                {
                    (costs[start], ends[start]) = (cost, end);
                }
            }
        }

        return ends;
    }
}
