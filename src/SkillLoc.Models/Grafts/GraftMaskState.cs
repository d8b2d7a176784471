using System.Globalization;
using SkillLoc.Models.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Grafts;

/// <summary>
/// Saved state of a mask's training, from which it can be resumed: the base patch and scores of the mask itself, and the fields below
/// (methods, A.12). Stored as one safetensors file, which is large: it has one score per considered scalar.
/// </summary>
internal sealed class GraftMaskState
{
    private const string Format = "skillloc-graft-mask";
    private const string Version = "1";
    private const string ScoresSuffix = ".scores";
    private const string BaseSuffix = ".base";
    private const string BestSuffix = ".best";
    private const string IdentityPrefix = "identity.";
    private const string MetricPrefix = "metric.";

    /// <summary>Fingerprints of everything the training depends on (models, options, data), by name.</summary>
    public required IReadOnlyDictionary<string, string> Identity { get; init; }

    /// <summary>The seed of the training, taken over on resuming when the options name none; null if unknown.</summary>
    public int? Seed { get; init; }

    /// <summary>Number of completed epochs.</summary>
    public required int Epoch { get; init; }

    /// <summary>The selection criterion of the latest rounded mask.</summary>
    public required double Score { get; init; }

    /// <summary>The selection criterion of the best rounded mask.</summary>
    public required double BestScore { get; init; }

    /// <summary>The best rounded mask so far.</summary>
    public required IReadOnlyList<GraftPart> Best { get; init; }

    /// <summary>Metrics of the best mask, by name.</summary>
    public required IReadOnlyDictionary<string, double> Metrics { get; init; }

    /// <summary>Writes the state together with a mask's base patch and scores.</summary>
    /// <param name="path">The file; an existing file is replaced once the new one is complete.</param>
    /// <param name="mask">The mask.</param>
    /// <exception cref="IOException">It could not be written; an existing file is unchanged.</exception>
    public void Save(string path, GraftMask mask)
    {
        ArgumentNullException.ThrowIfNull(mask);
        var metadata = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["format"] = Format,
            ["version"] = Version,
            ["epoch"] = Epoch.ToString(CultureInfo.InvariantCulture),
            ["score"] = Text(Score),
            ["best_score"] = Text(BestScore),
        };
        if (Seed is { } seed)
        {
            metadata["seed"] = seed.ToString(CultureInfo.InvariantCulture);
        }

        foreach ((string of, string fingerprint) in Identity)
        {
            metadata[IdentityPrefix + of] = fingerprint;
        }

        foreach ((string name, double value) in Metrics)
        {
            metadata[MetricPrefix + name] = Text(value);
        }

        using DisposeScope scope = NewDisposeScope();
        SafetensorsWriter.Write(path, Tensors(mask), metadata);

