using System.Text.Json.Nodes;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Tuning;
using TorchSharp;

namespace SkillLoc.Models.Peft;

/// <summary>
/// An adapter in the files of Hugging Face's PEFT: <c>adapter_config.json</c> and <c>adapter_model.safetensors</c>. Read are LoRA (with
/// patterns of ranks and alphas, rsLoRA, DoRA, biases and whole modules), IA3, SHiRA, prompt tuning, P-tuning and prefix tuning; written
/// are LoRA, prompt tuning of T5, and grafts as SHiRA (methods, E.11).
/// </summary>
public sealed class PeftAdapter
{
    /// <summary>The file of an adapter's tensors.</summary>
    public const string WeightsFile = "adapter_model.safetensors";

    /// <summary>The file of what a graft has and PEFT has no place for.</summary>
    internal const string OwnFile = "skillloc.safetensors";

    private const int MostTensors = 50_000;

    internal const string Lora = "LORA";
    internal const string Ia3 = "IA3";
    internal const string Shira = "SHIRA";
    internal const string PromptTuning = "PROMPT_TUNING";
    internal const string PTuning = "P_TUNING";
    internal const string PrefixTuning = "PREFIX_TUNING";

    private static readonly string[] Known = [Lora, Ia3, Shira, PromptTuning, PTuning, PrefixTuning];

    internal PeftAdapter(PeftConfig config, IReadOnlyDictionary<string, PeftTensor> tensors, string source)
    {
        Config = config;
        Tensors = tensors;
        Source = source;
        if (!Known.Contains(config.Type))
        {
            throw new NotSupportedException(
                $"{config.Source}: the tuner '{config.Type}' is not supported; there are {string.Join(", ", Known)}."
            );
        }

        config.CheckSupported();
    }

    /// <summary>The tuner, as <c>peft_type</c> names it: <c>LORA</c>, <c>IA3</c>, <c>SHIRA</c>, <c>PROMPT_TUNING</c>, <c>P_TUNING</c> or
    /// <c>PREFIX_TUNING</c>.</summary>
    public string Tuner => Config.Type;

    /// <summary>The base model's name or path; empty if the adapter does not say it.</summary>
    public string BaseModel => Config.Base ?? "";

    /// <summary>The text of <c>adapter_config.json</c>, with the keys that are not known.</summary>
    public string ConfigJson => Config.ToJson();

    /// <summary>Names and shapes of the tensors.</summary>
    public IReadOnlyDictionary<string, long[]> Shapes =>
        Tensors.ToDictionary(pair => pair.Key, pair => pair.Value.Shape, StringComparer.Ordinal);

    /// <summary>Number of scalars in the file; of SHiRA without the coordinates.</summary>
    public long Count =>
        Tensors.Values.Where(tensor => ElementTypes.IsFloatingPoint(tensor.Dtype)).Sum(tensor => (long)tensor.Values.Length);

    internal PeftConfig Config { get; }

    internal IReadOnlyDictionary<string, PeftTensor> Tensors { get; }

    /// <summary>What a graft has beside the adapter; null for others.</summary>
    internal GraftRemainder? Remainder { get; init; }

    /// <summary>The folder, for messages.</summary>
    internal string Source { get; }

    /// <summary>The file of the tensors, for messages.</summary>
    internal string WeightsSource => Path.Join(Source, WeightsFile);

