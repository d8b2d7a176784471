using System.Globalization;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Models.Grafts;

/// <summary>
/// A localised skill: the few parameters whose fine-tuned values, put into the pre-trained model, keep the skill (Panigrahi et al.
/// 2023). One safetensors file holds, for each parameter it touches, flat indices and values, and says which base model it is for.
/// </summary>
public sealed class Graft
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

    /// <summary>The fingerprint (<see cref="LanguageModel.Fingerprint"/>) of the base model, the only one that the graft can be applied
    /// to.</summary>
    public required string BaseFingerprint { get; init; }

    /// <summary>Classifier settings as JSON, from which a scorer can be restored; empty for a graft without them.</summary>
    public string Settings { get; init; } = "";

    /// <summary>Display name of the task.</summary>
    public string Task { get; init; } = "";

    /// <summary>The base patch's sparsity, as a share of <see cref="ConsideredCount"/>.</summary>
    public double Sparsity { get; init; }

    /// <summary>N, the number of scalars that the graft could have used.</summary>
    public long ConsideredCount { get; init; }

    /// <summary>Metrics measured when the graft was found, by name.</summary>
    public IReadOnlyDictionary<string, double> Metrics { get; init; } = new Dictionary<string, double>(StringComparer.Ordinal);

    /// <summary>The indices and fine-tuned values of each parameter.</summary>
    public required IReadOnlyList<GraftPart> Parts { get; init; }

    /// <summary>All parameters of the trained classification head; empty in prompt mode.</summary>
    public IReadOnlyDictionary<string, (long[] Shape, float[] Values)> HeadParameters { get; init; } =
        new Dictionary<string, (long[] Shape, float[] Values)>(StringComparer.Ordinal);

    /// <summary>The values of the <see cref="Considered"/> parameters outside the graft.</summary>
    public GraftOutside Outside { get; init; }

    /// <summary>Names of the parameters that are zero outside the graft; empty when values outside are pre-trained.</summary>
    public IReadOnlyList<string> Considered { get; init; } = [];

    /// <summary>Number of scalars in the graft.</summary>
    public long Count => Parts.Sum(part => (long)part.Indices.Length);

    /// <summary><see cref="Count"/> as a share of <see cref="ConsideredCount"/>.</summary>
    public double Share => ConsideredCount == 0 ? 0 : (double)Count / ConsideredCount;

    /// <summary>Number of the graft's scalars in each layer and kind of parameter.</summary>
    /// <returns>Counts by place, in the model's order.</returns>
    public IReadOnlyList<(ParameterPlace Place, long Count)> Spread() =>
        [.. Parts.Select(part => (ParameterPlace.Of(part.Name), (long)part.Indices.Length))];

    /// <summary>
    /// Applies the graft to a base model in place: sets the fine-tuned values and, with zeros outside, clears the other considered scalars.
    /// To undo it, or to change between grafts, use a <see cref="GraftSwitch"/>.
    /// </summary>
    /// <param name="model">The base model.</param>
    /// <param name="fingerprint">The model's fingerprint, if known; null computes it, which reads every weight.</param>
    /// <exception cref="InvalidDataException">The graft was made for another base model, or its shapes differ.</exception>
    public void ApplyTo(LanguageModel model, string? fingerprint = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        Check(model, fingerprint);
        using IDisposable noGradients = no_grad();
        foreach (string name in Zeroed)
        {
            // Tensor.zero_ would give a second tensor of the same storage, which is left behind.
            nn.init.zeros_(model.Parameters[name]);
        }

        foreach (GraftPart part in Parts)
        {
            using DisposeScope scope = NewDisposeScope();
            Parameter weight = model.Parameters[part.Name];
            Tensor indices = tensor(Array.ConvertAll(part.Indices, i => (long)i), device: weight.device);
            Tensor values = tensor(part.Values).to(weight.dtype, weight.device);
            weight.view(-1).index_copy_(0, indices, values);
        }
    }

    /// <summary>
    /// Returns a graft with the same coordinates and the values, head and task of a classifier. Use it to extract the graft from a model
    /// that was trained on these coordinates only: a union that was purified by a few steps (Panigrahi et al. 2023; methods, A.13), or a
    /// region that was trained from scratch. Applied to the base, it reproduces the trained model.
    /// </summary>
    /// <param name="classifier">A classifier of the base model's architecture.</param>
    /// <returns>The graft, without metrics.</returns>
    /// <exception cref="InvalidDataException">The classifier's shapes differ.</exception>
    public Graft WithValuesOf(TextClassifier classifier)
    {
        ArgumentNullException.ThrowIfNull(classifier);
        Check(classifier.Backbone, BaseFingerprint);
        using DisposeScope scope = NewDisposeScope();
        return new()
        {
            BaseFingerprint = BaseFingerprint,
            Settings = classifier.Settings.ToJson(),
            Task = classifier.Settings.Task,
            Sparsity = Sparsity,
            ConsideredCount = ConsideredCount,
            Parts = [.. Parts.Select(part => part with { Values = At(classifier.Backbone.Parameters[part.Name], part.Indices) })],
            HeadParameters = classifier.Head.Parameters.ToDictionary(
                pair => pair.Key,
                pair => (pair.Value.shape, Floats(pair.Value)),
                StringComparer.Ordinal
            ),
            Outside = Outside,
            Considered = Considered,
        };

        static float[] At(Tensor weight, int[] indices) =>
            Floats(weight.detach().view(-1).index_select(0, tensor(Array.ConvertAll(indices, i => (long)i), device: weight.device)));

        static float[] Floats(Tensor values) => values.detach().to(ScalarType.Float32).cpu().contiguous().data<float>().ToArray();
    }

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

    /// <summary>The parameters that applying the graft sets to zero first.</summary>
    internal IEnumerable<string> Zeroed => Outside == GraftOutside.Zero ? Considered : [];

    /// <summary>The names of the parameters that applying the graft changes.</summary>
    public IEnumerable<string> Changed => Parts.Select(part => part.Name).Concat(Zeroed).Distinct(StringComparer.Ordinal);

    /// <summary>Whether a file's metadata identify it as a graft.</summary>
    internal static bool IsGraft(SafetensorsFile file) => file.Metadata.GetValueOrDefault("format") == FileFormat;

    /// <exception cref="InvalidDataException">The graft was made for another base model, or its shapes differ.</exception>
    internal void Check(LanguageModel model, string? fingerprint)
    {
        fingerprint ??= model.Fingerprint();
        if (fingerprint != BaseFingerprint)
        {
            throw new InvalidDataException(
                $"This graft is for the base model with fingerprint {BaseFingerprint}, and the model given has {fingerprint}: "
                    + "load the checkpoint that the graft was made from."
            );
        }

        foreach (string name in Changed)
        {
            if (!model.Parameters.ContainsKey(name))
            {
                throw new InvalidDataException($"The graft changes '{name}', which the model does not have.");
            }
        }

        foreach (GraftPart part in Parts)
        {
            long count = model.Parameters[part.Name].numel();
            if (part.Indices.Length > 0 && (part.Indices[0] < 0 || part.Indices[^1] >= count))
            {
                throw new InvalidDataException($"The graft changes scalar {part.Indices[^1]} of '{part.Name}', which has {count} scalars.");
            }
        }
    }

    private static Graft Read(SafetensorsFile file, string source)
    {
        IReadOnlyDictionary<string, string> metadata = file.Metadata;
        if (!IsGraft(file))
        {
            throw new InvalidDataException($"{source} is no graft: its metadata must say format '{FileFormat}'.");
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
        var head = new Dictionary<string, (long[] Shape, float[] Values)>(StringComparer.Ordinal);
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
                head.Add(info.Name[HeadPrefix.Length..], (info.Shape, fields.Floats(info.Name)));
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
}

/// <summary>The part of a graft that lies in one parameter.</summary>
/// <param name="Name">The parameter's Hugging Face name.</param>
/// <param name="Indices">Row-major flat indices, ascending.</param>
/// <param name="Values">The fine-tuned values at those indices.</param>
public sealed record GraftPart(string Name, int[] Indices, float[] Values);

/// <summary>The values of considered parameters outside a graft's mask.</summary>
public enum GraftOutside
{
    /// <summary>Their pre-trained values.</summary>
    PreTrained,

    /// <summary>Zero, as in lottery tickets (the paper's baseline; methods, A.13).</summary>
    Zero,
}
