using SkillLoc.Models.Architectures;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Hooks;
using SkillLoc.Models.NativeCalls;
using SkillLoc.Models.Runtime;
using SkillLoc.Models.Tuning;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Models.Backbones;

public abstract partial class LanguageModel
{
    /// <summary>Loads a Hugging Face checkpoint folder; also what a tuning method added to a classifier that was saved
    /// after tuning.</summary>
    /// <param name="folder">A folder with <c>config.json</c> and weights.</param>
    /// <param name="withHead">False omits the language-model head, which classification heads do not need.</param>
    /// <param name="device">The device of the weights; the CPU by default.</param>
    /// <param name="dtype">The type that weights are converted to; float32 by default.</param>
    /// <returns>The model; the caller disposes it.</returns>
    /// <exception cref="FileNotFoundException">The folder or one of its files is missing.</exception>
    /// <exception cref="InvalidDataException">A file is damaged, or a tensor is missing, has another shape, or holds NaN.</exception>
    /// <exception cref="NotSupportedException">The architecture is not one of those supported.</exception>
    public static LanguageModel Load(string folder, bool withHead = true, Device? device = null, ScalarType dtype = ScalarType.Float32)
    {
        TorchRuntime.Require();
        using var checkpoint = CheckpointFolder.Open(folder);
        return Load(checkpoint, withHead, device, dtype);
    }

    /// <summary>Loads an opened checkpoint folder; see <see cref="Load(string, bool, Device?, ScalarType)"/>.</summary>
    /// <param name="checkpoint">The opened folder.</param>
    /// <param name="withHead">False omits the language-model head.</param>
    /// <param name="device">The device of the weights; the CPU by default.</param>
    /// <param name="dtype">The type that weights are converted to.</param>
    /// <param name="shareWeightsWith">A model of the same architecture, type and device, whose storage is shared by equal parameters. The storage lives
    /// as long as either model.</param>
    /// <param name="canShare">Returns true for names that may be shared with <paramref name="shareWeightsWith"/>; exclude weights that change in
    /// place.</param>
    /// <returns>The model; the caller disposes it.</returns>
    public static LanguageModel Load(
        CheckpointFolder checkpoint,
        bool withHead = true,
        Device? device = null,
        ScalarType dtype = ScalarType.Float32,
        LanguageModel? shareWeightsWith = null,
        Func<string, bool>? canShare = null
    )
    {
        ArgumentNullException.ThrowIfNull(checkpoint);
        return WithTuning(checkpoint, LoadUntuned(checkpoint, withHead, device, dtype, shareWeightsWith, canShare));
    }

    /// <summary>Creates a randomly initialised model, as <c>transformers</c> does from a configuration.</summary>
    /// <param name="config">The configuration.</param>
    /// <param name="seed">Seed of the weights.</param>
    /// <param name="withHead">False omits the language-model head.</param>
    /// <returns>A model on the CPU; the caller disposes it.</returns>
    /// <exception cref="NotSupportedException">The architecture is not one of those supported.</exception>
    public static LanguageModel Create(ModelConfig config, int seed, bool withHead = true)
    {
        ArgumentNullException.ThrowIfNull(config);
        TorchRuntime.Require();
        using var generator = new Generator((ulong)(uint)seed);
        return Build(config, withHead, (name, shape) => (Initialise(name, shape), false));

        Tensor Initialise(string name, long[] shape)
        {
            if (shape.Length == 1)
            {
                // Only layer norms have vectors for weights.
                return name.EndsWith(".weight", StringComparison.Ordinal) ? ones(shape) : zeros(shape);
            }

            double deviation = Architecture.Of(config).InitialDeviation(config, name);
            return randn(shape, generator: generator).Mul_(deviation);
        }
    }

    /// <summary>A model over weights, which must outlive it.</summary>
    /// <param name="config">The configuration.</param>
    /// <param name="weights">The weights by name, of the configuration's shapes; others are left out.</param>
    /// <param name="withHead">False omits the language-model head.</param>
    internal static LanguageModel Of(ModelConfig config, IReadOnlyDictionary<string, Tensor> weights, bool withHead) =>
        Build(config, withHead, (name, _) => (weights[name].alias(), true));

