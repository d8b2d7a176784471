using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tasks;
using SkillLoc.Models.Tokenization;
using SkillLoc.Models.Tuning;
using static TorchSharp.torch;

namespace SkillLoc.Models.Classification;

public sealed partial class TextClassifier
{
    /// <summary>Loads a checkpoint for a task; a missing head or missing parameters of a tuning method are initialised. Rows of a trained
    /// head are matched by label name.</summary>
    /// <param name="folder">A Hugging Face checkpoint folder, or a name that <see cref="SkillLoc.Models.Hub.CheckpointHub"/>
    /// resolves.</param>
    /// <param name="settings">The task; <see cref="ScoringSettings.MaxLength"/> is limited to the model's number of positions.</param>
    /// <param name="device">The device of the weights; the CPU by default.</param>
    /// <param name="dtype">The type of the weights.</param>
    /// <param name="seed">Seed of the initialisation of a new head and new parameters of a tuning method.</param>
    /// <param name="shareWeightsWith">A classifier of the same architecture: parameters that <paramref name="canShare"/> selects share its storage if
    /// they have the same values.</param>
    /// <param name="canShare">Selects parameters by name; see <paramref name="shareWeightsWith"/>.</param>
    /// <returns>The classifier; the caller disposes it.</returns>
    /// <exception cref="FileNotFoundException">The folder or one of its files is missing.</exception>
    /// <exception cref="InvalidDataException">A file is damaged or does not fit the others.</exception>
    /// <exception cref="ArgumentException">The settings do not fit the checkpoint: a label word of several tokens, a template without a
    /// mask, a score range without two label words, a causal model without an autoregressive prompt, a soft prompt beside a template, T5
    /// without a text-to-text task, or answers of the same tokens; or the folder was tuned by another method than the requested one that
    /// cannot be folded into the weights.</exception>
    public static TextClassifier Create(
        string folder,
        ClassifierSettings settings,
        Device? device = null,
        ScalarType dtype = ScalarType.Float32,
        int seed = 0,
        TextClassifier? shareWeightsWith = null,
        Func<string, bool>? canShare = null
    ) => Make(folder, settings, device, dtype, seed, shareWeightsWith, canShare, tunedWeights: null);

    /// <summary>Like <see cref="Create"/>, of an opened folder with an adapter.</summary>
    internal static TextClassifier CreateAdapted(CheckpointFolder adapted, ClassifierSettings settings, Device? device) =>
        Make(adapted.Path, settings, device, ScalarType.Float32, 0, null, null, null, adapted);

    private static TextClassifier Make(
        string folder,
        ClassifierSettings settings,
        Device? device,
        ScalarType dtype,
        int seed,
        TextClassifier? shareWeightsWith,
        Func<string, bool>? canShare,
        TunedWeights? tunedWeights,
        CheckpointFolder? adapted = null
    )
    {
        ArgumentNullException.ThrowIfNull(settings);
        if (settings.ScoreRange is not null && (settings.Head != HeadKind.LabelWords || settings.Labels.Count != 2))
        {
            throw new ArgumentException(
                $"A regression reads two label words, one for each end of its range; these settings have the head {settings.Head} and "
                    + $"{settings.Labels.Count} labels.",
                nameof(settings)
            );
        }

        using CheckpointFolder? opened = adapted is null ? CheckpointFolder.Open(folder) : null;
        CheckpointFolder checkpoint = adapted ?? opened!;
        LanguageModel.CheckArchitecture(checkpoint.Config);
        settings = settings.For(checkpoint.Config);
        var tokenizer = CheckpointTokenizer.Load(checkpoint.Path);
        tokenizer.CheckVocabulary(checkpoint.Config.VocabularySize);
        (int[]? ids, int[][]? options) = settings.LabelTokens(tokenizer);
        if (settings.Tuning is SoftPromptOptions { MaskTokenId: null } prompt && tokenizer.HasMask)
        {
            settings = settings with { Tuning = prompt with { MaskTokenId = tokenizer.MaskId } };
        }

        TuningOptions? stored = ClassifierSettings.Find(checkpoint.Path, checkpoint.Config)?.Tuning;
        bool goesOn = stored is not null && stored.WithoutDraws() == settings.Tuning?.WithoutDraws();

        // What another method added is part of the model that the folder holds.
        TuningOptions? folded = goesOn || stored is BitFitOptions ? null : stored;
        var backbone = LanguageModel.LoadUntuned(
            checkpoint,
            settings.NeedsWords,
            device,
            dtype,
            folded is null ? shareWeightsWith?.Backbone : null,
            canShare
        );
        ClassificationHead? head = null;
        try
        {
            if (folded is not null)
            {
                backbone.PeftModule = folded.Create(backbone, checkpoint, seed, required: true);
                backbone.FoldAdaptation();
                if (backbone.PeftModule is not null)
                {
                    throw new ArgumentException(
                        $"{folder} was tuned with {stored}, which no weights of the model can take over, and "
                            + $"{settings.Tuning?.ToString() ?? "no method"} is asked for: its changes would be lost. Request the "
                            + "same method "
                            + $"({nameof(settings.Tuning)}) to go on with it, or take the checkpoint that was tuned.",
                        nameof(settings)
                    );
                }
            }

            backbone.PeftModule = settings.Tuning?.Create(backbone, checkpoint, seed, required: goesOn, tunedWeights);
            settings = settings with { MaxLength = Math.Min(settings.MaxLength, backbone.MaxLength) };
            head = ClassificationHead.Create(settings.Head, backbone, settings.Labels, ids, checkpoint, seed, options);
            return new(backbone, head, tokenizer, settings) { FoldedTuning = folded };
        }
        catch
        {
            head?.Dispose();
            backbone.Dispose();
            throw;
        }
    }