    /// <summary>Reads an adapter's folder.</summary>
    /// <param name="folder">The folder.</param>
    /// <returns>The adapter.</returns>
    /// <exception cref="DirectoryNotFoundException">The folder does not exist.</exception>
    /// <exception cref="FileNotFoundException">It lacks a file.</exception>
    /// <exception cref="InvalidDataException">A file is damaged; the message names the file and the key.</exception>
    /// <exception cref="NotSupportedException">The tuner, or a variant of it, is not supported; the message names it.</exception>
    public static PeftAdapter Load(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        if (!Directory.Exists(folder))
        {
            throw new DirectoryNotFoundException($"There is no adapter folder '{folder}'.");
        }

        string config = Path.Join(folder, PeftConfig.FileName);
        if (!File.Exists(config))
        {
            throw new FileNotFoundException($"The folder '{folder}' holds no adapter: it lacks {PeftConfig.FileName}.", config);
        }

        var settings = PeftConfig.Load(config);
        string safetensors = Path.Join(folder, WeightsFile),
            pickle = Path.Join(folder, "adapter_model.bin");
        using ITensorStore store =
            File.Exists(safetensors) ? SafetensorsFile.Open(safetensors)
            : File.Exists(pickle) ? TorchCheckpointFile.Open(pickle)
            : throw new FileNotFoundException($"The folder '{folder}' lacks the adapter's tensors, {WeightsFile}.", safetensors);
        if (store.Tensors.Count > MostTensors)
        {
            throw new InvalidDataException($"{store.Path} has {store.Tensors.Count} tensors; an adapter has at most {MostTensors}.");
        }

        var tensors = new OrderedDictionary<string, PeftTensor>(StringComparer.Ordinal);
        foreach (TensorInfo info in store.Tensors)
        {
            using torch.Tensor tensor = store.ReadFinite(info.Name, torch.ScalarType.Float32);
            using torch.Tensor flat = tensor.view(-1);
            tensors.Add(info.Name, new(info.Shape, info.Dtype, flat.data<float>().ToArray()));
        }

        return new(settings, tensors, folder) { Remainder = GraftRemainder.Find(Path.Join(folder, OwnFile)) };
    }

    /// <summary>Returns a fine-tuned model's LoRA as an adapter, or T5's soft prompt as prompt tuning.</summary>
    /// <param name="classifier">The model. Of its head, a classification head that Python has too goes along.</param>
    /// <param name="baseModel">The base's name or path, for who loads the adapter.</param>
    /// <returns>The adapter.</returns>
    /// <exception cref="NotSupportedException">PEFT has no tuner for the model's tuning method; the message says why.</exception>
    public static PeftAdapter Of(TextClassifier classifier, string baseModel)
    {
        ArgumentNullException.ThrowIfNull(classifier);
        ArgumentException.ThrowIfNullOrEmpty(baseModel);
        return TunedAdapter.Of(classifier, baseModel);
    }

    /// <summary>
    /// Returns a graft as a SHiRA adapter: its scalars in linear layers as differences from the base, padded with coordinates of value
    /// zero, and other modules (biases, norms, embeddings) whole. <see cref="ToGraft"/> gives the same graft back.
    /// </summary>
    /// <param name="graft">The graft.</param>
    /// <param name="checkpoint">The base's folder.</param>
    /// <returns>The adapter.</returns>
    /// <exception cref="InvalidDataException">The graft is for another base.</exception>
    /// <exception cref="NotSupportedException">The base is GPT-2, whose layers SHiRA does not have, or the graft has zeros
    /// outside.</exception>
    public static PeftAdapter Of(Graft graft, string checkpoint)
    {
        ArgumentNullException.ThrowIfNull(graft);
        ArgumentException.ThrowIfNullOrEmpty(checkpoint);
        using var folder = CheckpointFolder.Open(checkpoint);
        return GraftAdapter.Of(graft, folder);
    }

    /// <summary>Returns a SHiRA adapter as a graft: all scalars that it changes, or if it was one, the graft that it was.</summary>
    /// <param name="checkpoint">The base's folder.</param>
    /// <returns>The graft.</returns>
    /// <exception cref="InvalidDataException">The adapter does not fit the base.</exception>
    /// <exception cref="NotSupportedException">The adapter is none of SHiRA.</exception>
    public Graft ToGraft(string checkpoint)
    {
        ArgumentException.ThrowIfNullOrEmpty(checkpoint);
        using var folder = CheckpointFolder.Open(checkpoint);
        return GraftAdapter.Back(this, folder);
    }

