using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Hooks;
using SkillLoc.Models.NativeCalls;
using SkillLoc.Models.Runtime;
using SkillLoc.Models.Tuning;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace SkillLoc.Models.Backbones;

/// <summary>
/// A pre-trained language model: named parameters and forward pass. Training, grafting and interpolation change weights in place and keep
/// the tensors. Forward passes may run concurrently on several threads as long as the weights do not change. The model may be disposed
/// meanwhile: running passes finish, the last one releases the weights, and later ones throw an <see cref="ObjectDisposedException"/>.
/// </summary>
public abstract class LanguageModel : IDisposable
{
    private static readonly OrderedDictionary<string, Architecture> Architectures = new(StringComparer.Ordinal)
    {
        ["roberta"] = new(RobertaForMaskedLM.Shapes, (config, parameters) => new RobertaForMaskedLM(config, parameters))
        {
            HeadPrefix = "lm_head.",
            Settle = RobertaForMaskedLM.Settle,
        },
        ["bert"] = new(BertForMaskedLM.Shapes, (config, parameters) => new BertForMaskedLM(config, parameters))
        {
            HeadPrefix = "cls.predictions.",
            Settle = BertForMaskedLM.Settle,
        },
        ["gpt2"] = new(Gpt2ForCausalLM.Shapes, (config, parameters) => new Gpt2ForCausalLM(config, parameters))
        {
            Settle = Gpt2ForCausalLM.Settle,
            InitialDeviation = Gpt2ForCausalLM.InitialDeviation,
        },
        ["t5"] = new(T5ForConditionalGeneration.Shapes, (config, parameters) => new T5ForConditionalGeneration(config, parameters))
        {
            Check = T5ForConditionalGeneration.Check,
            Settle = T5ForConditionalGeneration.Settle,
            InitialDeviation = T5ForConditionalGeneration.InitialDeviation,
        },
    };

    private readonly OrderedDictionary<string, Parameter> _parameters;
    private readonly List<IDisposable> _companions = [];
    private readonly Lifetime _lifetime;

    /// <summary>Creates a model, which takes over the parameters.</summary>
    /// <param name="config">The model's configuration.</param>
    /// <param name="parameters">Parameters by Hugging Face name, in the order in which <c>transformers</c> lists them.</param>
    private protected LanguageModel(ModelConfig config, OrderedDictionary<string, Parameter> parameters)
    {
        Config = config;
        _parameters = parameters;
        _lifetime = new(() => Dispose(true));
        Points = new(config);
        Hooks = new(Points);
    }

    /// <summary>The configuration, as in <c>config.json</c>.</summary>
    public ModelConfig Config { get; }

    /// <summary>The parameters by Hugging Face name, in the order in which <c>transformers</c> lists them.</summary>
    public IReadOnlyDictionary<string, Parameter> Parameters => _parameters;

    /// <summary>The device of the weights.</summary>
    public Device Device
    {
        get
        {
            using Lifetime.Hold hold = Hold();
            return _parameters.GetAt(0).Value.device;
        }
    }

    /// <summary>The type of the weights.</summary>
    public ScalarType Dtype
    {
        get
        {
            using Lifetime.Hold hold = Hold();
            return _parameters.GetAt(0).Value.dtype;
        }
    }

    /// <summary>Dropout of hidden states, attention and classifier during training, from 0 to below 1; null (default) uses the
    /// configuration's.</summary>
    public double? Dropout { get; set; }

    /// <summary>
    /// The generator of dropout during training, on the model's device; null (default) uses libtorch's, which is shared by the process. The
    /// caller keeps ownership, and copies of the model have none. On the CPU, the same seed gives the same draws either way. On CUDA,
    /// attention with dropout is not fused if a generator is given.
    /// </summary>
    public Generator? DropoutGenerator { get; set; }

    /// <summary>Where hooks can read and edit activations, in the order of a pass. Which there are depends on the architecture;
    /// docs/components/activations.md lists them.</summary>
    public IReadOnlyList<HookPoint> HookPoints => Points;

    /// <summary>The hooks of all the model's passes; none, as at first, cost nothing. A copy of the model has none.</summary>
    public ActivationHooks Hooks { get; }

