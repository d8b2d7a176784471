using SkillLoc.Models.Classification;
using SkillLoc.Models.Grafts;

namespace SkillLoc.Transforms;

/// <summary>Scores text with a pre-trained model that carries a graft. Inside an ML.NET model it takes a few kilobytes.</summary>
public sealed class GraftTransformer : TextScoringTransformer
{
    /// <summary>Takes over a classifier that holds the base weights with the graft applied.</summary>
    /// <param name="classifier">The classifier; disposed with the transformer.</param>
    /// <param name="columns">The columns it reads and adds.</param>
    /// <param name="graft">The graft.</param>
    /// <param name="baseCheckpoint">The base checkpoint folder, which a saved model names.</param>
    /// <param name="baseGrafts">Grafts that the base carries beside this one.</param>
    public GraftTransformer(
        TextClassifier classifier, ScoringColumns columns, Graft graft, string baseCheckpoint, IReadOnlyList<Graft>? baseGrafts = null)
        : base(classifier, columns, baseCheckpoint: baseCheckpoint)
    {
        ArgumentNullException.ThrowIfNull(graft);
        ArgumentException.ThrowIfNullOrEmpty(baseCheckpoint);
        Graft = graft;
        BaseGrafts = baseGrafts ?? [];
        BasesInUse.Add(this, baseCheckpoint, transformer => transformer.IsDisposed);
    }

    /// <summary>The graft: indices, values, where they lie, and what was measured.</summary>
    public Graft Graft { get; }

    /// <summary>Grafts that the base carries beside this one, in the order in which they were put in.</summary>
    public IReadOnlyList<Graft> BaseGrafts { get; }

    /// <summary>Writes the graft as one safetensors file.</summary>
    /// <param name="path">The file; an older one is replaced when the new one is complete.</param>
    public void SaveGraft(string path) => Graft.Save(path);

    /// <summary>Loads a graft onto its base.</summary>
    /// <param name="graft">The graft.</param>
    /// <param name="baseCheckpoint">The base checkpoint folder.</param>
    /// <param name="columns">The columns it reads and adds; by default Text (and TextPair), PredictedLabel and Score.</param>
    /// <param name="device">Where the weights go; the CPU by default.</param>
    /// <param name="baseGrafts">Grafts that are put into the base first, such as those of <see cref="BaseGrafts"/>.</param>
    /// <param name="twin">A model whose storage is shared by base parameters that equal its own and that no graft changes.</param>
    /// <returns>The transformer; the caller disposes it.</returns>
    /// <exception cref="InvalidDataException">The graft is for another base, or carries no task.</exception>
    public static GraftTransformer Create(
        Graft graft, string baseCheckpoint, ScoringColumns? columns = null, TorchSharp.torch.Device? device = null,
        IReadOnlyList<Graft>? baseGrafts = null, TextScoringTransformer? twin = null)
    {
        ArgumentNullException.ThrowIfNull(graft);
        if (graft.Settings.Length == 0)
        {
            throw new InvalidDataException("The graft carries no task: its metadata lacks 'settings'.");
        }

        ClassifierSettings settings = ClassifierSettings.FromJson(graft.Settings, "the graft's metadata, 'settings'");
        HashSet<string> changed = [.. (baseGrafts ?? []).Append(graft).SelectMany(each => each.Changed)];
        TextClassifier classifier = TextClassifier.Create(
            baseCheckpoint, settings, device, twin: twin?.Classifier, mayShare: name => !changed.Contains(name));
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

    /// <summary>Puts earlier grafts and then one with its head into a base; all of them were made for the base as it is now.</summary>
    internal static void Apply(TextClassifier classifier, Graft graft, IEnumerable<Graft> baseGrafts)
    {
        string fingerprint = classifier.Backbone.Fingerprint();
        foreach (Graft earlier in baseGrafts)
        {
            earlier.ApplyTo(classifier.Backbone, fingerprint);
        }

        classifier.Apply(graft, fingerprint);
    }

    /// <inheritdoc/>
    private protected override SavedScorer State() => new()
    {
        Folder = Path.GetFullPath(BaseCheckpoint!),
        Fingerprint = Graft.BaseFingerprint,
        Settings = Classifier.Settings,
        Graft = SavedScorer.Pack(Graft),
        BaseGrafts = [.. BaseGrafts.Select(SavedScorer.Pack)],
        Gpu = OnGpu,
    };

    /// <inheritdoc/>
    private protected override SavedScorer State(PackedCheckpoints packed) => State() with { Content = packed.Add(BaseCheckpoint!) };
}
