using System.Globalization;
using System.Security.Cryptography;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Grafts;

/// <content>The file of a graft.</content>
public sealed partial class Graft
{
    /// <summary>The value of <c>format</c> in the metadata of a graft file.</summary>
    public const string FileFormat = "skillloc-graft";

    private const string Version = "1";

    /// <summary>Version of grafts with zeros outside, which a reader of version 1 would apply wrongly and so must refuse.</summary>
    private const string VersionOfZeros = "2";
    private const string ConsideredKey = "considered_names";
    private const string IndicesSuffix = ".indices";
    private const string ValuesSuffix = ".values";
    private const string HeadPrefix = "head.";

    /// <summary>Writes the graft as one safetensors file.</summary>
    /// <param name="path">The file; an existing file is replaced once the new one is complete.</param>
    /// <exception cref="IOException">It could not be written; an existing file is unchanged.</exception>
    public void Save(string path)
    {
        using DisposeScope scope = NewDisposeScope();
        SafetensorsWriter.Write(path, Tensors(), Metadata());
    }

    /// <summary>Writes the graft with more metadata.</summary>
    internal void Save(string path, IReadOnlyDictionary<string, string> notes)
    {
        using DisposeScope scope = NewDisposeScope();
        SafetensorsWriter.Write(path, Tensors(), new Dictionary<string, string>(Metadata().Concat(notes), StringComparer.Ordinal));
    }

    /// <summary>Writes the graft to a stream.</summary>
    /// <param name="stream">A writable stream.</param>
    public void Save(Stream stream)
    {
        using DisposeScope scope = NewDisposeScope();
        SafetensorsWriter.Write(stream, Tensors(), Metadata());
    }

    /// <summary>Reads a graft.</summary>
    /// <param name="path">The file.</param>
    /// <returns>The graft.</returns>
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="InvalidDataException">The file is damaged or is not a graft.</exception>
    public static Graft Load(string path)
    {
        using var file = SafetensorsFile.Open(path);
        return Read(file, path);
    }

    /// <summary>Reads a graft from the bytes of its file.</summary>
    /// <param name="bytes">The bytes.</param>
    /// <param name="source">Its name in error messages.</param>
    /// <returns>The graft.</returns>
    /// <exception cref="InvalidDataException">The bytes are damaged or are not a graft.</exception>
    public static Graft Load(byte[] bytes, string source)
    {
        using var file = SafetensorsFile.FromBytes(bytes, source);
        return Read(file, source);
    }

    /// <summary>Whether a file's metadata identify it as a graft.</summary>
    internal static bool IsGraft(SafetensorsFile file) => file.Metadata.GetValueOrDefault("format") == FileFormat;

    private static Graft Read(SafetensorsFile file, string source)
    {
        IReadOnlyDictionary<string, string> metadata = file.Metadata;
        if (!IsGraft(file))
        {
            throw new InvalidDataException($"{source} is not a SkillLoc graft: the metadata 'format' is not '{FileFormat}'.");
        }

        var fields = new MetadataFields(file, source);
        if (fields.Text("version") is var version && version is not (Version or VersionOfZeros))
        {
            throw new InvalidDataException(
                $"{source} is a graft of format version {version}; this program reads versions {Version} and {VersionOfZeros}."
            );
        }

        string settings = metadata.GetValueOrDefault("settings", "");
        if (settings.Length > 0)
        {
            ClassifierSettings.FromJson(settings, $"{source}, the metadata's 'settings'");
        }

        var parts = new List<GraftPart>();
        var head = new Dictionary<string, TensorValues>(StringComparer.Ordinal);
        foreach (TensorInfo info in file.Tensors)
        {
            if (info.Name.EndsWith(IndicesSuffix, StringComparison.Ordinal))
            {
                string name = info.Name[..^IndicesSuffix.Length];
                int[] indices = fields.Integers(info.Name);
                float[] values = file.Contains(name + ValuesSuffix) ? fields.Floats(name + ValuesSuffix) : [];
                if (indices.Length != values.Length || !Ascending(indices) || (indices.Length > 0 && indices[0] < 0))
                {
                    throw new InvalidDataException(
                        $"{source}: '{name}' must have ascending indices from 0 on and as many values; it has {indices.Length} and "
                            + $"{values.Length}."
                    );
                }

                parts.Add(new(name, indices, values));
            }
            else if (info.Name.StartsWith(HeadPrefix, StringComparison.Ordinal))
            {
                head.Add(info.Name[HeadPrefix.Length..], new(info.Shape, fields.Floats(info.Name)));
            }
            else if (
                !info.Name.EndsWith(ValuesSuffix, StringComparison.Ordinal)
                || !file.Contains(info.Name[..^ValuesSuffix.Length] + IndicesSuffix)
            )
            {
                throw new InvalidDataException($"{source} holds the tensor '{info.Name}', which is no part of a graft.");
            }
        }

        return new()
        {
            BaseFingerprint = fields.Text("base_fingerprint"),
            Settings = settings,
            Task = metadata.GetValueOrDefault("task", ""),
            Sparsity = fields.Number("sparsity", 0, 1),
            ConsideredCount = fields.Whole("considered"),
            Metrics = metadata
                .Where(pair => pair.Key.StartsWith("metric.", StringComparison.Ordinal))
                .ToDictionary(pair => pair.Key["metric.".Length..], pair => fields.Number(pair.Key), StringComparer.Ordinal),
            Parts = parts,
            HeadParameters = head,
            Outside = version == VersionOfZeros ? GraftOutside.Zero : GraftOutside.PreTrained,
            Considered = version == VersionOfZeros ? fields.Text(ConsideredKey).Split('\n', StringSplitOptions.RemoveEmptyEntries) : [],
        };
    }

    private static bool Ascending(int[] indices)
    {
        for (int i = 1; i < indices.Length; i++)
        {
            if (indices[i] <= indices[i - 1])
            {
                return false;
            }
        }

        return true;
    }

    private IEnumerable<(string Name, Tensor Value)> Tensors()
    {
        foreach (GraftPart part in Parts)
        {
            yield return (part.Name + IndicesSuffix, tensor(part.Indices));
            yield return (part.Name + ValuesSuffix, tensor(part.Values));
        }

        foreach ((string name, (long[] shape, float[] values)) in HeadParameters)
        {
            yield return (HeadPrefix + name, tensor(values).view(shape));
        }
    }

    private Dictionary<string, string> Metadata()
    {
        var metadata = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["format"] = FileFormat,
            ["version"] = Outside == GraftOutside.Zero ? VersionOfZeros : Version,
            ["base_fingerprint"] = BaseFingerprint,
            ["task"] = Task,
            ["settings"] = Settings,
            ["sparsity"] = Sparsity.ToString("R", CultureInfo.InvariantCulture),
            ["considered"] = ConsideredCount.ToString(CultureInfo.InvariantCulture),
        };
        if (Outside == GraftOutside.Zero)
        {
            metadata[ConsideredKey] = string.Join('\n', Considered);
        }

        foreach ((string name, double value) in Metrics)
        {
            metadata["metric." + name] = value.ToString("R", CultureInfo.InvariantCulture);
        }

        return metadata;
    }

    /// <summary>The bytes of the graft's file.</summary>
    internal byte[] ToBytes()
    {
        using var file = new MemoryStream();
        Save(file);
        return file.ToArray();
    }

    /// <summary>The SHA-256 of the graft's file, hexadecimal.</summary>
    internal string Fingerprint() => Convert.ToHexStringLower(SHA256.HashData(ToBytes()));
}
