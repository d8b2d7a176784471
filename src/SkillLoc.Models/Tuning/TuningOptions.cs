using System.Text.Json;
using System.Text.Json.Serialization;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Json;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tuning;

/// <summary>
/// A parameter-efficient tuning method and its options: the pre-trained weights stay as they are (with <see cref="BitFitOptions"/>,
/// all but the biases), and few parameters train.
/// </summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(SoftPromptOptions), "soft_prompt")]
[JsonDerivedType(typeof(BitFitOptions), "bit_fit")]
[JsonDerivedType(typeof(AdapterOptions), "adapter")]
[JsonDerivedType(typeof(LoraOptions), "lora")]
[JsonDerivedType(typeof(LowRankBiasOptions), "low_rank_bias")]
[JsonDerivedType(typeof(PrefixOptions), "prefix")]
public abstract record TuningOptions
{
    private static readonly JsonSerializerOptions Json = new(JsonText.OwnFiles) { WriteIndented = false };

    private protected TuningOptions()
    {
    }

    /// <summary>Makes what the method adds to a model, as it is at the start of training; assign it to
    /// <see cref="LanguageModel.Adaptation"/>.</summary>
    /// <param name="model">The model, whose device and type of weights the new parameters get.</param>
    /// <param name="seed">Seed of the initialisation.</param>
    /// <returns>The caller's until it is assigned; null where the method changes the model's own parameters (BitFit).</returns>
    /// <exception cref="ArgumentException">An option is absurd, or does not fit the model.</exception>
    /// <exception cref="NotSupportedException">The model's architecture cannot be tuned so.</exception>
    internal Adaptation? Create(LanguageModel model, int seed = 0) => Create(model, null, seed, required: false);

    /// <summary>The parameters that the method trains: what it added to the model, or, with BitFit, the model's biases.</summary>
    /// <param name="model">A model that these options have been applied to.</param>
    /// <returns>Parameters by name.</returns>
    /// <exception cref="ArgumentException">The model's <see cref="LanguageModel.Adaptation"/> is not of these options.</exception>
    public virtual IReadOnlyDictionary<string, Parameter> ParametersOf(LanguageModel model)
    {
        ArgumentNullException.ThrowIfNull(model);
        return model.Adaptation is { } adaptation && adaptation.Options == this
            ? adaptation.Parameters
            : throw new ArgumentException($"The model is tuned with {model.Adaptation?.Options.ToString() ?? "nothing"}, not with {this}.", nameof(model));
    }

    /// <summary>Reads options.</summary>
    /// <param name="json">What <see cref="ToJson"/> gave.</param>
    /// <param name="source">Where it came from, for error messages.</param>
    /// <returns>The options.</returns>
    /// <exception cref="InvalidDataException">It is not the JSON of a known method.</exception>
    public static TuningOptions FromJson(string json, string source)
    {
        ArgumentNullException.ThrowIfNull(json);
        return JsonText.Read<TuningOptions>(json, source, Json);
    }

    /// <summary>Writes the options as JSON, <c>kind</c> first.</summary>
    /// <returns>The text.</returns>
    public string ToJson() => JsonSerializer.Serialize(this, Json);

    /// <summary>The same as <see cref="Create(LanguageModel, int)"/>, with parameters that a checkpoint holds taken from there.</summary>
    /// <param name="model">The model.</param>
    /// <param name="stored">The checkpoint; null draws all.</param>
    /// <param name="seed">Seed of what it lacks.</param>
    /// <param name="required">Whether it must lack nothing.</param>
    /// <param name="learnt">What will take the place of what is drawn; null for nothing. Its shapes are looked at before anything is.</param>
    /// <exception cref="InvalidDataException">A parameter of the checkpoint is missing, has another shape, or holds NaN.</exception>
    internal Adaptation? Create(LanguageModel model, CheckpointFolder? stored, int seed, bool required, TunedWeights? learnt = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        using var scope = NewDisposeScope();
        using var generator = new Generator((ulong)(uint)seed);
        return Build(model, (name, shape, draw) =>
        {
            learnt?.CheckShape(name, shape);
            if (stored?.Weights.Tensors.FirstOrDefault(info => info.Name == name) is not { } info)
            {
                return !required ? draw(generator).to(model.Dtype, model.Device) : throw new InvalidDataException(
                    $"{stored!.Path} says that it was tuned with {this}, and its weights lack '{name}': the folder is incomplete.");
            }

            return info.Shape.SequenceEqual(shape)
                ? stored.Weights.ReadFinite(name, model.Dtype, model.Device)
                : throw new InvalidDataException(
                    $"{stored.Weights.Path}: tensor '{name}' has shape [{string.Join(", ", info.Shape)}]; "
                    + $"by the options of the tuning method it must be [{string.Join(", ", shape)}].");
        });
    }

    /// <summary>The same options whatever parameters were drawn like at the start, which no forward pass reads.</summary>
    internal TuningOptions WithoutDraws() => this switch
    {
        AdapterOptions adapter => adapter with { InitialDeviation = 1, InitialUpDeviation = 0, InitialMean = 0 },
        PrefixOptions prefix => prefix with { InitialDeviation = 1 },
        _ => this,
    };

    /// <summary>Makes what the method adds to a model.</summary>
    internal abstract Adaptation? Build(LanguageModel model, ParameterSource source);

    private protected static void RequireMaps(LinearLayers targets, string option)
    {
        const LinearLayers All = LinearLayers.Query | LinearLayers.Key | LinearLayers.Value | LinearLayers.AttentionOutput
            | LinearLayers.Up | LinearLayers.Down;
        if (targets == LinearLayers.None || (targets & ~All) != LinearLayers.None)
        {
            throw new ArgumentException($"{option} are '{targets}'; they must be one or more of {All}.");
        }
    }

    private protected static void RequirePositive(double value, string option)
    {
        if (!(value > 0) || !double.IsFinite(value))
        {
            throw new ArgumentException($"{option} is {value}; it must be above 0.");
        }
    }
}