    /// <summary>Loads a base with this adapter: LoRA, prompts and prefixes beside the weights (<see cref="LanguageModel.FoldAdaptation"/>
    /// folds LoRA into them), all else in them.</summary>
    /// <param name="checkpoint">The base's folder.</param>
    /// <param name="withHead">False omits the language-model head.</param>
    /// <param name="device">The device; the CPU by default.</param>
    /// <returns>The model; the caller disposes it.</returns>
    /// <exception cref="InvalidDataException">The adapter does not fit the base; the message names file and key.</exception>
    public LanguageModel LoadModel(string checkpoint, bool withHead = true, torch.Device? device = null)
    {
        using CheckpointFolder adapted = Adapt(CheckpointFolder.Open(checkpoint), null, keepsLora: true);
        var model = LanguageModel.LoadUntuned(adapted, withHead, device, torch.ScalarType.Float32, null, null);
        try
        {
            model.PeftModule = TuningOf(adapted)?.Create(model, adapted, seed: 0, required: true);
            return model;
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <summary>Loads a base with this adapter and its classification head as a classifier.</summary>
    /// <param name="checkpoint">The base's folder.</param>
    /// <param name="settings">The task, with the labels in the order of the head's rows.</param>
    /// <param name="device">The device; the CPU by default.</param>
    /// <returns>The classifier; the caller disposes it.</returns>
    /// <exception cref="InvalidDataException">The adapter does not fit the base; the message names file and key.</exception>
    /// <exception cref="ArgumentException">The settings do not fit.</exception>
    public TextClassifier LoadClassifier(string checkpoint, ClassifierSettings settings, torch.Device? device = null)
    {
        ArgumentNullException.ThrowIfNull(settings);
        using CheckpointFolder adapted = Adapt(CheckpointFolder.Open(checkpoint), settings.Labels, keepsLora: true);
        return TextClassifier.CreateAdapted(adapted, settings with { Tuning = TuningOf(adapted) ?? settings.Tuning }, device);
    }

    /// <summary>Writes the base with this adapter in its weights as an ordinary checkpoint folder.</summary>
    /// <param name="checkpoint">The base's folder.</param>
    /// <param name="folder">The folder; an older checkpoint is replaced when the new one is complete.</param>
    /// <param name="labels">The labels of a classification head; null for LABEL_0, LABEL_1 and so on.</param>
    /// <exception cref="InvalidDataException">The adapter does not fit the base; the message names file and key.</exception>
    /// <exception cref="NotSupportedException">It is a prompt or a prefix, which no weights can hold.</exception>
    /// <exception cref="ArgumentException">The folder is the base's or the adapter's.</exception>
    /// <exception cref="IOException">The folder could not be written; an existing one is unchanged.</exception>
    public void MergeInto(string checkpoint, string folder, IReadOnlyList<string>? labels = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        if (PathIdentity.Same(checkpoint, folder) || PathIdentity.Same(Source, folder))
        {
            throw new ArgumentException($"'{folder}' is the base's or the adapter's own folder; choose another.", nameof(folder));
        }

        using CheckpointFolder adapted = Adapt(CheckpointFolder.Open(checkpoint), labels, keepsLora: false);
        if (Tuning(adapted.Config) is not null)
        {
            throw new NotSupportedException($"{Source}: {Tuner} is no change of weights, so that no checkpoint can hold it.");
        }

        CheckpointFolder.CheckWritable(folder);
        CheckpointFolder.Write(
            folder,
            adapted.Config,
            adapted.Weights.Tensors.Select(info => info.Dtype).FirstOrDefault(ElementTypes.IsFloatingPoint, torch.ScalarType.Float32),
            adapted.Weights.Tensors,
            _ => false,
            info => adapted.Weights.Read(info.Name),
            adapted.TokenizerFiles,
            new Dictionary<string, string>(StringComparer.Ordinal)
        );
    }

    /// <summary>Writes the adapter as a folder that PEFT loads.</summary>
    /// <param name="folder">The folder; files of an older adapter in it are replaced when the new ones are complete.</param>
    /// <exception cref="IOException">The folder could not be written; an existing one is unchanged.</exception>
    public void Save(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        if (
            Directory.Exists(folder)
            && Directory.EnumerateFileSystemEntries(folder).Any()
            && !File.Exists(Path.Join(folder, PeftConfig.FileName))
        )
        {
            throw new IOException($"'{folder}' is neither empty nor an adapter (it has no {PeftConfig.FileName}); choose another folder.");
        }

        AtomicFolder.CheckWritable(folder);
        AtomicFolder.Write(
            folder,
            temporary =>
            {
                using DisposeScope scope = torch.NewDisposeScope();
                File.WriteAllText(Path.Join(temporary, PeftConfig.FileName), ConfigJson);
                using (FileStream stream = File.Create(Path.Join(temporary, WeightsFile)))
                {
                    SafetensorsWriter.Write(
                        stream,
                        Tensors.Select(pair => (pair.Key, pair.Value.ToTensor())),
                        new Dictionary<string, string>(StringComparer.Ordinal) { ["format"] = "pt" }
                    );
                }

                File.WriteAllText(Path.Join(temporary, "README.md"), Card());
                Remainder?.Save(Path.Join(temporary, OwnFile));
            },
            name => name is OwnFile or "adapter_model.bin",
            validBy: PeftConfig.FileName
        );
    }

    /// <summary>The store of a base's tensors with this adapter in them.</summary>
    internal ITensorStore ApplyTo(ITensorStore basis, ModelConfig config)
    {
        return Tuning(config) is null
            ? new AdaptedTensorStore(basis, config, this)
            : throw new NotSupportedException($"{Source}: {Tuner} is no change of weights, so that it cannot be merged with others.");
    }

    /// <summary>The folder's model with this adapter.</summary>
    /// <param name="folder">The base, which is taken over.</param>
    /// <param name="labels">The labels of the adapter's classification head; null for numbers.</param>
    /// <param name="keepsLora">Whether LoRA stays beside the weights.</param>
    private CheckpointFolder Adapt(CheckpointFolder folder, IReadOnlyList<string>? labels, bool keepsLora)
    {
        try
        {
            Dictionary<string, string> linear = keepsLora ? StoredModel.LinearWeights(folder) : [];
            var store = new AdaptedTensorStore(folder.Weights, folder.Config, this, linear.GetValueOrDefault);
            ModelConfig config = folder.Config;
            if (store.Classes is { } count)
            {
                labels ??= [.. Enumerable.Range(0, count).Select(i => $"LABEL_{i}")];
                if (labels.Count != count)
                {
                    throw new ArgumentException(
                        $"{WeightsSource}: its classification head has {count} rows, and {labels.Count} labels are given."
                    );
                }

                config = config.WithArchitecture(store.ClassifierArchitecture).WithLabels(labels);
            }

            return folder.With(config, store);
        }
        catch
        {
            folder.Dispose();
            throw;
        }
    }

    /// <summary>What stays beside the weights of an adapted folder; null for nothing.</summary>
    private TuningOptions? TuningOf(CheckpointFolder adapted) =>
        Tuning(adapted.Config)
        ?? (adapted.Weights is AdaptedTensorStore { Modules.Count: > 0 } store ? new LoadedLoraOptions { Modules = store.Modules } : null);

    /// <summary>A prompt or prefix as a tuning method; null for changes of weights.</summary>
    private TuningOptions? Tuning(ModelConfig config)
    {
        switch (Tuner)
        {
            case PromptTuning or PTuning:
                return new VirtualTokenOptions
                {
                    Size = Config.Whole("num_virtual_tokens"),
                    ScoresFirst = Config.TaskType == "SEQ_CLS" && !config.IsCausal,
                };
            case PrefixTuning:
                return new PastKeyValueOptions { Length = Config.Whole("num_virtual_tokens") };
            default:
                return null;
        }
    }

    private string Card() =>
        $"""
            ---
            library_name: peft
            base_model: {BaseModel}
            ---

            # A {Tuner} adapter

            Written by SkillLoc for the base model `{BaseModel}`. Load it with `peft.PeftModel.from_pretrained(base, folder)`.

            """.ReplaceLineEndings("\n");
}

/// <summary>A tensor of an adapter.</summary>
internal sealed record PeftTensor(long[] Shape, torch.ScalarType Dtype, float[] Values)
{
    public torch.Tensor ToTensor() => torch.tensor(Values).view(Shape).to(Dtype);

    public torch.Tensor ToFloat64() => torch.tensor(Values).view(Shape).to(torch.ScalarType.Float64);
}
