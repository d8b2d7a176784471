using SkillLoc.Models.Backbones;
using SkillLoc.Models.NativeCalls;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace SkillLoc.Models.Tuning;

/// <summary>
/// LoRA as PEFT's files have it: each module has a rank and a scale of its own. W x becomes W x + s (B A x + b).
/// <see cref="LanguageModel.FoldAdaptation"/> folds the products into the weights.
/// </summary>
/// <remarks>Parameters, for each module: <c>MODULE.lora_A.weight</c> <c>[rank, in]</c>, <c>MODULE.lora_B.weight</c> <c>[out, rank]</c> and
/// optionally <c>MODULE.lora_B.bias</c> <c>[out]</c>. Queries, keys and values of GPT-2 are one module.</remarks>
internal sealed class LoadedLora : PeftModule
{
    private readonly Dictionary<LayerId, Update> _updates = [];
    private readonly HashSet<string> _folded = new(StringComparer.Ordinal);

    internal LoadedLora(LanguageModel model, LoadedLoraOptions options, ParameterSource source)
        : base(model, options, source)
    {
        foreach (IGrouping<string, LinearLayer> maps in MapsOf(model))
        {
            if (options.Modules.FirstOrDefault(module => module.Name == maps.Key) is not { } module)
            {
                continue;
            }

            LinearLayer[] parts = [.. maps];
            long input = parts[0].Weight.size(1),
                output = parts.Sum(part => part.Weight.size(0)),
                start = 0;
            Parameter a = AddUniform(module.Name + ".lora_A.weight", module.Rank, input),
                b = AddZeros(module.Name + ".lora_B.weight", output, module.Rank);
            Parameter? bias = module.Bias ? AddZeros(module.Name + ".lora_B.bias", output) : null;
            foreach (LinearLayer part in parts)
            {
                long rows = part.Weight.size(0);
                _updates.Add(part.Place, new(a, b, bias, start, rows, module.Scale));
                start += rows;
            }

            _folded.Add(parts[0].WeightName);
            if (module.Bias && parts[0].BiasName is { } name)
            {
                _folded.Add(name);
            }
        }
    }

    /// <summary>A model's linear layers by the module whose weight they are.</summary>
    public static IEnumerable<IGrouping<string, LinearLayer>> MapsOf(LanguageModel model) =>
        Enumerable
            .Range(0, model.Config.Layers + model.Config.DecoderLayers)
            .SelectMany(model.LinearLayersOf)
            .GroupBy(map => map.WeightName[..map.WeightName.LastIndexOf('.')], StringComparer.Ordinal);

    /// <inheritdoc/>
    internal override Tensor AfterLinear(LayerId place, Tensor input, Tensor output) =>
        _updates.TryGetValue(place, out Update update)
            ? output.Add(F.linear(F.linear(input, update.A), update.Rows(update.B)!, update.Rows(update.Bias)).Mul(update.Scale))
            : output;

    /// <inheritdoc/>
    internal override bool FoldsInto(string name) => _folded.Contains(name);

    /// <inheritdoc/>
    internal override PeftModule? Fold(LanguageModel model)
    {
        using IDisposable noGradients = no_grad();
        using DisposeScope scope = NewDisposeScope();
        foreach (LinearLayer map in Enumerable.Range(0, model.Config.Layers + model.Config.DecoderLayers).SelectMany(model.LinearLayersOf))
        {
            if (_updates.TryGetValue(map.Place, out Update update))
            {
                map.Weight.Add_(update.Rows(update.B)!.mm(update.A).Mul(update.Scale));
                if (update.Rows(update.Bias) is { } bias)
                {
                    map.Bias!.Add_(bias.Mul(update.Scale));
                }
            }
        }

        return null;
    }

    private readonly record struct Update(Tensor A, Tensor B, Tensor? Bias, long Start, long Count, double Scale)
    {
        public Tensor? Rows(Tensor? x) => x is null || x.size(0) == Count ? x : x.narrow(0, Start, Count);
    }
}

/// <summary>LoRA with a rank and a scale for each module.</summary>
internal sealed record LoadedLoraOptions : TuningOptions
{
    /// <summary>The modules.</summary>
    public IReadOnlyList<LoadedLoraModule> Modules { get; init; } = [];

    /// <inheritdoc/>
    internal override LoadedLora Build(LanguageModel model, ParameterSource source) => new(model, this, source);
}

/// <summary>A module with LoRA.</summary>
/// <param name="Name">Its Hugging Face name.</param>
/// <param name="Rank">The rank.</param>
/// <param name="Scale">What the product is multiplied by.</param>
/// <param name="Bias">Whether B has a bias.</param>
internal sealed record LoadedLoraModule(string Name, int Rank, double Scale, bool Bias);
