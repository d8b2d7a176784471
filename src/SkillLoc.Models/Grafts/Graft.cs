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
public sealed partial class Graft
{
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
    public IReadOnlyDictionary<string, TensorValues> HeadParameters { get; init; } =
        new Dictionary<string, TensorValues>(StringComparer.Ordinal);

    /// <summary>The values of the <see cref="Considered"/> parameters outside the graft.</summary>
    public GraftOutside Outside { get; init; }

    /// <summary>Names of the parameters that are zero outside the graft; empty when values outside are pre-trained.</summary>
    public IReadOnlyList<string> Considered { get; init; } = [];

    /// <summary>Number of scalars in the graft.</summary>
    public long Count => Parts.Sum(part => (long)part.Indices.Length);

    /// <summary><see cref="Count"/> as a share of <see cref="ConsideredCount"/>.</summary>
    public double Share => ConsideredCount == 0 ? 0 : (double)Count / ConsideredCount;

    /// <summary>Applies the graft to a base model in place until the returned switch is disposed, which gives the model its own values
    /// back.</summary>
    /// <param name="model">The base model, without any graft; it must outlive the switch.</param>
    /// <param name="fingerprint">The model's fingerprint, if known; null computes it, which reads every weight.</param>
    /// <returns>The switch, with the graft applied; it can also remove the graft and apply it again.</returns>
    /// <exception cref="InvalidDataException">The graft was made for another base model, or its shapes differ.</exception>
    public GraftSwitch Apply(LanguageModel model, string? fingerprint = null)
    {
        GraftSwitch change = Prepare(model, fingerprint);
        change.Apply();
        return change;
    }

    /// <summary>Prepares a switch that applies and removes the graft, without changing the model yet.</summary>
    /// <param name="model">The base model, without any graft; it must outlive the switch.</param>
    /// <param name="fingerprint">The model's fingerprint, if known; null computes it, which reads every weight.</param>
    /// <returns>The switch; the caller disposes it.</returns>
    /// <exception cref="InvalidDataException">The graft was made for another base model, or its shapes differ.</exception>
    public GraftSwitch Prepare(LanguageModel model, string? fingerprint = null) => new(model, this, fingerprint);

    /// <summary>
    /// Writes the graft into a base model for good, in place: sets the fine-tuned values and, with zeros outside, clears the other
    /// considered scalars. Use <see cref="Apply"/> to undo it later.
    /// </summary>
    /// <param name="model">The base model.</param>
    /// <param name="fingerprint">The model's fingerprint, if known; null computes it, which reads every weight.</param>
    /// <exception cref="InvalidDataException">The graft was made for another base model, or its shapes differ.</exception>
    public void MergeInto(LanguageModel model, string? fingerprint = null)
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
            HeadParameters = classifier.Head.Values(),
            Outside = Outside,
            Considered = Considered,
        };

        static float[] At(Tensor weight, int[] indices) =>
            TensorValues.Floats(
                weight.detach().view(-1).index_select(0, tensor(Array.ConvertAll(indices, i => (long)i), device: weight.device))
            );
    }

    /// <summary>The parameters that applying the graft sets to zero first.</summary>
    internal IEnumerable<string> Zeroed => Outside == GraftOutside.Zero ? Considered : [];

    /// <summary>The names of the parameters that applying the graft changes.</summary>
    public IEnumerable<string> Changed => Parts.Select(part => part.Name).Concat(Zeroed).Distinct(StringComparer.Ordinal);

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
}

/// <summary>The values of considered parameters outside a graft's mask.</summary>
public enum GraftOutside
{
    /// <summary>Their pre-trained values.</summary>
    PreTrained,

    /// <summary>Zero, as in lottery tickets (the paper's baseline; methods, A.13).</summary>
    Zero,
}
