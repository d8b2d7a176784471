using SkillLoc.Models.Backbones;
using SkillLoc.Models.NativeCalls;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tuning;

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
internal sealed class LowRankBias : Adaptation
{
    private const double InitialDeviation = 0.02;

    private readonly Dictionary<LinearPlace, Factors> _biases = [];
    private readonly HashSet<string> _folded = new(StringComparer.Ordinal);
    private readonly double _scale;

    internal LowRankBias(LanguageModel model, LowRankBiasOptions options, ParameterSource source)
        : base(model, options, source)
    {
        _scale = options.Alpha / options.Rank;
        Parameter? shared = options.ShareR ? AddUniform("lora_R.weight", options.Rank, 1) : null;
        foreach (LinearMap map in model.LinearMaps(options.Targets))
        {
            long output = map.Weight.size(0);
            string name = map.Name + ".lora_";
            _biases.Add(map.Place, new(
                shared ?? AddUniform(name + "R.weight", options.Rank, 1),
                AddZeros(name + "B.weight", output, options.Rank),
                options.Mlp ? AddNormal(name + "C.weight", InitialDeviation, output, output) : null));
            if (map.BiasName is not null)
            {
                _folded.Add(map.BiasName);
            }
        }
    }

    /// <inheritdoc/>
    internal override Tensor AfterLinear(LinearPlace place, Tensor input, Tensor output) =>
        _biases.TryGetValue(place, out Factors factors) ? output.Add(Bias(factors)) : output;

    /// <inheritdoc/>
    internal override bool FoldsInto(string name) => _folded.Contains(name);

    /// <inheritdoc/>
    internal override Adaptation? Fold(LanguageModel model)
    {
        if (_folded.Count == 0)
        {
            return this;
        }

        using IDisposable noGradients = no_grad();
        using var scope = NewDisposeScope();
        foreach (LinearMap map in model.LinearMaps(((LowRankBiasOptions)Options).Targets))
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
