using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Json;
using SkillLoc.Models.Checkpoints;

namespace SkillLoc.Onnx;

/// <summary>A graft's safetensors file, read without a tensor library: what <c>Graft.Save</c> wrote.</summary>
internal sealed class GraftFile
{
    private const string Indices = ".indices",
        Values = ".values",
        Head = "head.";

    private readonly string _source;
    private readonly byte[] _bytes;
    private readonly Dictionary<string, Tensor> _tensors = new(StringComparer.Ordinal);
    private Dictionary<string, string> _metadata = new(StringComparer.Ordinal);

    private GraftFile(byte[] bytes, string source)
    {
        (_bytes, _source) = (bytes, source);
        ReadHeader();
        if (_metadata.GetValueOrDefault("format") != "skillloc-graft")
        {
            throw Invalid("the metadata's 'format' is not 'skillloc-graft'; right would be a file that Graft.Save wrote");
        }

        if (_metadata.GetValueOrDefault("version") is var version && version != "1")
        {
            throw Invalid(
                version == "2"
                    ? "it has zeros outside, and so changes all that it was chosen from; a set takes grafts whose other scalars are pre-trained"
                    : $"its format version is '{version}', and this program reads version 1"
            );
        }

        Fingerprint = _metadata.GetValueOrDefault("base_fingerprint") ?? throw Invalid("it names no base model");
        Settings = _metadata.GetValueOrDefault("settings", "");
        Parts = ReadParts();
        HeadWeights = _tensors
            .Where(pair => pair.Key.StartsWith(Head, StringComparison.Ordinal))
            .ToDictionary(
                pair => pair.Key[Head.Length..],
                pair => new HeadWeight(pair.Value.Shape, Read<float>(pair.Key, "F32")),
                StringComparer.Ordinal
            );
    }

    /// <summary>The base model's fingerprint.</summary>
    public string Fingerprint { get; }

    /// <summary>The task as JSON.</summary>
    public string Settings { get; }

    /// <summary>The scalars by parameter.</summary>
    public IReadOnlyDictionary<string, Part> Parts { get; }

    /// <summary>The weights of the graft's own head.</summary>
    public IReadOnlyDictionary<string, HeadWeight> HeadWeights { get; }

    /// <summary>Scalars of a parameter.</summary>
    /// <param name="Indices">Row-major places, ascending.</param>
    /// <param name="Values">Their values.</param>
    public sealed record Part(int[] Indices, float[] Values);

    /// <summary>A weight of a head.</summary>
    /// <param name="Shape">Its shape.</param>
    /// <param name="Values">Its values, row-major.</param>
    public sealed record HeadWeight(long[] Shape, float[] Values);

    private sealed record Tensor(string Type, long[] Shape, int Start, int Length);

    /// <summary>Reads a graft.</summary>
    /// <exception cref="InvalidDataException">The bytes are damaged, or no graft.</exception>
    public static GraftFile Read(byte[] bytes, string source) => new(bytes, source);

    private void ReadHeader()
    {
        if (_bytes.Length < sizeof(long))
        {
            throw Invalid($"it has {_bytes.Length} bytes, fewer than the 8 of the header's length");
        }

        ulong length = BinaryPrimitives.ReadUInt64LittleEndian(_bytes);
        if (length > (ulong)(_bytes.Length - sizeof(long)))
        {
            throw Invalid(
                $"its header should have {length} bytes, and {_bytes.Length - sizeof(long)} follow; it is cut off or another file"
            );
        }

        int data = sizeof(long) + (int)length;
        try
        {
            ReadOnlySpan<byte> header = _bytes.AsSpan(sizeof(long), (int)length);
            _tensors.EnsureCapacity(SafetensorsHeader.Count(header));
            _metadata = SafetensorsHeader.Read(
                header,
                entry =>
                {
                    var tensor = new Tensor(
                        entry.Dtype,
                        entry.Shape,
                        data + checked((int)entry.Begin),
                        checked((int)(entry.End - entry.Begin))
                    );
                    if (!_tensors.TryAdd(entry.Name, tensor))
                    {
                        throw SafetensorsHeader.Twice(entry.Name);
                    }
                }
            );
        }
        catch (Exception error) when (error is JsonException or FormatException or OverflowException)
        {
            throw Invalid($"its header is damaged ({error.Message})", error);
        }

        // The tensors lie one after another and fill the rest of the file.
        int end = data;
        KeyValuePair<string, Tensor>[] sorted = [.. _tensors];
        Array.Sort(sorted, (one, other) => (one.Value.Start, one.Value.Length).CompareTo((other.Value.Start, other.Value.Length)));
        foreach ((string name, Tensor tensor) in sorted)
        {
            if (tensor.Start != end || Array.Exists(tensor.Shape, size => size < 0))
            {
                throw Invalid($"tensor '{name}' does not begin where the one before it ends");
            }

            end += tensor.Length;
        }

        if (end != _bytes.Length)
        {
            throw Invalid($"its tensors end at byte {end}, and the file has {_bytes.Length}; it is cut off or longer than it should be");
        }
    }

    private Dictionary<string, Part> ReadParts()
    {
        var parts = new Dictionary<string, Part>(StringComparer.Ordinal);
        foreach (string name in _tensors.Keys.Where(name => !name.StartsWith(Head, StringComparison.Ordinal)))
        {
            if (name.EndsWith(Indices, StringComparison.Ordinal))
            {
                string parameter = name[..^Indices.Length];
                int[] indices = Read<int>(name, "I32");
                float[] values = _tensors.ContainsKey(parameter + Values) ? Read<float>(parameter + Values, "F32") : [];
                bool isAscending = indices.Zip(indices.Skip(1)).All(pair => pair.First < pair.Second);
                if (indices.Length != values.Length || !isAscending || (indices.Length > 0 && indices[0] < 0))
                {
                    throw Invalid($"'{parameter}' must have ascending indices from 0 on and as many values");
                }

                parts.Add(parameter, new(indices, values));
            }
            else if (!name.EndsWith(Values, StringComparison.Ordinal) || !_tensors.ContainsKey(name[..^Values.Length] + Indices))
            {
                throw Invalid($"it holds the tensor '{name}', which is no part of a graft");
            }
        }

        return parts;
    }

    private T[] Read<T>(string name, string type)
        where T : unmanaged
    {
        Tensor tensor = _tensors[name];
        Int128 count = tensor.Shape.Aggregate(Int128.One, (product, size) => product > int.MaxValue ? product : product * size);
        if (tensor.Type != type || count * sizeof(int) != tensor.Length)
        {
            throw Invalid($"tensor '{name}' is {tensor.Type} [{string.Join(", ", tensor.Shape)}] of {tensor.Length} bytes, not {type}");
        }

        T[] values = MemoryMarshal.Cast<byte, T>(_bytes.AsSpan(tensor.Start, tensor.Length)).ToArray();
        return values is float[] floats && floats.Any(value => !float.IsFinite(value))
            ? throw Invalid($"tensor '{name}' has a value that is not finite")
            : values;
    }

    private InvalidDataException Invalid(string what, Exception? cause = null) =>
        new($"{_source} is no graft that can be read: {what}.", cause);
}
