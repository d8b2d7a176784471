using SkillLoc.Models.Architectures;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.NativeCalls;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tasks;
using SkillLoc.Models.Tokenization;
using SkillLoc.Models.Tuning;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Models.Classification;

public sealed partial class TextClassifier
{
    /// <summary>Applies tuned weights to this classifier, which must have the same tuning method, in place.</summary>
    /// <param name="tuned">The tuned weights.</param>
    /// <exception cref="InvalidDataException">The weights were made for another base model, tuning method or head.</exception>
    public void Apply(TunedWeights tuned)
    {
        ArgumentNullException.ThrowIfNull(tuned);
        using Lifetime.Hold hold = Backbone.Hold();
        if (Settings.Tuning != tuned.Options)
        {
            throw new InvalidDataException(
                $"The tuned weights are of {tuned.Options}, and this classifier is tuned with {Settings.Tuning?.ToString() ?? "nothing"}."
            );
        }

        IReadOnlyList<string>? labels = LabelsOf(tuned.Settings, "the tuned weights' metadata");
        if (Head.Parameters.Count > 0 && labels is not null && !HeadMatch.Between(Settings.Labels, labels).IsWhole)
        {
            throw new InvalidDataException(
                $"The tuned weights are for the labels {string.Join(", ", labels)}, and this classifier's are "
                    + $"{string.Join(", ", Settings.Labels)}."
            );
        }

        IReadOnlyDictionary<string, Parameter> parameters = TunedParameters;
        foreach (string name in parameters.Keys.Union(tuned.Tensors.Keys, StringComparer.Ordinal))
        {
            tuned.CheckShape(name, parameters.GetValueOrDefault(name)?.shape);
        }

        string fingerprint = UntunedFingerprint();
        if (fingerprint != tuned.BaseFingerprint)
        {
            throw new InvalidDataException(
                $"The tuned weights are for the base model with fingerprint {tuned.BaseFingerprint}, and this classifier's has "
                    + $"{fingerprint}: "
                    + "load the checkpoint that was tuned."
            );
        }

        var head = Head.Parameters.Keys.ToDictionary(name => name, name => tuned.Tensors[name], StringComparer.Ordinal);
        Head.Take(head, labels, "The file of tuned weights");
        using IDisposable noGradients = no_grad();
        foreach ((string name, (long[] shape, float[] values)) in tuned.Tensors.Where(pair => !head.ContainsKey(pair.Key)))
        {
            using Tensor given = tensor(values);
            using Tensor shaped = given.view(shape);
            parameters[name].copy_(shaped);
        }
    }

    /// <summary>Returns the parameters of the tuning method, without the base model.</summary>
    /// <returns>Copies of <see cref="TunedParameters"/>, with the settings.</returns>
    /// <exception cref="InvalidOperationException">The classifier has no tuning method.</exception>
    public TunedWeights Tuned()
    {
        TuningOptions options =
            Settings.Tuning ?? throw new InvalidOperationException("This classifier has no tuning method: Save writes it as a whole.");
        using Lifetime.Hold hold = Backbone.Hold();
        using DisposeScope scope = NewDisposeScope();
        return new()
        {
            BaseFingerprint = UntunedFingerprint(),
            Options = options,
            Settings = Settings.ToJson(),
            Tensors = new OrderedDictionary<string, TensorValues>(
                TunedParameters.Select(pair => KeyValuePair.Create(pair.Key, TensorValues.Of(pair.Value))),
                StringComparer.Ordinal
            ),
        };
    }

    /// <summary>Writes the parameters of the tuning method to one safetensors file, from which <see cref="LoadTuned"/> restores the
    /// classifier.</summary>
    /// <param name="path">The file; an existing file is replaced once the new one is complete.</param>
    /// <exception cref="InvalidOperationException">The classifier has no tuning method.</exception>
    /// <exception cref="IOException">It could not be written; an existing file is unchanged.</exception>
    public void SaveTuned(string path) => Tuned().Save(path);

    /// <summary>
    /// Writes a Hugging Face checkpoint folder with these weights, the tokenizer's files and the settings. Parameters that no Python class
    /// has (those of a tuning method with its head, and a head of one linear layer) go to <c>skillloc.safetensors</c>, so that Python reads
    /// the model without them: after a tuning method, the unchanged base.
    /// </summary>
    /// <param name="folder">The folder; an existing one is replaced once the new one is complete.</param>
    /// <param name="storeAs">The stored type of the weights; their own by default.</param>
    /// <exception cref="IOException">It could not be written; an existing file is unchanged.</exception>
    public void Save(string folder, ScalarType? storeAs = null) => Write(folder, storeAs, isChecked: false);

    /// <summary>As <see cref="Save"/>, after <see cref="CheckpointFolder.CheckWritable"/> has been called.</summary>
    internal void SaveChecked(string folder) => Write(folder, storeAs: null, isChecked: true);

    private void Write(string folder, ScalarType? storeAs, bool isChecked)
    {
        using Lifetime.Hold hold = Backbone.Hold();
        IReadOnlyDictionary<string, Parameter> added = Backbone.PeftModule?.Parameters ?? NoParameters;
        IEnumerable<KeyValuePair<string, Parameter>> own = HasPythonHead ? [] : Head.Parameters.Concat(added);
        HashSet<string> names = [.. own.Select(pair => pair.Key)];
        CheckpointFolder.Write(
            folder,
            Config(),
            AllParameters().Where(pair => !names.Contains(pair.Name)),
            _tokenizer.Files,
            storeAs,
            new Dictionary<string, string>(StringComparer.Ordinal) { [ClassifierSettings.FileName] = Settings.ToJson() },
            [.. own.Select(pair => (pair.Key, (Tensor)pair.Value))],
            isChecked
        );
    }

    /// <summary>Fingerprint of the backbone's weights that tuning does not change.</summary>
    private string UntunedFingerprint()
    {
        IReadOnlyDictionary<string, Parameter> tuned = TunedParameters;
        return CheckpointFingerprint.Compute(
            Backbone.Parameters.Where(pair => !tuned.ContainsKey(pair.Key)).Select(pair => (pair.Key, (Tensor)pair.Value))
        );
    }

    private ModelConfig Config()
    {
        var architecture = Architecture.Of(Backbone.Config);
        ModelConfig config = Backbone.Config;
        if (Settings.NeedsWords)
        {
            return config.WithArchitecture(architecture.LanguageModelClass);
        }

        // Python's causal classifiers find a row's last token by the padding id.
        config = config.IsCausal && config.PadTokenId is null ? config.With("pad_token_id", _tokenizer.PadId) : config;
        return HasPythonHead
            ? config
                .WithArchitecture(architecture.ClassPrefix + "ForSequenceClassification")
                .WithLabels(Settings.Labels)
                .With("problem_type", Settings.IsMultiLabel ? ConfigFields.MultiLabel : null)
            : config.WithArchitecture(architecture.ClassPrefix + "Model").With("id2label", null).With("label2id", null);
    }
}