    /// <summary>The adaptation of a parameter-efficient tuning method, applied in every pass; null (default) for none. The model disposes
    /// it with itself, but not when it is replaced. It is not part of <see cref="Parameters"/> and <see cref="Fingerprint"/>.</summary>
    /// <exception cref="ArgumentException">It was created for a model of another kind or size.</exception>
    internal PeftModule? PeftModule
    {
        get;
        set
        {
            value?.CheckFits(this);
            field = value;
        }
    }

    /// <summary>The points, and which of them a layer has.</summary>
    internal HookPoints Points { get; }

    /// <summary>Whether the model has its language-model head, which <see cref="WordScores"/> needs.</summary>
    public abstract bool HasHead { get; }

    /// <summary>The maximum length of a row in tokens that the position table allows, beside the slots of a soft prompt.</summary>
    public abstract int MaxLength { get; }

    /// <summary>The names of the parameters that have a row for each token: word embeddings, and what the language-model head has of its
    /// own.</summary>
    internal IEnumerable<string> TokenParameters =>
        Architectures[Config.ModelType]
            .Shapes(Config, HasHead)
            .Zip(Architectures[Config.ModelType].Shapes(Config.With("vocab_size", Config.VocabularySize + 1), HasHead))
            .Where(pair => pair.First.Shape[0] != pair.Second.Shape[0])
            .Select(pair => pair.First.Name);

    /// <summary>Throws if the architecture is not supported.</summary>
    /// <param name="config">The configuration.</param>
    /// <exception cref="NotSupportedException">The architecture or its variant is not supported; the message lists those that
    /// are.</exception>
    public static void CheckArchitecture(ModelConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        if (!Architectures.TryGetValue(config.ModelType, out Architecture? architecture))
        {
            throw ConfigFields.Unknown(config);
        }

        ConfigFields.Check(config);
        architecture.Check?.Invoke(config);
    }

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

    /// <summary>The same without an adaptation.</summary>
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
        Architecture architecture = Architectures[checkpoint.Config.ModelType];
        ModelConfig config = architecture.Settle?.Invoke(checkpoint) ?? checkpoint.Config;
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
        ModelConfig config = Architectures[checkpoint.Config.ModelType].Settle?.Invoke(checkpoint) ?? checkpoint.Config;
        CheckSizes(checkpoint, config, withHead: false);
        bool isTuned = ClassifierSettings.Find(checkpoint.Path, checkpoint.Config)?.Tuning is not null;

