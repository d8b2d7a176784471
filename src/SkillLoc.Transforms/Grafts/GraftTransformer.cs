using SkillLoc.Models.Classification;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Hub;

namespace SkillLoc.Transforms;

/// <summary>Scores text with a pre-trained model and a graft. In a saved ML.NET model, it takes a few kilobytes.</summary>
public sealed class GraftTransformer : TextScoringTransformer
{
    /// <summary>Creates a transformer from a classifier with the base weights and the graft applied.</summary>
    /// <param name="classifier">The classifier; disposed with the transformer.</param>
    /// <param name="columns">The columns to read and add.</param>
    /// <param name="graft">The graft.</param>
    /// <param name="baseCheckpoint">The base checkpoint folder, which saved models refer to.</param>
    /// <param name="baseGrafts">Other grafts applied to the base.</param>
    public GraftTransformer(
        TextClassifier classifier,
        ScoringColumns columns,
        Graft graft,
        string baseCheckpoint,
        IReadOnlyList<Graft>? baseGrafts = null
    )
        : base(classifier, columns, baseCheckpoint: baseCheckpoint)
    {
        ArgumentNullException.ThrowIfNull(graft);
        ArgumentException.ThrowIfNullOrEmpty(baseCheckpoint);
        Graft = graft;
        BaseGrafts = baseGrafts ?? [];
        BasesInUse.Add(this, baseCheckpoint, transformer => transformer.IsDisposed);
    }

    /// <summary>The graft with its indices, values and metrics.</summary>
    public Graft Graft { get; }

    /// <summary>Other grafts applied to the base, in order of application.</summary>
    public IReadOnlyList<Graft> BaseGrafts { get; }

    /// <summary>Writes the graft as one safetensors file.</summary>
    /// <param name="path">The file; an existing file is replaced once the new one is complete.</param>
    public void SaveGraft(string path) => Graft.Save(path);

    /// <summary>Loads a graft onto its base.</summary>
    /// <param name="graft">The graft.</param>
    /// <param name="baseCheckpoint">The base checkpoint folder.</param>
    /// <param name="columns">The columns to read and add; by default Text (and TextPair), PredictedLabel and Score.</param>
    /// <param name="device">The device of the weights; the CPU by default.</param>
    /// <param name="baseGrafts">Grafts to apply first, such as those of <see cref="BaseGrafts"/>.</param>
    /// <param name="shareWeightsWith">A model whose storage is shared by equal base parameters that no graft changes.</param>
    /// <returns>The transformer; the caller disposes it.</returns>
    /// <exception cref="InvalidDataException">The graft was made for another base, or has no task.</exception>
    public static GraftTransformer Create(
        Graft graft,
        string baseCheckpoint,
        ScoringColumns? columns = null,
        TorchSharp.torch.Device? device = null,
        IReadOnlyList<Graft>? baseGrafts = null,
        TextScoringTransformer? shareWeightsWith = null
    )
    {
        ArgumentNullException.ThrowIfNull(graft);
        if (graft.Settings.Length == 0)
        {
            throw new InvalidDataException("The graft carries no task: its metadata lacks 'settings'.");
        }

        var settings = ClassifierSettings.FromJson(graft.Settings, "the graft's metadata, 'settings'");
        baseCheckpoint = CheckpointHub.Locate(baseCheckpoint).Reference;
        HashSet<string> changed = [.. (baseGrafts ?? []).Append(graft).SelectMany(each => each.Changed)];
        var classifier = TextClassifier.Create(
            baseCheckpoint,
            settings,
            device,
            shareWeightsWith: shareWeightsWith?.Classifier,
            canShare: name => !changed.Contains(name)
        );
        try
        {
            Apply(classifier, graft, baseGrafts ?? []);
            columns ??= new ScoringColumns { TextPair = settings.HasTextPair ? "TextPair" : null };
            return new(classifier, columns, graft, baseCheckpoint, baseGrafts);
        }
        catch
        {
            classifier.Dispose();
            throw;
        }
    }

    /// <summary>The base on the same device, with the earlier grafts and this one's head, but without its coordinates.</summary>
    /// <returns>The transformer; the caller disposes it.</returns>
    internal GraftTransformer WithoutGraft() =>
        Create(Graft.Restrict(_ => false), BaseCheckpoint!, Columns, Classifier.Backbone.Device, BaseGrafts);

    /// <summary>Applies earlier grafts and then one with its head to a base; all were made for this base.</summary>
    internal static void Apply(TextClassifier classifier, Graft graft, IEnumerable<Graft> baseGrafts)
    {
        string fingerprint = classifier.Backbone.Fingerprint();
        foreach (Graft earlier in baseGrafts)
        {
            earlier.MergeInto(classifier.Backbone, fingerprint);
        }

        classifier.Apply(graft, fingerprint);
    }

    /// <inheritdoc/>
    private protected override SavedScorer State() =>
        new()
        {
            Folder = CheckpointHub.Reference(BaseCheckpoint!),
            Fingerprint = Graft.BaseFingerprint,
            Settings = Classifier.Settings,
            Graft = SavedScorer.Pack(Graft),
            BaseGrafts = [.. BaseGrafts.Select(SavedScorer.Pack)],
            Precision = Precision,
            Gpu = OnGpu,
        };

    /// <inheritdoc/>
    private protected override SavedScorer State(PackedCheckpoints packed) => State() with { Content = packed.Add(BaseCheckpoint!) };
}