        static string Text(double value) => value.ToString("R", CultureInfo.InvariantCulture);
    }

    /// <summary>Reads only the seed of a saved state.</summary>
    /// <param name="path">The file.</param>
    /// <returns>The seed; null if the file has none.</returns>
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="InvalidDataException">The file is damaged.</exception>
    public static int? SeedOf(string path)
    {
        using var file = SafetensorsFile.Open(path);
        return SeedOf(file.Metadata);
    }

    /// <summary>Reads a state and restores the base patch and scores of a mask.</summary>
    /// <param name="path">The file.</param>
    /// <param name="mask">A mask over the same models and parameters as the one that was saved.</param>
    /// <param name="identity">The expected <see cref="Identity"/>.</param>
    /// <returns>The state.</returns>
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="InvalidDataException">The file is damaged, is not a saved state, or its identity differs; the message names what
    /// differs and both fingerprints.</exception>
    public static GraftMaskState Load(string path, GraftMask mask, IReadOnlyDictionary<string, string> identity)
    {
        ArgumentNullException.ThrowIfNull(mask);
        ArgumentNullException.ThrowIfNull(identity);
        using var file = SafetensorsFile.Open(path);
        IReadOnlyDictionary<string, string> metadata = file.Metadata;
        if (metadata.GetValueOrDefault("format") != Format || metadata.GetValueOrDefault("version") != Version)
        {
            throw new InvalidDataException(
                $"{path} is no mask-training state of version {Version}: its metadata must say format '{Format}'."
            );
        }

        foreach ((string of, string fingerprint) in identity)
        {
            string found = metadata.GetValueOrDefault(IdentityPrefix + of, "none");
            if (found != fingerprint)
            {
                throw new InvalidDataException(
                    $"{path} is the state of another mask training: its {of} have the fingerprint {found}, and these have {fingerprint}. "
                        + "Train with what it was made with, or delete it to start anew."
                );
            }
        }

        var fields = new MetadataFields(file, path);
        var best = new List<GraftPart>();
        foreach (string name in mask.Names)
        {
            using DisposeScope scope = NewDisposeScope();
            if (!file.Contains(name + ScoresSuffix))
            {
                throw new InvalidDataException($"{path} lacks the scores of '{name}'.");
            }

            TensorInfo scores = file.InfoOf(name + ScoresSuffix)!;
            if (!ElementTypes.IsFloatingPoint(scores.Dtype))
            {
                throw new InvalidDataException($"{path}: tensor '{scores.Name}' is {scores.Dtype}; it must hold floating-point numbers.");
            }

            mask.Restore(path, name, file.ReadFinite(scores.Name), file.Contains(name + BaseSuffix) ? Places(name, BaseSuffix) : null);
            if (file.Contains(name + BestSuffix))
            {
                best.Add(mask.Part(name, Places(name, BestSuffix)));
            }
        }

        return new()
        {
            Identity = identity,
            Seed = SeedOf(metadata),
            Epoch = (int)fields.Whole("epoch", 0, int.MaxValue),
            Score = fields.Number("score"),
            BestScore = fields.Number("best_score"),
            Best = best,
            Metrics = metadata
                .Where(pair => pair.Key.StartsWith(MetricPrefix, StringComparison.Ordinal))
                .ToDictionary(pair => pair.Key[MetricPrefix.Length..], pair => fields.Number(pair.Key), StringComparer.Ordinal),
        };

        // Flat indices, ascending and within the parameter.
        Tensor Places(string name, string suffix)
        {
            TensorInfo info = file.InfoOf(name + suffix)!;
            if (info.Dtype is not (ScalarType.Int32 or ScalarType.Int64) || info.Shape.Length != 1)
            {
                throw new InvalidDataException(
                    $"{path}: tensor '{info.Name}' is {info.Dtype} of the shape [{string.Join(", ", info.Shape)}]; it must hold "
                        + "integers in one dimension."
                );
            }

            Tensor places = file.Read(info.Name, ScalarType.Int64);
            long[] indices = places.data<long>().ToArray();
            long count = mask.CountOf(name);
            for (int i = 0; i < indices.Length; i++)
            {
                if (indices[i] >= count || indices[i] < 0 || (i > 0 && indices[i] <= indices[i - 1]))
                {
                    throw new InvalidDataException(
                        $"{path}: tensor '{info.Name}' must hold ascending places in the {count} scalars of '{name}'; it has "
                            + $"{indices[i]} at {i}."
                    );
                }
            }

            return places;
        }
    }

    private static int? SeedOf(IReadOnlyDictionary<string, string> metadata) =>
        int.TryParse(metadata.GetValueOrDefault("seed"), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int seed)
            ? seed
            : null;

    private IEnumerable<(string Name, Tensor Value)> Tensors(GraftMask mask)
    {
        foreach ((string name, Tensor scores, Tensor? basePatch) in mask.Variables)
        {
            yield return (name + ScoresSuffix, scores);
            if (basePatch is not null)
            {
                yield return (name + BaseSuffix, basePatch);
            }
        }

        foreach (GraftPart part in Best)
        {
            yield return (part.Name + BestSuffix, tensor(part.Indices));
        }
    }
}