    /// <summary>Adds the adaptation that a folder contains.</summary>
    private static LanguageModel WithTuning(CheckpointFolder checkpoint, LanguageModel model)
    {
        try
        {
            TuningOptions? tuning = ClassifierSettings.Find(checkpoint.Path, checkpoint.Config)?.Tuning;
            model.PeftModule = tuning?.Create(model, checkpoint, seed: 0, required: true);
            return model;
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <summary>Loads a checkpoint without its adaptation.</summary>
    internal static LanguageModel LoadUntuned(
        CheckpointFolder checkpoint,
        bool withHead,
        Device? device,
        ScalarType dtype,
        LanguageModel? shareWeightsWith,
        Func<string, bool>? canShare
    )
    {
        CheckArchitecture(checkpoint.Config);
        var architecture = Architecture.Of(checkpoint.Config);
        ModelConfig config = architecture.Settle(checkpoint);
        if (withHead)
        {
            CheckHead(checkpoint, config, architecture.HeadPrefix);
        }

        CheckSizes(checkpoint, config, withHead);
        using Lifetime.Hold? hold = shareWeightsWith?.Hold();
        return Build(
            config,
            withHead,
            (name, shape) =>
            {
                Tensor stored = StoredTensor.Read(checkpoint, name, shape, device, dtype);
                if (
                    shareWeightsWith is null
                    || canShare?.Invoke(name) != true
                    || !shareWeightsWith.Parameters.TryGetValue(name, out Parameter? own)
                    || !own.shape.SequenceEqual(shape)
                    || own.dtype != dtype
                    || !own.Equals(stored)
                )
                {
                    return (stored, false);
                }

                stored.Dispose();
                using Tensor detached = own.detach();
                return (detached.alias(), true);
            }
        );
    }

    /// <summary>Loads an encoder: a model without its head, and in T5 without its decoder.</summary>
    /// <param name="checkpoint">The opened folder.</param>
    /// <param name="device">The device of the weights; the CPU by default.</param>
    /// <param name="withDecoder">Whether T5's decoder is needed all the same.</param>
    internal static LanguageModel LoadReader(CheckpointFolder checkpoint, Device? device, bool withDecoder)
    {
        CheckArchitecture(checkpoint.Config);
        ModelConfig config = Architecture.Of(checkpoint.Config).Settle(checkpoint);
        CheckSizes(checkpoint, config, withHead: false);
        bool isTuned = ClassifierSettings.Find(checkpoint.Path, checkpoint.Config)?.Tuning is not null;

        // A tuning method has parameters in the decoder too.
        config = config.IsEncoderDecoder && !isTuned && !withDecoder ? T5Parameters.WithoutDecoder(config) : config;
        return WithTuning(
            checkpoint,
            Build(config, withHead: false, (name, shape) => (StoredTensor.Read(checkpoint, name, shape, device, ScalarType.Float32), false))
        );
    }

    /// <summary>The configuration that matches a folder's weights, which may differ from its file.</summary>
    /// <exception cref="NotSupportedException">The architecture is not one of those supported.</exception>
    internal static ModelConfig Settled(CheckpointFolder checkpoint)
    {
        CheckArchitecture(checkpoint.Config);
        return Architecture.Of(checkpoint.Config).Settle(checkpoint);
    }

    /// <summary>Names and shapes of a model's parameters.</summary>
    internal static IEnumerable<(string Name, long[] Shape)> ShapesOf(ModelConfig config, bool withHead) =>
        Architecture.Of(config).Shapes(config, withHead);

    /// <summary>The hook points of a folder's model, whose weights are not read.</summary>
    /// <param name="checkpoint">The opened folder, of a supported architecture.</param>
    internal static HookPoints HookPointsOf(CheckpointFolder checkpoint)
    {
        ModelConfig config = Architecture.Of(checkpoint.Config).Settle(checkpoint);
        CheckSizes(checkpoint, config, withHead: false);
        return new(config);
    }

    /// <param name="config">The configuration.</param>
    /// <param name="withHead">False omits the language-model head.</param>
    /// <param name="source">Provides the parameter with a name and shape, and whether its storage is another model's.</param>
    private static LanguageModel Build(ModelConfig config, bool withHead, Func<string, long[], (Tensor Value, bool IsShared)> source)
    {
        CheckArchitecture(config);
        var architecture = Architecture.Of(config);
        var parameters = new OrderedDictionary<string, Parameter>(StringComparer.Ordinal);
        long ownBytes = 0;
        try
        {
            using DisposeScope scope = NewDisposeScope();
            foreach ((string name, long[] shape) in architecture.Shapes(config, withHead))
            {
                (Tensor value, bool isShared) = source(name, shape);
                ownBytes += isShared || value.device.type != DeviceType.CPU ? 0 : value.numel() * value.element_size();
                parameters.Add(name, DetachedParameter(value));
            }
        }
        catch
        {
            foreach (Parameter parameter in parameters.Values)
            {
                parameter.Dispose();
            }

            throw;
        }

        LanguageModel model = architecture.Make(config, parameters);
        model.DisposeWith(new NativeMemory(ownBytes));
        return model;
    }

    /// <summary>Compares the sizes of config.json with the tensors before anything of these sizes is allocated or read.</summary>
    private static void CheckSizes(CheckpointFolder checkpoint, ModelConfig config, bool withHead)
    {
        foreach ((string name, long[] shape) in Architecture.Of(config).Shapes(config, withHead))
        {
            StoredTensor.Find(checkpoint, name, shape);
        }
    }

    /// <exception cref="InvalidDataException">The folder has no language-model head; the message says what it is and what reads
    /// it.</exception>
    private static void CheckHead(CheckpointFolder checkpoint, ModelConfig config, string? prefix)
    {
        string classes = config.Architectures.Count > 0 ? string.Join(", ", config.Architectures) : $"a model of type '{config.ModelType}'";
        if (config is { IsEncoderDecoder: true, DecoderLayers: 0 })
        {
            throw new InvalidDataException(
                $"{checkpoint.Path} holds {classes}, T5's encoder alone: it embeds texts (EmbedText), but without a decoder it cannot "
                    + "write "
                    + "answers. Expected a folder of T5ForConditionalGeneration."
            );
        }

        if (prefix is null || checkpoint.Weights.Tensors.Any(info => info.Name.StartsWith(prefix, StringComparison.Ordinal)))
        {
            return;
        }

        string classifier = config is { IsSequenceClassifier: true, Labels.Count: > 0 }
            ? $" It is a classifier of the labels {string.Join(", ", config.Labels.Select(label => $"'{label}'"))}, which reads texts "
                + "without a prompt."
            : "";
        throw new InvalidDataException(
            $"{checkpoint.Path} holds {classes}, which has no language-model head (no weights '{prefix}...'), and HeadKind.LabelWords "
                + $"reads label words from that.{classifier} Set Head to HeadKind.SequenceClassification, FirstTokenLinear or, with a "
                + "template, "
                + "MaskTokenLinear, or take a folder with the head (...ForMaskedLM)."
        );
    }

    private static Parameter DetachedParameter(Tensor data)
    {
        var parameter = new Parameter(data, requires_grad: false);
        parameter.DetachFromDisposeScope();
        return parameter;
    }
}
