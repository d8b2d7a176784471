using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tuning;

/// <summary>
/// What a parameter-efficient tuning method learnt, without the base model: one safetensors file of the tuned tensors, whole, that says
/// by which method and for which base model they are.
/// </summary>
public sealed class TunedWeights
{
    /// <summary>What the metadata of such a file has as its <c>format</c>.</summary>
    public const string FileFormat = "skillloc-tuned";

    private const string Version = "1";

    /// <summary>The identity of the weights that tuning left alone (<see cref="CheckpointFingerprint"/>); the tuned ones fit no others.</summary>
    public required string BaseFingerprint { get; init; }

    /// <summary>The method and its options.</summary>
    public required TuningOptions Options { get; init; }

    /// <summary>What to restore a classifier from, as JSON; empty when the weights stand alone.</summary>
    public string Settings { get; init; } = "";

    /// <summary>The tuned tensors by name, a trained classification head's included, in row-major order.</summary>
    public required IReadOnlyDictionary<string, (long[] Shape, float[] Values)> Tensors { get; init; }

    /// <summary>Number of tuned scalars.</summary>
    public long Count => Tensors.Values.Sum(tensor => (long)tensor.Values.Length);

    /// <summary>Writes one safetensors file.</summary>
    /// <param name="path">The file; an older one is replaced when the new one is complete.</param>
    /// <exception cref="IOException">It could not be written; what was there is untouched.</exception>
    public void Save(string path) => AtomicFile.Write(path, Save);

    /// <summary>Writes the same to a stream.</summary>
    /// <param name="stream">Where to.</param>
    public void Save(Stream stream)
    {
        using var scope = NewDisposeScope();
        SafetensorsWriter.Write(
            stream, Tensors.Select(pair => (pair.Key, tensor(pair.Value.Values).view(pair.Value.Shape))), new Dictionary<string, string>(StringComparer.Ordinal)
            {
                ["format"] = FileFormat,
                ["version"] = Version,
                ["base_fingerprint"] = BaseFingerprint,
                ["tuning"] = Options.ToJson(),
                ["settings"] = Settings,
            });
    }

    /// <summary>Reads what <see cref="Save(string)"/> wrote.</summary>
    /// <param name="path">The file.</param>
    /// <returns>The weights.</returns>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">The file is damaged, or holds something else.</exception>
    public static TunedWeights Load(string path)
    {
        using SafetensorsFile file = SafetensorsFile.Open(path);
        return Read(file, path);
    }

    /// <summary>Reads the bytes of such a file.</summary>
    /// <param name="bytes">The bytes.</param>
    /// <param name="source">Where they came from, for error messages.</param>
    /// <returns>The weights.</returns>
    /// <exception cref="InvalidDataException">The bytes are damaged, or hold something else.</exception>
    public static TunedWeights Load(byte[] bytes, string source)
    {
        using SafetensorsFile file = SafetensorsFile.FromBytes(bytes, source);
        return Read(file, source);
    }

    /// <summary>Throws unless a tensor is as a classifier has it; null for one that it lacks.</summary>
    /// <exception cref="InvalidDataException">It is not.</exception>
    internal void CheckShape(string name, long[]? shape)
    {
        string wanted = Describe(shape), given = Describe(Tensors.TryGetValue(name, out (long[] Shape, float[] Values) value) ? value.Shape : null);
        if (wanted != given)
        {
            throw new InvalidDataException($"Of '{name}' the tuned weights have {given}, and this classifier has {wanted}.");
        }

        static string Describe(long[]? shape) => shape is null ? "no such tensor" : $"shape [{string.Join(", ", shape)}]";
    }

    private static TunedWeights Read(SafetensorsFile file, string source)
    {
        if (file.Metadata.GetValueOrDefault("format") != FileFormat)
        {
            throw new InvalidDataException($"{source} holds no tuned weights: its metadata must say format '{FileFormat}'.");
        }

        var fields = new MetadataFields(file, source);
        if (fields.Text("version") is var version && version != Version)
        {
            throw new InvalidDataException($"{source} holds tuned weights of format version {version}; this program reads version {Version}.");
        }

        string settings = file.Metadata.GetValueOrDefault("settings", "");
        if (settings.Length > 0)
        {
            ClassifierSettings.FromJson(settings, $"{source}, the metadata's 'settings'");
        }

        return new()
        {
            BaseFingerprint = fields.Text("base_fingerprint"),
            Options = TuningOptions.FromJson(fields.Text("tuning"), $"{source}, the metadata's 'tuning'"),
            Settings = settings,
            Tensors = new OrderedDictionary<string, (long[] Shape, float[] Values)>(
                file.Tensors.Select(info => KeyValuePair.Create(info.Name, (info.Shape, fields.Floats(info.Name)))), StringComparer.Ordinal),
        };
    }
}
