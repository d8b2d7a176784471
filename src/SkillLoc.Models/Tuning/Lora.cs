using SkillLoc.Models.Backbones;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace SkillLoc.Models.Tuning;

/// <summary>
/// Low-rank adaptation (Hu et al. 2022): W x becomes W x + (alpha / r) B A x. A is drawn uniformly (Kaiming, a = sqrt 5) and B starts
/// at zero, so that training starts from the pre-trained model; <see cref="LanguageModel.FoldAdaptation"/> adds the product to W.
/// </summary>
/// <remarks>
/// Parameters, for each targeted linear map (such as <c>roberta.encoder.layer.0.attention.self.query</c>):
/// <c>MAP.lora_A.weight</c> <c>[rank, in]</c> and <c>MAP.lora_B.weight</c> <c>[out, rank]</c>, as PEFT calls them after its own prefix.
/// </remarks>
public sealed class Lora : Adaptation
{
    private readonly Dictionary<LinearPlace, Update> _updates = [];
    private readonly double _scale;

    internal Lora(LanguageModel model, LoraOptions options, ParameterSource source)
        : base(model, options, source)
    {
        _scale = options.Alpha / options.Rank;
        foreach (LinearMap map in model.LinearMaps(options.Targets))
        {
            _updates.Add(map.Place, new(
                map.WeightName,
                AddUniform(map.Name + ".lora_A.weight", options.Rank, map.Weight.size(1)),
                AddZeros(map.Name + ".lora_B.weight", map.Weight.size(0), options.Rank)));
        }
    }

    /// <inheritdoc/>
    internal override Tensor AfterLinear(LinearPlace place, Tensor input, Tensor output) =>
        _updates.TryGetValue(place, out Update update)
            ? output + (F.linear(F.linear(input, update.A), update.B) * _scale)
            : output;

    /// <inheritdoc/>
    internal override bool FoldsInto(string name) => _updates.Values.Any(update => update.WeightName == name);

    /// <inheritdoc/>
    internal override Adaptation? Fold(LanguageModel model)
    {
        using IDisposable noGradients = no_grad();
        using var scope = NewDisposeScope();
        foreach (LinearMap map in model.LinearMaps(((LoraOptions)Options).Targets))
        {
            using var one = NewDisposeScope();
            (_, Tensor a, Tensor b) = _updates[map.Place];
            map.Weight.add_(b.mm(a) * _scale);
        }

        return null;
    }

    private readonly record struct Update(string WeightName, Tensor A, Tensor B);
}
