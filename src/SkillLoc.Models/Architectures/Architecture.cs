using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Models.Architectures;

/// <summary>An architecture: what the keys of its <c>config.json</c> mean, how its tensors and Python classes are called, and the model
/// that they make.</summary>
/// <param name="ModelType">Its <c>model_type</c>.</param>
/// <param name="Name">Its name in texts.</param>
/// <param name="ClassPrefix">What the names of its Python classes begin with.</param>
internal abstract record Architecture(string ModelType, string Name, string ClassPrefix)
{
    private static readonly OrderedDictionary<string, Architecture> All = new(
        new Architecture[]
        {
            BertLikeArchitecture.Roberta,
            BertLikeArchitecture.Bert,
            new Gpt2Architecture(),
            new T5Architecture(),
            new DistilBertArchitecture(),
            new ElectraArchitecture(),
            BertLikeArchitecture.XlmRoberta,
            BertLikeArchitecture.Camembert,
            new MpnetArchitecture(),
        }.Select(architecture => KeyValuePair.Create(architecture.ModelType, architecture)),
        StringComparer.Ordinal
    );

    /// <summary>The supported architectures.</summary>
    public static IReadOnlyList<Architecture> Supported => All.Values;

    /// <summary>The Python class with the language-model head.</summary>
    public virtual string LanguageModelClass => ClassPrefix + "ForMaskedLM";

    /// <summary>The key of the activation.</summary>
    public virtual string ActivationKey => "hidden_act";

    /// <summary>Shared names of the architecture's own keys; see <see cref="ConfigJson.SharedNames"/>.</summary>
    public virtual IReadOnlyDictionary<string, string> SharedNames { get; } = new Dictionary<string, string>(StringComparer.Ordinal);

    /// <summary>The ids of special tokens that a configuration without them means.</summary>
    public abstract (int? Pad, int? Bos, int? Eos) DefaultTokenIds { get; }

    /// <summary>Whether <c>is_decoder</c> makes attention causal.</summary>
    public virtual bool MayLookBackOnly => false;

    /// <summary>Prefix of the names of required language-model head weights; null for none.</summary>
    public virtual string? HeadPrefix => null;

    /// <summary>The Python sequence classifier's head.</summary>
    public abstract ClassifierForm Classifier { get; }

    /// <summary>The architecture of a <c>model_type</c>; null if it is not supported.</summary>
    public static Architecture? Find(string modelType) => All.GetValueOrDefault(modelType);

    /// <summary>The architecture of a configuration.</summary>
    /// <exception cref="NotSupportedException">It is not supported; the message lists those that are.</exception>
    public static Architecture Of(ModelConfig config) => Find(config.ModelType) ?? throw OtherArchitectures.Refuse(config);

    /// <summary>Reads the keys of the architecture.</summary>
    /// <exception cref="InvalidDataException">A key is missing or out of range.</exception>
    public abstract ModelSizes Read(ConfigJson json);

    /// <summary>Names and shapes of the parameters, in the order of <c>transformers</c>.</summary>
    public abstract IEnumerable<(string Name, long[] Shape)> Shapes(ModelConfig config, bool withHead);

    /// <summary>Creates the model, which takes over the parameters.</summary>
    public abstract LanguageModel Make(ModelConfig config, OrderedDictionary<string, Parameter> parameters);

    /// <summary>Refuses variants that are not supported.</summary>
    /// <exception cref="NotSupportedException">The message names the key.</exception>
    public virtual void Check(ModelConfig config) { }

    /// <summary>The configuration that matches the weights of a checkpoint, which may differ from its file.</summary>
    public virtual ModelConfig Settle(CheckpointFolder checkpoint) => checkpoint.Config;

    /// <summary>Standard deviation of a new weight.</summary>
    public virtual double InitialDeviation(ModelConfig config, string name) => config.InitializerRange;
}

/// <summary>The head of a Python sequence classifier: dropout, a dense layer, its activation, dropout, and the projection to the
/// labels.</summary>
/// <param name="Dense">The name of the dense layer; empty if there is none.</param>
/// <param name="Output">The name of the projection.</param>
internal sealed record ClassifierForm(string Dense, string Output)
{
    /// <summary>Whether there is dropout before the dense layer.</summary>
    public bool DropsInput { get; init; } = true;

    /// <summary>Whether the dense layer is part of the pre-trained encoder, as BERT's pooler.</summary>
    public bool IsPretrained { get; init; }

    /// <summary>The activation of the dense layer, by its name in configurations.</summary>
    public string Activation { get; init; } = "tanh";
}
