using TorchSharp;

namespace SkillLoc.Models.Checkpoints;

/// <summary>Named tensors in a file or a set of files. Reading is safe from several threads; disposing while another thread reads is
/// not.</summary>
public interface ITensorStore : IDisposable
{
    /// <summary>The opened file, as named in error messages; the index file of a sharded store.</summary>
    string Path { get; }

    /// <summary>The tensors, in the order of the file.</summary>
    IReadOnlyList<TensorInfo> Tensors { get; }

    /// <summary>Whether a tensor has a name.</summary>
    bool Contains(string name);

    /// <summary>Reads a tensor into new memory.</summary>
    /// <param name="name">The tensor's name.</param>
    /// <param name="asType">The element type to return; null for the stored one.</param>
    /// <param name="device">The device; null for the CPU.</param>
    /// <returns>A contiguous tensor of the stored shape without a gradient, which the caller owns.</returns>
    /// <exception cref="KeyNotFoundException">No tensor has this name.</exception>
    /// <exception cref="InvalidDataException">The content of the file does not match its header.</exception>
    torch.Tensor Read(string name, torch.ScalarType? asType = null, torch.Device? device = null);
}

/// <summary>The description of a tensor in a checkpoint.</summary>
/// <param name="Name">The parameter's name, for example <c>roberta.embeddings.word_embeddings.weight</c>.</param>
/// <param name="Dtype">The stored element type.</param>
/// <param name="Shape">The lengths of its dimensions; empty for a scalar.</param>
/// <param name="ByteLength">The number of bytes of its values as stored.</param>
public sealed record TensorInfo(string Name, torch.ScalarType Dtype, long[] Shape, long ByteLength);
