using SkillLoc.Models.Backbones;
using SkillLoc.Models.NativeCalls;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace SkillLoc.Models.Tuning;

/// <summary>
/// Low-rank adaptation (Hu et al. 2022): W x becomes W x + (alpha / r) B A x; with <see cref="LoraOptions.Bias"/> W x + (alpha / r) (B (A x
/// + a) + b), and with <see cref="LoraOptions.Mlp"/> W x + (alpha / r) C tanh(B A x) (methods, C.3). A is drawn uniformly (Kaiming, a =
/// sqrt 5), C from N(0, 0.02), and B and the biases start at zero, so that training starts at the pre-trained model.
/// <see cref="LanguageModel.FoldAdaptation"/> folds the product into W and the biases into the layer's own; with C, or with biases where
/// the layer has none (T5), it changes nothing.
/// </summary>
/// <remarks>
/// Parameters, for each target module (such as <c>roberta.encoder.layer.0.attention.self.query</c>): <c>MAP.lora_A.weight</c>
/// <c>[rank, in]</c> and <c>MAP.lora_B.weight</c> <c>[out, rank]</c>, named as in PEFT after its prefix; optionally also
/// <c>MAP.lora_A.bias</c> <c>[rank]</c>, <c>MAP.lora_B.bias</c> <c>[out]</c> and <c>MAP.lora_C.weight</c> <c>[out, out]</c>.
/// </remarks>
internal sealed class Lora : PeftModule
{
    private const double InitialDeviation = 0.02;

    private readonly Dictionary<LayerId, Update> _updates = [];
    private readonly HashSet<string> _folded = new(StringComparer.Ordinal);
    private readonly double _scale;

    internal Lora(LanguageModel model, LoraOptions options, ParameterSource source)
        : base(model, options, source)
    {
        _scale = options.Alpha / options.Rank;
        foreach (LinearLayer map in model.LinearLayersOf(options.Targets))
        {
            long rank = options.Rank,
                input = map.Weight.size(1),
                output = map.Weight.size(0);
            string name = map.Name + ".lora_";
            _updates.Add(
                map.Place,
                new(
                    AddUniform(name + "A.weight", rank, input),
                    options.Bias ? AddZeros(name + "A.bias", rank) : null,
                    AddZeros(name + "B.weight", output, rank),
                    options.Bias ? AddZeros(name + "B.bias", output) : null,
                    options.Mlp ? AddNormal(name + "C.weight", InitialDeviation, output, output) : null
                )
            );
            if (!options.Mlp && (!options.Bias || map.Bias is not null))
            {
                _folded.Add(map.WeightName);
                if (options.Bias)
                {
                    _folded.Add(map.BiasName!);
                }
            }
        }
    }

    /// <inheritdoc/>
    internal override Tensor AfterLinear(LayerId place, Tensor input, Tensor output)
    {
        if (!_updates.TryGetValue(place, out Update update))
        {
            return output;
        }

        Tensor added = F.linear(F.linear(input, update.A, update.ABias), update.B, update.BBias);
        return output.Add((update.C is null ? added : F.linear(added.tanh(), update.C)).Mul(_scale));
    }

    /// <inheritdoc/>
    internal override bool FoldsInto(string name) => _folded.Contains(name);

    /// <inheritdoc/>
    internal override PeftModule? Fold(LanguageModel model)
    {
        if (_folded.Count == 0)
        {
            return this;
        }

        using IDisposable noGradients = no_grad();
        using DisposeScope scope = NewDisposeScope();
        foreach (LinearLayer map in model.LinearLayersOf(((LoraOptions)Options).Targets))
        {
            using DisposeScope one = NewDisposeScope();
            Update update = _updates[map.Place];
            map.Weight.Add_(update.B.mm(update.A).Mul(_scale));
            if (update.ABias is not null)
            {
                map.Bias!.Add_(F.linear(update.ABias, update.B, update.BBias).Mul(_scale));
            }
        }

        return null;
    }

    private readonly record struct Update(Tensor A, Tensor? ABias, Tensor B, Tensor? BBias, Tensor? C);
}

/// <summary>LoRA: low-rank updates of linear layers (Hu et al. 2022).</summary>
public sealed record LoraOptions : TuningOptions
{
    /// <summary>The rank r, 1 or more; 8 by default.</summary>
    public int Rank { get; init; } = 8;

    /// <summary>alpha, above 0; the update is scaled by alpha / r. 16 by default.</summary>
    public double Alpha { get; init; } = 16;

    /// <summary>The target modules; queries and values by default.</summary>
    public TargetModules Targets { get; init; } = TargetModules.Query | TargetModules.Value;

    /// <summary>Whether A and B have biases, which start at zero; false by default (methods, C.3).</summary>
    public bool Bias { get; init; }

    /// <summary>Whether the product of A and B passes through tanh and a third layer C (methods, C.3), which cannot be folded into the
    /// model; false by default.</summary>
    public bool Mlp { get; init; }

    /// <inheritdoc/>
    internal override Lora Build(LanguageModel model, ParameterSource source)
    {
        RequirePositive(Rank, "LoRA's Rank");
        RequirePositive(Alpha, "LoRA's Alpha");
        RequireMaps(Targets, "LoRA's Targets");
        return new(model, this, source);
    }
}

