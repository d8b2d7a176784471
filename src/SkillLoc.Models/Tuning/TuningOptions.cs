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
/// A parameter-efficient tuning method and its options: the pre-trained weights are frozen (with <see cref="BitFitOptions"/>, all but the
/// biases), and few parameters train.
/// </summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(SoftPromptOptions), "soft_prompt")]
[JsonDerivedType(typeof(BitFitOptions), "bit_fit")]
[JsonDerivedType(typeof(AdapterOptions), "adapter")]
[JsonDerivedType(typeof(LoraOptions), "lora")]
[JsonDerivedType(typeof(LowRankBiasOptions), "low_rank_bias")]
[JsonDerivedType(typeof(PrefixOptions), "prefix")]
[JsonDerivedType(typeof(VirtualTokenOptions), "virtual_tokens")]
[JsonDerivedType(typeof(LoadedLoraOptions), "loaded_lora")]
[JsonDerivedType(typeof(PastKeyValueOptions), "past_key_values")]
public abstract record TuningOptions
{
    private static readonly JsonSerializerOptions Json = new(JsonText.OwnFiles) { WriteIndented = false };

    private protected TuningOptions() { }

    /// <summary>Creates the initial adaptation of a model; assign it to <see cref="LanguageModel.PeftModule"/>.</summary>
    /// <param name="model">The model, whose device and type the new parameters have.</param>
    /// <param name="seed">Seed of the initialisation.</param>
    /// <returns>The adaptation, which the caller owns until it is assigned; null if the method changes the model's own parameters
    /// (BitFit).</returns>
    /// <exception cref="ArgumentException">An option is out of range, or does not fit the model.</exception>
    /// <exception cref="NotSupportedException">The method does not support the model's architecture.</exception>
    internal PeftModule? Create(LanguageModel model, int seed = 0) => Create(model, null, seed, required: false);

    /// <summary>Returns the parameters that the method trains: those that it added to the model, or with BitFit the model's
    /// biases.</summary>
    /// <param name="model">A model that these options have been applied to.</param>
    /// <returns>Parameters by name.</returns>
    /// <exception cref="ArgumentException">The model's <see cref="LanguageModel.PeftModule"/> has other options.</exception>
    public virtual IReadOnlyDictionary<string, Parameter> ParametersOf(LanguageModel model)
    {
        ArgumentNullException.ThrowIfNull(model);
        return model.PeftModule is { } adaptation && adaptation.Options == this
            ? adaptation.Parameters
            : throw new ArgumentException(
                $"The model is tuned with {model.PeftModule?.Options.ToString() ?? "nothing"}, not with {this}.",
                nameof(model)
            );
    }

    /// <summary>Reads options from JSON.</summary>
    /// <param name="json">The result of <see cref="ToJson"/>.</param>
    /// <param name="source">Its name in error messages.</param>
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

    /// <summary>Like <see cref="Create(LanguageModel, int)"/>, with the parameters of a checkpoint where it has them.</summary>
    /// <param name="model">The model.</param>
    /// <param name="stored">The checkpoint; null draws all parameters.</param>
    /// <param name="seed">Seed of the parameters that it lacks.</param>
    /// <param name="required">Whether the checkpoint must have all parameters.</param>
    /// <param name="tunedWeights">Weights that will replace the drawn ones; null for none. Their shapes are checked before anything
    /// is.</param>
    /// <exception cref="InvalidDataException">A parameter of the checkpoint is missing, has another shape, or holds NaN.</exception>
    internal PeftModule? Create(LanguageModel model, CheckpointFolder? stored, int seed, bool required, TunedWeights? tunedWeights = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        using DisposeScope scope = NewDisposeScope();
        using var generator = new Generator((ulong)(uint)seed);
        return Build(
            model,
            (name, shape, draw) =>
            {
                tunedWeights?.CheckShape(name, shape);
                if (stored?.Weights.Tensors.FirstOrDefault(info => info.Name == name) is not { } info)
                {
                    return !required
                        ? draw(generator).to(model.Dtype, model.Device)
                        : throw new InvalidDataException(
                            $"{stored!.Path} says that it was tuned with {this}, and its weights lack '{name}': the folder is incomplete."
                        );
                }

                return info.Shape.SequenceEqual(shape)
                    ? stored.Weights.ReadFinite(name, model.Dtype, model.Device)
                    : throw new InvalidDataException(
                        $"{stored.Weights.Path}: tensor '{name}' has shape [{string.Join(", ", info.Shape)}]; "
                            + $"by the options of the tuning method it must be [{string.Join(", ", shape)}]."
                    );
            }
        );
    }

    /// <summary>Returns the options without those of the initialisation, which no forward pass reads.</summary>
    internal TuningOptions WithoutDraws() =>
        this switch
        {
            AdapterOptions adapter => adapter with { InitialDeviation = 1, InitialUpDeviation = 0, InitialMean = 0 },
            PrefixOptions prefix => prefix with { InitialDeviation = 1 },
            _ => this,
        };

    /// <summary>Creates the adaptation of a model.</summary>
    internal abstract PeftModule? Build(LanguageModel model, ParameterSource source);

    private protected static void RequireMaps(TargetModules targets, string option)
    {
        const TargetModules All =
            TargetModules.Query
            | TargetModules.Key
            | TargetModules.Value
            | TargetModules.AttentionOutput
            | TargetModules.Up
            | TargetModules.Down;
        if (targets == TargetModules.None || (targets & ~All) != TargetModules.None)
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

/// <summary>
/// BitFit: trains the model's biases, which are all parameters whose name contains "bias", those of layer norms, embeddings and the
/// language-model head included (methods, B.4). Unlike <see cref="ParameterSelection.BiasOnly"/> only the biases are saved. T5 is not
/// supported.
/// </summary>
public sealed record BitFitOptions : TuningOptions
{
    /// <inheritdoc/>
    /// <exception cref="NotSupportedException">The model is T5, whose linear maps and norms have no biases.</exception>
    public override IReadOnlyDictionary<string, Parameter> ParametersOf(LanguageModel model)
    {
        ArgumentNullException.ThrowIfNull(model);
        Check(model);
        return new OrderedDictionary<string, Parameter>(
            model.Parameters.Where(pair => pair.Key.Contains("bias", StringComparison.Ordinal)),
            StringComparer.Ordinal
        );
    }

    /// <inheritdoc/>
    internal override PeftModule? Build(LanguageModel model, ParameterSource source)
    {
        Check(model);
        return null;
    }

    private static void Check(LanguageModel model)
    {
        if (model is T5ForConditionalGeneration)
        {
            throw new NotSupportedException(
                "T5's linear maps and norms have no biases that BitFit could train (its relative_attention_bias is a table of positions); "
                    + "take an adapter, LoRA, a prefix or a soft prompt."
            );
        }
    }
}
