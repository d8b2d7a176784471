using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using TorchSharp;

namespace SkillLoc.Models.Checkpoints;

/// <summary>
/// The fingerprint of a set of weights: SHA-256 over their names in ordinal order, shapes and float32 values. It does not depend on the
/// file format, the order, the device, or a wider element type.
/// </summary>
public static class CheckpointFingerprint
{
    /// <summary>Returns the fingerprint of tensors in memory.</summary>
    /// <returns>64 lower-case hexadecimal digits.</returns>
    /// <exception cref="ArgumentException">A name occurs twice.</exception>
    public static string Compute(IEnumerable<(string Name, torch.Tensor Value)> tensors)
    {
        ArgumentNullException.ThrowIfNull(tensors);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        string? previous = null;
        foreach ((string? name, torch.Tensor? value) in tensors.OrderBy(tensor => tensor.Name, StringComparer.Ordinal))
        {
            if (string.Equals(name, previous, StringComparison.Ordinal))
            {
                throw new ArgumentException($"The tensor name '{name}' occurs twice.", nameof(tensors));
            }

            previous = name;
            Append(hash, name, value);
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>Returns the fingerprint of tensors in a file, reading one at a time.</summary>
    /// <param name="store">The file or files.</param>
    /// <param name="names">The tensors to include; null for all.</param>
    /// <returns>64 lower-case hexadecimal digits.</returns>
    /// <exception cref="KeyNotFoundException">No tensor has one of the names.</exception>
    /// <exception cref="InvalidDataException">The content of the file does not match its header.</exception>
    public static string Compute(ITensorStore store, IEnumerable<string>? names = null)
    {
        ArgumentNullException.ThrowIfNull(store);
        return Compute(names ?? store.Tensors.Select(info => info.Name), name => store.Read(name));
    }

    /// <summary>Returns the fingerprint of tensors that are read one at a time.</summary>
    /// <param name="names">Their names.</param>
    /// <param name="read">Reads one; it is disposed.</param>
    internal static string Compute(IEnumerable<string> names, Func<string, torch.Tensor> read)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (string name in names.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal))
        {
            using torch.Tensor value = read(name);
            Append(hash, name, value);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static void Append(IncrementalHash hash, string name, torch.Tensor value)
    {
        // Lengths come before what they measure, so that no two different sets give the same bytes.
        byte[] utf8 = Encoding.UTF8.GetBytes(name);
        Append(hash, utf8.Length);
        hash.AppendData(utf8);
        long[] shape = value.shape;
        Append(hash, shape.Length);
        foreach (long dimension in shape)
        {
            Append(hash, dimension);
        }

        TensorBytes.Write(value, torch.ScalarType.Float32, hash.AppendData);
    }

    private static void Append(IncrementalHash hash, long number)
    {
        Span<byte> bytes = stackalloc byte[sizeof(long)];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, number);
        hash.AppendData(bytes);
    }
}
