using System.Runtime.InteropServices;
using System.Security.Cryptography;
using TorchSharp.Modules;

namespace SkillLoc.Models.Grafts;

/// <summary>The part of a graft that lies in one parameter.</summary>
/// <param name="Name">The parameter's Hugging Face name.</param>
/// <param name="Indices">Row-major flat indices, ascending.</param>
/// <param name="Values">The fine-tuned values at those indices.</param>
public sealed record GraftPart(string Name, int[] Indices, float[] Values)
{
    /// <summary>Whether two lists of parts have the same coordinates in the same order, whatever their values.</summary>
    internal static bool SameCoordinates(IReadOnlyList<GraftPart> left, IReadOnlyList<GraftPart> right) =>
        left.Count == right.Count
        && left.Zip(right)
            .All(pair => pair.First.Name == pair.Second.Name && pair.First.Indices.AsSpan().SequenceEqual(pair.Second.Indices));

    /// <summary>The coordinates of parts, each once, by parameter.</summary>
    /// <param name="parts">The parts, of one graft or several.</param>
    /// <param name="weights">The parameters that they must lie in.</param>
    /// <param name="source">Their name in error messages.</param>
    /// <exception cref="ArgumentException">A parameter is missing or has fewer scalars.</exception>
    internal static Dictionary<string, SortedSet<long>> CoordinatesIn(
        IEnumerable<GraftPart> parts,
        IReadOnlyDictionary<string, Parameter> weights,
        string source
    )
    {
        var coordinates = new Dictionary<string, SortedSet<long>>(StringComparer.Ordinal);
        foreach (GraftPart part in parts.Where(part => part.Indices.Length > 0))
        {
            if (!weights.TryGetValue(part.Name, out Parameter? weight))
            {
                throw new ArgumentException($"{source} has coordinates of '{part.Name}', which the model does not have.");
            }

            if (!coordinates.TryGetValue(part.Name, out SortedSet<long>? indices))
            {
                coordinates.Add(part.Name, indices = []);
            }

            indices.UnionWith(part.Indices.Select(index => (long)index));
            if (indices.Min < 0 || indices.Max >= weight.numel())
            {
                throw new ArgumentException(
                    $"{source} has coordinate {(indices.Min < 0 ? indices.Min : indices.Max)} of '{part.Name}', whose "
                        + $"{weight.numel()} coordinates count from 0."
                );
            }
        }

        return coordinates;
    }

    /// <summary>Returns the fingerprint of the coordinates of parts.</summary>
    internal static string Fingerprint(IEnumerable<GraftPart> parts)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (GraftPart part in parts)
        {
            Append<char>(hash, [.. part.Name, '\0']);
            Append(hash, [part.Indices.Length, .. part.Indices]);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());

        static void Append<T>(IncrementalHash hash, ReadOnlySpan<T> values)
            where T : unmanaged => hash.AppendData(MemoryMarshal.AsBytes(values));
    }
}
