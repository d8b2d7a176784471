using SkillLoc.Models.Backbones;
using TorchSharp;

namespace SkillLoc.Models.Classification;

/// <summary>A padded batch of rows. Disposing it releases its tensors.</summary>
/// <param name="Rows">The rows' indices.</param>
/// <param name="Tokens">Their tokens; each row once per option if whole options are scored.</param>
internal sealed record ScoringBatch(IReadOnlyList<int> Rows, TokenBatch Tokens) : IDisposable
{
    /// <inheritdoc/>
    public void Dispose() => Tokens.Dispose();

    /// <summary>
    /// A budget of padded tokens per batch that suits the device: small on a CPU, so that activations stay in its caches, large on a GPU.
    /// </summary>
    /// <param name="device">The device.</param>
    /// <returns>The number of tokens.</returns>
    public static int SuitableTokens(torch.Device device)
    {
        ArgumentNullException.ThrowIfNull(device);
        return device.type == DeviceType.CPU ? LengthBatches.CpuTokens : 16384;
    }
}
