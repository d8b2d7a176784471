using TorchSharp;

namespace SkillLoc.Models.Checkpoints;

/// <summary>Extension methods of <see cref="ITensorStore"/>.</summary>
public static class TensorStoreExtensions
{
    /// <summary>Reads a tensor like <see cref="ITensorStore.Read"/>, and throws if a value is NaN or infinite.</summary>
    /// <exception cref="KeyNotFoundException">No tensor has this name.</exception>
    /// <exception cref="InvalidDataException">A value is NaN or infinite, possibly only after conversion to
    /// <paramref name="asType"/>.</exception>
    public static torch.Tensor ReadFinite(
        this ITensorStore store, string name, torch.ScalarType? asType = null, torch.Device? device = null)
    {
        ArgumentNullException.ThrowIfNull(store);
        var tensor = store.Read(name, asType, device);
        try
        {
            CheckFinite(tensor, name, store.Path);
            return tensor;
        }
        catch
        {
            tensor.Dispose();
            throw;
        }
    }

    /// <summary>Reads all tensors in the order of the file; all values must be finite.</summary>
    /// <param name="store">The store.</param>
    /// <param name="asType">The type of floating-point tensors; null for the stored one. Integers keep theirs.</param>
    /// <param name="device">The device; null for the CPU.</param>
    /// <returns>The tensors, which the caller owns.</returns>
    /// <exception cref="InvalidDataException">A value is NaN or infinite, or the content of the file does not match its header.</exception>
    public static IReadOnlyList<(string Name, torch.Tensor Value)> ReadAll(
        this ITensorStore store, torch.ScalarType? asType = null, torch.Device? device = null)
    {
        ArgumentNullException.ThrowIfNull(store);
        var tensors = new List<(string Name, torch.Tensor Value)>(store.Tensors.Count);
        try
        {
            foreach (var info in store.Tensors)
                tensors.Add((info.Name, store.ReadFinite(info.Name, ElementTypes.IsFloatingPoint(info.Dtype) ? asType : null, device)));
            return tensors;
        }
        catch
        {
            foreach (var (_, value) in tensors)
                value.Dispose();
            throw;
        }
    }

    internal static void CheckFinite(torch.Tensor tensor, string name, string path)
    {
        if (!ElementTypes.IsFloatingPoint(tensor.dtype))
            return;
        using var finite = tensor.isfinite();
        using var allFinite = finite.all();
        if (allFinite.item<bool>())
            return;
        using var count = finite.sum();
        throw new InvalidDataException(
            $"{path}: tensor '{name}' has {tensor.numel() - count.item<long>()} values that are NaN or infinite (of {tensor.numel()}); weights must be finite.");
    }
}
