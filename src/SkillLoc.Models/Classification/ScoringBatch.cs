using SkillLoc.Models.Backbones;
using TorchSharp;

namespace SkillLoc.Models.Classification;

/// <summary>A padded batch of rows. Disposing it releases its tensors.</summary>
/// <param name="Rows">The rows' indices.</param>
/// <param name="Tokens">Their tokens; each row once per option if whole options are scored.</param>
internal sealed record ScoringBatch(IReadOnlyList<int> Rows, TokenBatch Tokens) : IDisposable
{
    private const int GpuTokens = 16384;

    /// <inheritdoc/>
    public void Dispose() => Tokens.Dispose();

    /// <summary>Splits rows into batches that suit the device: on a CPU small ones, whose activations stay in its caches, with little
    /// padding; on a GPU few and large ones.</summary>
    /// <param name="lengths">Each row's length in tokens.</param>
    /// <param name="device">The device.</param>
    /// <param name="maxTokens">Padded tokens of a batch at most; null chooses a number that suits the device.</param>
    /// <returns>Batches of indices of rows.</returns>
    public static IEnumerable<int[]> Split(IReadOnlyList<int> lengths, torch.Device device, int? maxTokens = null)
    {
        ArgumentNullException.ThrowIfNull(device);
        return LengthBatches.Split(
            lengths,
            maxTokens ?? SuitableTokens(device),
            device.type == DeviceType.CPU ? LengthBatches.CpuPassTokens : null
        );
    }

    /// <summary>A budget of padded tokens of a batch that suits the device.</summary>
    /// <param name="device">The device.</param>
    /// <returns>The number of tokens.</returns>
    public static int SuitableTokens(torch.Device device) => device.type == DeviceType.CPU ? LengthBatches.CpuTokens : GpuTokens;
}
