using TorchSharp;

namespace SkillLoc.Models.Checkpoints;

/// <summary>Named tensors in a file or a set of files. Reading is safe from several threads; disposing while another thread reads is not.</summary>
public interface ITensorStore : IDisposable
{
    /// <summary>The file that was opened, as it appears in error messages; for a sharded store, the index file.</summary>
    string Path { get; }

    /// <summary>The tensors, in the order of the file.</summary>
    IReadOnlyList<TensorInfo> Tensors { get; }

    /// <summary>Whether there is a tensor of that name.</summary>
    bool Contains(string name);

    /// <summary>Reads a tensor into memory of its own.</summary>
    /// <param name="name">The tensor's name.</param>
    /// <param name="asType">The element type wanted; null for the stored one.</param>
    /// <param name="device">Where the tensor goes; null for the CPU.</param>
    /// <returns>A contiguous tensor of the stored shape without a gradient, which the caller owns.</returns>
    /// <exception cref="KeyNotFoundException">There is no such tensor.</exception>
    /// <exception cref="InvalidDataException">Its values are not in the file as announced.</exception>
    torch.Tensor Read(string name, torch.ScalarType? asType = null, torch.Device? device = null);
}
