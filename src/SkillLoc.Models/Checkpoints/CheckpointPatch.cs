using SkillLoc.Models.NativeCalls;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Checkpoints;

/// <summary>The difference between a checkpoint and the one it was trained from, small enough to be shipped where the other can be had:
/// changed matrices as int8 steps from the old values, everything else that changed or is new as float16.</summary>
/// <remarks>
/// A file in the safetensors format. A matrix <c>W</c> is stored as <c>W.steps</c> (int8, its shape) and <c>W.step</c> (float32, one a
/// row): the new value is the old one plus steps times step, and is off by half a step, 1/254 of the row's greatest change, at most. The
/// metadata have the fingerprint (<see cref="CheckpointFingerprint"/>) of the old values of all matrices stored so.
/// </remarks>
public static class CheckpointPatch
{
    private const string FormatKey = "format";
    private const string Format = "skillloc-patch-1";
    private const string BasisKey = "basis";
    private const string StepsSuffix = ".steps";
    private const string StepSuffix = ".step";
    private const double Most = 127;

    // A row that did not change has no step.
    private const double SmallestStep = 1e-30;

    /// <summary>Writes the difference between two sets of weights.</summary>
    /// <param name="path">The file, which is replaced once the new one is complete.</param>
    /// <param name="basis">The weights before.</param>
    /// <param name="tuned">The weights after, float32; what the old ones have beside them is left away.</param>
    /// <param name="notes">Free-form metadata, for example what the training was; null for none.</param>
    /// <exception cref="ArgumentException">A tensor has another shape than before.</exception>
    /// <exception cref="IOException">The file could not be written; an existing one is unchanged.</exception>
    public static void Write(
        string path,
        IEnumerable<(string Name, Tensor Value)> basis,
        IEnumerable<(string Name, Tensor Value)> tuned,
        IReadOnlyDictionary<string, string>? notes = null
    )
    {
        ArgumentNullException.ThrowIfNull(basis);
        ArgumentNullException.ThrowIfNull(tuned);
        var before = basis.ToDictionary(tensor => tensor.Name, tensor => tensor.Value, StringComparer.Ordinal);
        using IDisposable noGradients = no_grad();
        using DisposeScope scope = NewDisposeScope();
        List<(string Name, Tensor Value)> stored = [],
            changed = [];
        foreach ((string name, Tensor value) in tuned)
        {
            if (!before.TryGetValue(name, out Tensor? old))
            {
                stored.Add((name, value.to(ScalarType.Float16)));
                continue;
            }

            if (!old.shape.SequenceEqual(value.shape))
            {
                throw new ArgumentException(
                    $"'{name}' is of shape [{string.Join(", ", value.shape)}] and was of [{string.Join(", ", old.shape)}] before.",
                    nameof(tuned)
                );
            }

            if (value.Equals(old))
            {
                continue;
            }

            if (value.dim() != 2)
            {
                stored.Add((name, value.to(ScalarType.Float16)));
                continue;
            }

            Tensor difference = value.detach().clone().Add_(old, alpha: -1);
            Tensor step = difference.abs().amax([1L], keepdim: true).Mul(1 / Most);
            Tensor steps = difference.div(step.clone().ClampMin_(SmallestStep)).round().to(ScalarType.Int8);
            stored.Add((name + StepsSuffix, steps));
            stored.Add((name + StepSuffix, step));
            changed.Add((name, old));
        }

        var metadata = new Dictionary<string, string>(
            notes ?? new Dictionary<string, string>(StringComparer.Ordinal),
            StringComparer.Ordinal
        )
        {
            [FormatKey] = Format,
            [BasisKey] = CheckpointFingerprint.Compute(changed),
        };
        SafetensorsWriter.Write(path, stored, metadata);
    }

    /// <summary>Returns the weights after, of a difference and the weights before.</summary>
    /// <param name="patch">The opened file.</param>
    /// <param name="basis">The weights before.</param>
    /// <returns>All weights, float32: those of the basis in its order, then the new ones. The caller owns them.</returns>
    /// <exception cref="InvalidDataException">The file is no difference, or one from other weights.</exception>
    public static IReadOnlyList<(string Name, Tensor Value)> Apply(SafetensorsFile patch, IEnumerable<(string Name, Tensor Value)> basis)
    {
        ArgumentNullException.ThrowIfNull(patch);
        ArgumentNullException.ThrowIfNull(basis);
        if (patch.Metadata.GetValueOrDefault(FormatKey) != Format || !patch.Metadata.TryGetValue(BasisKey, out string? expected))
        {
            throw new InvalidDataException(
                $"{patch.Path} is not a checkpoint's difference: its metadata should have {FormatKey} {Format} and {BasisKey}."
            );
        }

        (string Name, Tensor Value)[] before = [.. basis];
        string found = CheckpointFingerprint.Compute(before.Where(tensor => patch.Contains(tensor.Name + StepsSuffix)));
        if (found != expected)
        {
            throw new InvalidDataException(
                $"{patch.Path} is a difference from other weights than these (fingerprint {found}, expected {expected})."
            );
        }

        using IDisposable noGradients = no_grad();
        using DisposeScope scope = NewDisposeScope();
        List<(string Name, Tensor Value)> after = [];
        foreach ((string name, Tensor old) in before)
        {
            after.Add(
                (
                    name,
                    patch.Contains(name + StepsSuffix) ? Moved(name, old)
                    : patch.Contains(name) ? Read(name, old.shape, ScalarType.Float32)
                    : old.detach().to(ScalarType.Float32, copy: true)
                )
            );
        }

        HashSet<string> known =
        [
            .. before.SelectMany(tensor => new[] { tensor.Name, tensor.Name + StepsSuffix, tensor.Name + StepSuffix }),
        ];
        foreach (TensorInfo info in patch.Tensors.Where(info => !known.Contains(info.Name)))
        {
            after.Add((info.Name, patch.ReadFinite(info.Name, ScalarType.Float32)));
        }

        foreach ((_, Tensor value) in after)
        {
            value.MoveToOuterDisposeScope();
        }

        return after;

        Tensor Moved(string name, Tensor old) =>
            old.detach()
                .to(ScalarType.Float32, copy: true)
                .Addcmul_(
                    Read(name + StepsSuffix, old.shape, ScalarType.Float32),
                    Read(name + StepSuffix, [old.shape[0], 1], ScalarType.Float32)
                );

        Tensor Read(string name, long[] shape, ScalarType type)
        {
            Tensor value = patch.ReadFinite(name, type);
            return value.shape.SequenceEqual(shape)
                ? value
                : throw new InvalidDataException(
                    $"{patch.Path}: '{name}' is of shape [{string.Join(", ", value.shape)}], where [{string.Join(", ", shape)}] is right."
                );
        }
    }
}