/// <summary>Low-rank biases of linear layers (methods, C.3).</summary>
public sealed record LowRankBiasOptions : TuningOptions
{
    /// <summary>The rank r, 1 or more; 8 by default.</summary>
    public int Rank { get; init; } = 8;

    /// <summary>alpha, above 0; the bias is scaled by alpha / r. 16 by default.</summary>
    public double Alpha { get; init; } = 16;

    /// <summary>The target modules; queries and values by default. A bias on the keys has no effect, since it adds the same to all scores
    /// of a query.</summary>
    public TargetModules Targets { get; init; } = TargetModules.Query | TargetModules.Value;

    /// <summary>Whether all target modules share one R; false by default.</summary>
    public bool ShareR { get; init; }

    /// <summary>Whether B R passes through tanh and a third matrix C (methods, C.3); false by default.</summary>
    public bool Mlp { get; init; }

    /// <inheritdoc/>
    internal override LowRankBias Build(LanguageModel model, ParameterSource source)
    {
        RequirePositive(Rank, "The low-rank biases' Rank");
        RequirePositive(Alpha, "The low-rank biases' Alpha");
        RequireMaps(Targets, "The low-rank biases' Targets");
        return new(model, this, source);
    }
}

/// <summary>The linear layers of a transformer block. In T5's decoder, they include those of the cross-attention.</summary>
[Flags]
public enum TargetModules
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>The attention's queries.</summary>
    Query = 1,

    /// <summary>The attention's keys.</summary>
    Key = 2,

    /// <summary>The attention's values.</summary>
    Value = 4,

    /// <summary>The attention's output projection.</summary>
    AttentionOutput = 8,

    /// <summary>The feed-forward block's projection to its neurons; with a gate (T5 1.1), both projections.</summary>
    Up = 16,

    /// <summary>The feed-forward block's projection from its neurons.</summary>
    Down = 32,
}

/// <summary>
/// Low-rank biases (methods, C.3): W x becomes W x + (alpha / r) B R, in addition to the layer's own bias; with
/// <see cref="LowRankBiasOptions.Mlp"/>, W x + (alpha / r) C tanh(B R). R is drawn uniformly (Kaiming, a = sqrt 5, so from -1 to 1), C from
/// N(0, 0.02), and B starts at zero, so that training starts at the pre-trained model. <see cref="LanguageModel.FoldAdaptation"/> folds the
/// result into the layer's own bias; in T5, whose layers have none, it changes nothing.
/// </summary>
/// <remarks>
/// Parameters, for each target module (such as <c>roberta.encoder.layer.0.attention.self.query</c>): <c>MAP.lora_R.weight</c>
/// <c>[rank, 1]</c>, <c>MAP.lora_B.weight</c> <c>[out, rank]</c> and optionally <c>MAP.lora_C.weight</c> <c>[out, out]</c>. A shared R is
/// <c>lora_R.weight</c>, the first parameter.
/// </remarks>
internal sealed class LowRankBias : PeftModule
{
    private const double InitialDeviation = 0.02;

    private readonly Dictionary<LayerId, Factors> _biases = [];
    private readonly HashSet<string> _folded = new(StringComparer.Ordinal);
    private readonly double _scale;

    internal LowRankBias(LanguageModel model, LowRankBiasOptions options, ParameterSource source)
        : base(model, options, source)
    {
        _scale = options.Alpha / options.Rank;
        Parameter? shared = options.ShareR ? AddUniform("lora_R.weight", options.Rank, 1) : null;
        foreach (LinearLayer map in model.LinearLayersOf(options.Targets))
        {
            long output = map.Weight.size(0);
            string name = map.Name + ".lora_";
            _biases.Add(
                map.Place,
                new(
                    shared ?? AddUniform(name + "R.weight", options.Rank, 1),
                    AddZeros(name + "B.weight", output, options.Rank),
                    options.Mlp ? AddNormal(name + "C.weight", InitialDeviation, output, output) : null
                )
            );
            if (map.BiasName is not null)
            {
                _folded.Add(map.BiasName);
            }
        }
    }

    /// <inheritdoc/>
    internal override Tensor AfterLinear(LayerId place, Tensor input, Tensor output) =>
        _biases.TryGetValue(place, out Factors factors) ? output.Add(Bias(factors)) : output;

    /// <inheritdoc/>
    internal override bool FoldsInto(string name) => _folded.Contains(name);

    /// <inheritdoc/>
    internal override PeftModule? Fold(LanguageModel model)
    {
        if (_folded.Count == 0)
        {
            return this;
        }

        using IDisposable noGradients = no_grad();
        using DisposeScope scope = NewDisposeScope();
        foreach (LinearLayer map in model.LinearLayersOf(((LowRankBiasOptions)Options).Targets))
        {
            map.Bias!.Add_(Bias(_biases[map.Place]));
        }

        return null;
    }

    /// <summary>The bias that is added to a layer's output, <c>[out]</c>.</summary>
    private Tensor Bias(Factors factors)
    {
        Tensor bias = factors.B.mm(factors.R);
        return (factors.C is null ? bias : factors.C.mm(bias.tanh())).squeeze(1).Mul(_scale);
    }

    private readonly record struct Factors(Tensor R, Tensor B, Tensor? C);
}
