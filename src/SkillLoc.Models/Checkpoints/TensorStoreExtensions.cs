using TorchSharp;

namespace SkillLoc.Models.Checkpoints;

/// <summary>What every <see cref="ITensorStore"/> can do.</summary>
public static class TensorStoreExtensions
{
    /// <summary>Reads a tensor as <see cref="ITensorStore.Read"/> does, and refuses it if a value is NaN or infinite.</summary>
    /// <exception cref="KeyNotFoundException">There is no such tensor.</exception>
    /// <exception cref="InvalidDataException">A value is NaN or infinite, also if only as <paramref name="asType"/>.</exception>
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

    /// <summary>Reads all tensors in the order of the file; none may hold a NaN or an infinity.</summary>
    /// <param name="store">The store.</param>
    /// <param name="asType">The type that floating-point tensors are wanted in; null for the stored one. Integers keep theirs.</param>
    /// <param name="device">Where the tensors go; null for the CPU.</param>
    /// <returns>The tensors, which the caller owns.</returns>
    /// <exception cref="InvalidDataException">A value is NaN or infinite, or the file does not hold what it announces.</exception>
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

    private static void CheckFinite(torch.Tensor tensor, string name, string path)
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
