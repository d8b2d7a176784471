using TorchSharp;

namespace SkillLoc.Models.Classification;

/// <summary>Groups rows of similar length, so that little is computed for padding.</summary>
internal static class LengthBatches
{
    /// <summary>
    /// A budget of padded tokens that keeps a device busy: on a CPU activations should stay in the caches, a GPU wants large batches.
    /// </summary>
    /// <param name="device">The device.</param>
    /// <returns>Tokens.</returns>
    public static int SuitableTokens(torch.Device device)
    {
        ArgumentNullException.ThrowIfNull(device);
        return device.type == DeviceType.CPU ? 1024 : 16384;
    }

    /// <summary>Splits rows into batches: longest first, each within a budget of padded tokens.</summary>
    /// <param name="lengths">Each row's length in tokens.</param>
    /// <param name="maxTokens">Rows times the longest row of a batch is at most this, unless one row alone is longer.</param>
    /// <returns>Batches of indices into <paramref name="lengths"/>; together each index once.</returns>
    public static IEnumerable<int[]> Split(IReadOnlyList<int> lengths, int maxTokens)
    {
        ArgumentNullException.ThrowIfNull(lengths);
        ArgumentOutOfRangeException.ThrowIfLessThan(maxTokens, 1);
        int[] order = [.. Enumerable.Range(0, lengths.Count).OrderByDescending(i => lengths[i])];
        for (int start = 0; start < order.Length;)
        {
            int count = Math.Clamp(maxTokens / Math.Max(1, lengths[order[start]]), 1, order.Length - start);
            yield return order[start..(start + count)];
            start += count;
        }
    }
}
