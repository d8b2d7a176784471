using SkillLoc.Models.Backbones;
using SkillLoc.Models.NativeCalls;
using TorchSharp;
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
internal sealed class Lora : Adaptation
{
    private const double InitialDeviation = 0.02;

    private readonly Dictionary<LinearPlace, Update> _updates = [];
    private readonly HashSet<string> _folded = new(StringComparer.Ordinal);
    private readonly double _scale;

    internal Lora(LanguageModel model, LoraOptions options, ParameterSource source)
        : base(model, options, source)
    {
        _scale = options.Alpha / options.Rank;
        foreach (LinearMap map in model.LinearMaps(options.Targets))
        {
            long rank = options.Rank, input = map.Weight.size(1), output = map.Weight.size(0);
            string name = map.Name + ".lora_";
            _updates.Add(map.Place, new(
                AddUniform(name + "A.weight", rank, input), options.Bias ? AddZeros(name + "A.bias", rank) : null,
                AddZeros(name + "B.weight", output, rank), options.Bias ? AddZeros(name + "B.bias", output) : null,
                options.Mlp ? AddNormal(name + "C.weight", InitialDeviation, output, output) : null));
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
    internal override Tensor AfterLinear(LinearPlace place, Tensor input, Tensor output)
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
    internal override Adaptation? Fold(LanguageModel model)
    {
        if (_folded.Count == 0)
        {
            return this;
        }

        using IDisposable noGradients = no_grad();
        using var scope = NewDisposeScope();
        foreach (LinearMap map in model.LinearMaps(((LoraOptions)Options).Targets))
        {
            using var one = NewDisposeScope();
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
