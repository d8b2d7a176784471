using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tuning;

/// <summary>
/// The weights of a parameter-efficient tuning method without the base model: one safetensors file with the tuned tensors, the method and
/// the fingerprint of the base model.
/// </summary>
public sealed class TunedWeights
{
    /// <summary>The value of <c>format</c> in the metadata of such a file.</summary>
    public const string FileFormat = "skillloc-tuned";

    private const string Version = "1";

    /// <summary>The fingerprint (<see cref="CheckpointFingerprint"/>) of the weights that were not tuned, the only base that these
    /// fit.</summary>
    public required string BaseFingerprint { get; init; }

    /// <summary>The method and its options.</summary>
    public required TuningOptions Options { get; init; }

    /// <summary>Classifier settings as JSON, from which a scorer can be restored; empty without them.</summary>
    public string Settings { get; init; } = "";

    /// <summary>The tuned tensors by name, a trained classification head's included, in row-major order.</summary>
    public required IReadOnlyDictionary<string, TensorValues> Tensors { get; init; }

    /// <summary>Number of tuned scalars.</summary>
    public long Count => Tensors.Values.Sum(tensor => (long)tensor.Values.Length);

    /// <summary>Writes one safetensors file.</summary>
    /// <param name="path">The file; an existing file is replaced once the new one is complete.</param>
    /// <exception cref="IOException">It could not be written; an existing file is unchanged.</exception>
    public void Save(string path) => AtomicFile.Write(path, Save);

    /// <summary>Writes the file to a stream.</summary>
    /// <param name="stream">A writable stream.</param>
    public void Save(Stream stream)
    {
        using DisposeScope scope = NewDisposeScope();
        SafetensorsWriter.Write(
            stream,
            Tensors.Select(pair => (pair.Key, tensor(pair.Value.Values).view(pair.Value.Shape))),
            new Dictionary<string, string>(StringComparer.Ordinal)
            {
                ["format"] = FileFormat,
                ["version"] = Version,
                ["base_fingerprint"] = BaseFingerprint,
                ["tuning"] = Options.ToJson(),
                ["settings"] = Settings,
            }
        );
    }

    /// <summary>Reads a file that <see cref="Save(string)"/> wrote.</summary>
    /// <param name="path">The file.</param>
    /// <returns>The weights.</returns>
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="InvalidDataException">The file is damaged, or holds something else.</exception>
    public static TunedWeights Load(string path)
    {
        using var file = SafetensorsFile.Open(path);
        return Read(file, path);
    }

    /// <summary>Reads the bytes of such a file.</summary>
    /// <param name="bytes">The bytes.</param>
    /// <param name="source">Its name in error messages.</param>
    /// <returns>The weights.</returns>
    /// <exception cref="InvalidDataException">The bytes are damaged, or hold something else.</exception>
    public static TunedWeights Load(byte[] bytes, string source)
    {
        using var file = SafetensorsFile.FromBytes(bytes, source);
        return Read(file, source);
    }

    /// <summary>Throws unless a tensor is as a classifier has it; null for one that it lacks.</summary>
    /// <exception cref="InvalidDataException">It is not.</exception>
    internal void CheckShape(string name, long[]? shape)
    {
        string wanted = Describe(shape),
            given = Describe(Tensors.TryGetValue(name, out TensorValues? value) ? value.Shape : null);
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
            throw new InvalidDataException(
                $"{source} holds tuned weights of format version {version}; this program reads version {Version}."
            );
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
            Tensors = new OrderedDictionary<string, TensorValues>(
                file.Tensors.Select(info => KeyValuePair.Create(info.Name, new TensorValues(info.Shape, fields.Floats(info.Name)))),
                StringComparer.Ordinal
            ),
        };
    }
}