    /// <summary>Loads a folder that <see cref="Save"/> wrote, or a Hugging Face classifier of single texts.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="device">The device of the weights; the CPU by default.</param>
    /// <param name="dtype">The type of the weights.</param>
    /// <returns>The classifier; the caller disposes it.</returns>
    /// <exception cref="FileNotFoundException">The folder holds no classifier, or a file is missing.</exception>
    /// <exception cref="InvalidDataException">A file is damaged, or its settings do not fit the model.</exception>
    public static TextClassifier Load(string folder, Device? device = null, ScalarType dtype = ScalarType.Float32)
    {
        var settings = ClassifierSettings.Load(folder);
        return FromFile(Path.Combine(folder, ClassifierSettings.FileName), () => Create(folder, settings, device, dtype));
    }

    /// <summary>Loads a base checkpoint with tuned weights that <see cref="SaveTuned"/> wrote.</summary>
    /// <param name="folder">Checkpoint folder of the base.</param>
    /// <param name="path">The file of the tuned weights.</param>
    /// <param name="device">The device of the weights; the CPU by default.</param>
    /// <param name="dtype">The type of the weights.</param>
    /// <param name="shareWeightsWith">A classifier with which base parameters that are not tuned and have the same values share storage; see
    /// <see cref="Create"/>.</param>
    /// <returns>The classifier; the caller disposes it.</returns>
    /// <exception cref="FileNotFoundException">The file or the folder is missing.</exception>
    /// <exception cref="InvalidDataException">The file is damaged, contains no task, or was made for another base.</exception>
    public static TextClassifier LoadTuned(
        string folder,
        string path,
        Device? device = null,
        ScalarType dtype = ScalarType.Float32,
        TextClassifier? shareWeightsWith = null
    )
    {
        var tuned = TunedWeights.Load(path);
        if (tuned.Settings.Length == 0)
        {
            throw new InvalidDataException($"{path} holds tuned weights that carry no task: its metadata lacks 'settings'.");
        }

        var settings = ClassifierSettings.FromJson(tuned.Settings, $"{path}, the metadata's 'settings'");
        TextClassifier classifier = FromFile(
            path,
            () => Make(folder, settings, device, dtype, 0, shareWeightsWith, name => !tuned.Tensors.ContainsKey(name), tuned)
        );
        try
        {
            classifier.Apply(tuned);
            return classifier;
        }
        catch
        {
            classifier.Dispose();
            throw;
        }
    }

    /// <summary>Creates a classifier from the settings of a file; settings that do not fit are reported as errors of the file.</summary>
    private static TextClassifier FromFile(string source, Func<TextClassifier> create)
    {
        try
        {
            return create();
        }
        catch (ArgumentException error)
        {
            throw new InvalidDataException($"{source} does not fit the model: {error.Message}", error);
        }
    }

    /// <summary>
    /// Returns a classifier for another task that shares the backbone's storage, so that changes in place affect both; the storage lives as
    /// long as either. Its head is initialised or loaded from a checkpoint.
    /// </summary>
    /// <param name="settings">The other task.</param>
    /// <param name="seed">Seed of the head's initialisation.</param>
    /// <param name="stored">A checkpoint with a trained head, whose rows are matched by label name; null for none.</param>
    /// <returns>The classifier; the caller disposes it.</returns>
    /// <exception cref="ArgumentException">The settings do not fit the checkpoint, or need a language-model head that this backbone
    /// lacks.</exception>
    /// <exception cref="InvalidOperationException">One of the two has a tuning method, which cannot be shared.</exception>
    public TextClassifier ForTask(ClassifierSettings settings, int seed = 0, CheckpointFolder? stored = null)
    {
        ArgumentNullException.ThrowIfNull(settings);
        if (Settings.Tuning is not null || settings.Tuning is not null)
        {
            throw new InvalidOperationException("Tasks share a backbone as it is; a tuning method is of one task. Fold it first.");
        }

        using Lifetime.Hold hold = Backbone.Hold();
        settings = settings.For(Backbone.Config);
        (int[]? ids, int[][]? options) = settings.LabelTokens(_tokenizer);
        settings = settings with { MaxLength = Math.Min(settings.MaxLength, Backbone.MaxLength) };
        LanguageModel backbone = Backbone.Clone(_ => true, withHead: settings.NeedsWords);
        ClassificationHead? head = null;
        try
        {
            head = ClassificationHead.Create(settings.Head, backbone, settings.Labels, ids, stored, seed, options);
            return new(backbone, head, _tokenizer, settings);
        }
        catch
        {
            head?.Dispose();
            backbone.Dispose();
            throw;
        }
    }
}