        // A tuning method has parameters in the decoder too.
        config = config.IsEncoderDecoder && !isTuned && !withDecoder ? T5ForConditionalGeneration.WithoutDecoder(config) : config;
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
        return Architectures[checkpoint.Config.ModelType].Settle?.Invoke(checkpoint) ?? checkpoint.Config;
    }

    /// <summary>Names and shapes of a model's parameters.</summary>
    internal static IEnumerable<(string Name, long[] Shape)> ShapesOf(ModelConfig config, bool withHead) =>
        Architectures[config.ModelType].Shapes(config, withHead);

    /// <summary>The hook points of a folder's model, whose weights are not read.</summary>
    /// <param name="checkpoint">The opened folder, of a supported architecture.</param>
    internal static HookPoints HookPointsOf(CheckpointFolder checkpoint)
    {
        ModelConfig config = Architectures[checkpoint.Config.ModelType].Settle?.Invoke(checkpoint) ?? checkpoint.Config;
        CheckSizes(checkpoint, config, withHead: false);
        return new(config);
    }

    /// <summary>Compares the sizes of config.json with the tensors before anything of these sizes is allocated or read.</summary>
    private static void CheckSizes(CheckpointFolder checkpoint, ModelConfig config, bool withHead)
    {
        foreach ((string name, long[] shape) in Architectures[config.ModelType].Shapes(config, withHead))
        {
            StoredTensor.Find(checkpoint, name, shape);
        }
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

            double deviation = Architectures[config.ModelType].InitialDeviation?.Invoke(config, name) ?? config.InitializerRange;
            return randn(shape, generator: generator).Mul_(deviation);
        }
    }

    /// <summary>Returns the hidden states of the last layer at every position.</summary>
    /// <param name="batch">Token ids.</param>
    /// <param name="training">True enables dropout.</param>
    /// <param name="hooks">Hooks of this pass beside the model's; null for none.</param>
    /// <returns><c>[batch, length, hidden]</c>; with a soft prompt, <c>[batch, P + length, hidden]</c>.</returns>
    public abstract Tensor Encode(TokenBatch batch, bool training = false, ActivationHooks? hooks = null);

    /// <summary>
    /// Returns the hidden states of the last layer at <see cref="TokenBatch.Positions"/> only (with a soft prompt, at its scored slot); the
    /// last layer is not computed at other positions.
    /// </summary>
    /// <param name="batch">Token ids.</param>
    /// <param name="training">True enables dropout.</param>
    /// <param name="hooks">Hooks of this pass beside the model's, for which the last layer is at the scored positions only
    /// (<c>[batch, 1, size]</c>); null for none.</param>
    /// <returns><c>[batch, hidden]</c>.</returns>
    public abstract Tensor EncodeAt(TokenBatch batch, bool training = false, ActivationHooks? hooks = null);

    /// <summary>Returns the logits of selected words: the language-model head applied to hidden states.</summary>
    /// <param name="hidden">Hidden states, <c>[rows, hidden]</c>.</param>
    /// <param name="words">Int64 ids of the words to score; null scores the whole vocabulary.</param>
    /// <returns>Logits, <c>[rows, words]</c>.</returns>
    /// <exception cref="InvalidOperationException">The model was loaded without its head.</exception>
    public abstract Tensor WordScores(Tensor hidden, Tensor? words = null);

    /// <summary>
    /// Folds what a tuning method added into the weights, in place, so that scoring is cheaper: LoRA products are added to the weights and
    /// low-rank biases to the biases, and the adaptation is removed; a prefix keeps its keys and values without the projection. BottleneckAdapter,
    /// prompts, LoRA with tanh, and biases of models without them (T5) are not changed.
    /// </summary>
    public void FoldAdaptation()
    {
        using Lifetime.Hold hold = Hold();
        PeftModule? old = PeftModule,
            left = old?.Fold(this);
        if (!ReferenceEquals(old, left))
        {
            old?.Dispose();
            PeftModule = left;
        }
    }

    /// <summary>Returns an independent copy with the same weights and adaptation.</summary>
    /// <param name="shares">Returns true for names whose storage is shared with this model instead of copied; none by default. The storage
    /// lives as long as either model.</param>
    /// <param name="dtype">The type of the copy's own weights; this model's by default.</param>
    /// <param name="withHead">False omits the language-model head; the copy has none if this model has none.</param>
    /// <returns>The copy; the caller disposes it.</returns>
    public LanguageModel Clone(Func<string, bool>? shares = null, ScalarType? dtype = null, bool withHead = true)
    {
        using Lifetime.Hold hold = Hold();
        LanguageModel clone = Build(
            Config,
            HasHead && withHead,
            (name, _) =>
            {
                using Tensor source = _parameters[name].detach();
                return shares?.Invoke(name) == true ? (source.alias(), true) : (source.to(dtype ?? source.dtype, copy: true), false);
            }
        );
        clone.Dropout = Dropout;
        clone.PeftModule = PeftModule?.Clone(clone, dtype);
        return clone;
    }

    /// <summary>This model as TorchSharp's kind of module, for optimisers and code that take one.</summary>
    /// <returns>A module whose parameters are this model's; it owns nothing.</returns>
    public LanguageModelModule AsModule()
    {
        using Lifetime.Hold hold = Hold();
        return new(this);
    }

    /// <summary>Returns the number of parameters of a model; tied ones count once.</summary>
    /// <param name="config">The configuration.</param>
    /// <param name="withHead">False omits the language-model head.</param>
    /// <returns>The number of scalars.</returns>
    /// <exception cref="NotSupportedException">The architecture is not one of those supported.</exception>
    public static long ParameterCount(ModelConfig config, bool withHead = true)
    {
        CheckArchitecture(config);
        return Architectures[config.ModelType]
            .Shapes(config, withHead)
            .Sum(parameter => parameter.Shape.Aggregate(1L, (product, size) => product * size));
    }

    /// <summary>Returns an independent model with another configuration and some new parameters; the others and the adaptation are
    /// copied.</summary>
    /// <param name="config">The configuration, of the same architecture.</param>
    /// <param name="changed">The new parameters; copied.</param>
    internal LanguageModel With(ModelConfig config, IReadOnlyDictionary<string, Tensor> changed)
    {
        using Lifetime.Hold hold = Hold();
        LanguageModel model = Build(
            config,
            HasHead,
            (name, _) => (changed.GetValueOrDefault(name, _parameters[name]).detach().clone(), false)
        );
        model.Dropout = Dropout;
        model.PeftModule = PeftModule?.Clone(model, null);
        return model;
    }

    /// <summary>Returns the fingerprint of the weights; see <see cref="CheckpointFingerprint"/>.</summary>
    /// <returns>A hexadecimal SHA-256.</returns>
    public string Fingerprint()
    {
        using Lifetime.Hold hold = Hold();
        return CheckpointFingerprint.Compute(_parameters.Select(pair => (pair.Key, (Tensor)pair.Value)));
    }

    /// <summary>Releases the weights, now or at the end of the last running pass.</summary>
    public void Dispose()
    {
        _lifetime.End();
        GC.SuppressFinalize(this);
    }

    /// <summary>Takes ownership of an object that passes use, such as what <see cref="Hooks"/> hold: it is disposed with the weights, after
    /// the last running pass.</summary>
    /// <param name="companion">The object to dispose.</param>
    public void DisposeWith(IDisposable companion)
    {
        ArgumentNullException.ThrowIfNull(companion);
        lock (_companions)
        {
            _companions.Add(companion);
        }
    }

    /// <summary>Keeps the weights alive for one or more passes, even if the model is disposed meanwhile.</summary>
    /// <returns>A handle to dispose at the end of the pass.</returns>
    /// <exception cref="ObjectDisposedException">The model was disposed.</exception>
    internal Lifetime.Hold Hold() => _lifetime.Take(GetType().Name);

    /// <summary>Releases the weights.</summary>
    /// <param name="disposing">True when called by <see cref="Dispose()"/>.</param>
    protected virtual void Dispose(bool disposing)
    {
        if (disposing)
        {
            PeftModule?.Dispose();
            foreach (Parameter parameter in _parameters.Values)
            {
                parameter.Dispose();
            }

            lock (_companions)
            {
                _companions.ForEach(companion => companion.Dispose());
            }
        }
    }

    /// <summary>Where hidden states are read: 0 for the embeddings, i for the output of layer i, counted from 1; the last is taken after a
    /// final norm. Of T5 the encoder's.</summary>
    internal static string HiddenPoint(ModelConfig config, int layer) =>
        (config.ModelType, layer == config.Layers) switch
        {
            ("t5", true) => "encoder_final_ln.hook_normalized",
            ("t5", false) => $"encoder.{layer}.hook_resid_pre",
            ("gpt2", true) => "ln_final.hook_normalized",
            (_, true) => $"blocks.{layer - 1}.hook_normalized_resid_post",
            _ => $"blocks.{layer}.hook_resid_pre",
        };

    /// <summary>The hooks of a pass that begins; null for none.</summary>
    private protected PassHooks? HooksOf(TokenBatch batch, bool training, ActivationHooks? own) =>
        PassHooks.Of(Hooks, own, batch, training);

    /// <summary>The linear layers of all blocks, in order; T5's decoder layers follow those of its encoder.</summary>
    /// <param name="kinds">The kinds to include.</param>
    internal IEnumerable<LinearLayer> LinearLayersOf(TargetModules kinds) =>
        Enumerable.Range(0, Config.Layers + Config.DecoderLayers).SelectMany(LinearLayersOf).Where(map => kinds.HasFlag(map.Place.Kind));

    /// <summary>The linear layers of a block, in order.</summary>
    /// <param name="layer">Zero-based layer.</param>
    internal abstract IEnumerable<LinearLayer> LinearLayersOf(int layer);

    /// <summary>Applies dropout: drops values and scales up the others.</summary>
    /// <param name="x">The values.</param>
    /// <param name="probability">The probability that a value is dropped; 0 drops none.</param>
    internal Tensor Drop(Tensor x, double probability)
    {
        if (probability == 0)
        {
            return x;
        }

        if (DropoutGenerator is null)
        {
            return F.dropout(x, probability);
        }

        using DisposeScope scope = NewDisposeScope();
        Tensor kept = empty_like(x).bernoulli_(1 - probability, DropoutGenerator);
        using Tensor scale = tensor(1f / (float)(1 - probability), x.dtype, x.device);
        return x.mul(kept.mul_(scale)).MoveToOuterDisposeScope();
    }

    /// <summary>Scaled dot-product attention.</summary>
    /// <param name="query"><c>[rows, heads, queries, head size]</c>.</param>
    /// <param name="keys"><c>[rows, heads, keys, head size]</c>.</param>
    /// <param name="values"><c>[rows, heads, keys, head size]</c>.</param>
    /// <param name="mask">True where a query attends to a key, broadcast to <c>[rows, heads, queries, keys]</c>; null for all.</param>
    /// <param name="dropout">The probability that a weight is dropped.</param>
    /// <param name="isCausal">Whether attention is causal; must be false with a mask.</param>
    private protected Tensor Attend(Tensor query, Tensor keys, Tensor values, Tensor? mask, double dropout, bool isCausal = false)
    {
        if (dropout == 0 || DropoutGenerator is null)
        {
            return F.scaled_dot_product_attention(query, keys, values, mask, dropout, isCausal);
        }

        // Libtorch's own takes no generator. These are its steps on the CPU wherever it drops something; its fused kernels there cannot.
        using DisposeScope scope = NewDisposeScope();
        using Tensor scale = tensor((float)Math.Sqrt(1 / Math.Sqrt(query.size(-1))), device: query.device);
        Tensor scores = query.to(ScalarType.Float32).mul(scale).matmul(keys.to(ScalarType.Float32).transpose(-2, -1).mul(scale));
        mask = isCausal ? ones([query.size(-2), keys.size(-2)], ScalarType.Bool, query.device).tril() : mask;
        if (mask is not null)
        {
            using Tensor unseen = tensor(float.NegativeInfinity, device: query.device);
            scores = where(mask, scores, unseen);
        }

        Tensor weights = Drop(F.softmax(scores, -1), dropout);
        return weights.matmul(values.to(ScalarType.Float32)).to(query.dtype).MoveToOuterDisposeScope();
    }

    /// <param name="config">The configuration.</param>
    /// <param name="withHead">False omits the language-model head.</param>
    /// <param name="source">Provides the parameter with a name and shape, and whether its storage is another model's.</param>
    private static LanguageModel Build(ModelConfig config, bool withHead, Func<string, long[], (Tensor Value, bool IsShared)> source)
    {
        CheckArchitecture(config);
        Architecture architecture = Architectures[config.ModelType];
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
                    + "answers. Right would be a folder of T5ForConditionalGeneration."
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

    /// <summary>The parameter names of an architecture and how a model is created from them.</summary>
    private sealed record Architecture(
        Func<ModelConfig, bool, IEnumerable<(string Name, long[] Shape)>> Shapes,
        Func<ModelConfig, OrderedDictionary<string, Parameter>, LanguageModel> Make
    )
    {
        /// <summary>Refuses variants that are not supported.</summary>
        public Action<ModelConfig>? Check { get; init; }

        /// <summary>Prefix of the names of required language-model head weights; null for none.</summary>
        public string? HeadPrefix { get; init; }

        /// <summary>The configuration that matches the weights of a checkpoint, which may differ from its file.</summary>
        public Func<CheckpointFolder, ModelConfig>? Settle { get; init; }

        /// <summary>Standard deviation of a new weight; null for the configuration's.</summary>
        public Func<ModelConfig, string, double>? InitialDeviation { get; init; }
    }
}
