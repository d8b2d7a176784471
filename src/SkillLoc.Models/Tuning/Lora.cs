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
    private readonly Dictionary<(int Layer, LinearLayers Map), Update> _updates = [];
    private readonly double _scale;

    internal Lora(LanguageModel model, LoraOptions options, ParameterSource source)
        : base(model, options, source)
    {
        _scale = options.Alpha / options.Rank;
        LinearLayers[] targets = [.. Enum.GetValues<LinearLayers>().Where(map => map != LinearLayers.None && options.Targets.HasFlag(map))];
        for (int i = 0; i < model.Config.Layers; i++)
        {
            foreach (LinearLayers map in targets)
            {
                LinearMap linear = model.Linear(i, map);
                _updates.Add((i, map), new(
                    linear.WeightName,
                    AddUniform(linear.Name + ".lora_A.weight", options.Rank, linear.Weight.size(1)),
                    AddZeros(linear.Name + ".lora_B.weight", linear.Weight.size(0), options.Rank)));
            }
        }
    }

    /// <inheritdoc/>
    internal override Tensor AfterLinear(int layer, LinearLayers map, Tensor input, Tensor output) =>
        _updates.TryGetValue((layer, map), out Update update)
            ? output + (F.linear(F.linear(input, update.A), update.B) * _scale)
            : output;

    /// <inheritdoc/>
    internal override bool FoldsInto(string name) => _updates.Values.Any(update => update.WeightName == name);

    /// <inheritdoc/>
    internal override Adaptation? Fold(LanguageModel model)
    {
        using IDisposable noGradients = no_grad();
        foreach (((int layer, LinearLayers map), Update update) in _updates)
        {
            using var scope = NewDisposeScope();
            model.Linear(layer, map).Weight.add_(update.B.mm(update.A) * _scale);
        }

        return null;
    }

    private readonly record struct Update(string WeightName, Tensor A, Tensor B);
}
