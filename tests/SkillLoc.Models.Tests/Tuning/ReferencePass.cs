using SkillLoc.Models.Backbones;
using SkillLoc.Models.Tuning;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Tuning;

/// <summary>
/// RoBERTa's pass over one row, written out from the papers' formulas with matrix products and elementary functions in float64:
/// LoRA and low-rank biases as sums, adapters and prefixes where they belong (methods, C.3).
/// </summary>
internal sealed class ReferencePass(LanguageModel model)
{
    private readonly TuningOptions? _options = model.PeftModule?.Options;

    /// <returns>Hidden states, <c>[length, hidden]</c>.</returns>
    public Tensor Run(int[] ids)
    {
        Tensor x = cat(
            [
                .. ids.Select(
                    (id, i) =>
                        (
                            Of("embeddings.word_embeddings.weight")[id]
                            + Of("embeddings.position_embeddings.weight")[i + 2]
                            + Of("embeddings.token_type_embeddings.weight")[0]
                        ).unsqueeze(0)
                ),
            ],
            0
        );
        x = Norm(x, "embeddings.LayerNorm");
        for (int i = 0; i < model.Config.Layers; i++)
        {
            x = Layer(x, i);
        }

        return x;
    }

    private Tensor Layer(Tensor x, int i)
    {
        string at = $"encoder.layer.{i}.";
        int heads = model.Config.Heads,
            size = model.Config.HiddenSize / heads;
        Tensor query = Linear(x, at + "attention.self.query"),
            key = Linear(x, at + "attention.self.key"),
            value = Linear(x, at + "attention.self.value");
        var contexts = new List<Tensor>();
        for (int head = 0; head < heads; head++)
        {
            Tensor q = query.narrow(1, head * size, size),
                k = key.narrow(1, head * size, size),
                v = value.narrow(1, head * size, size);
            if (_options is PrefixOptions prefix)
            {
                k = cat([Prefix(prefix, i, 0, head), k], 0);
                v = cat([Prefix(prefix, i, 1, head), v], 0);
            }

            Tensor scores = (q.mm(k.transpose(0, 1)) / Math.Sqrt(size)).exp();
            contexts.Add((scores / scores.sum(dim: 1, keepdim: true)).mm(v));
        }

        Tensor output = Linear(cat(contexts, 1), at + "attention.output.dense");
        Tensor attended = Norm(Houlsby(output, at + "attention.output.dense") + x, at + "attention.output.LayerNorm");
        Tensor inner = Linear(attended, at + "intermediate.dense");
        Tensor h = Linear(inner * (1 + (inner / Math.Sqrt(2)).erf()) / 2, at + "output.dense");
        h = Houlsby(h, at + "output.dense") + attended;
        return _options is AdapterOptions { Placement: AdapterPlacement.Pfeiffer }
            ? Norm(Adapter(Norm(h, at + "output.LayerNorm"), at + "output.dense") + h, at + "output.LayerNorm")
            : Norm(h, at + "output.LayerNorm");
    }

    /// <summary>The view of prefixes (methods, C.3), by index: [layers, 2, heads, length, size] over the memory of [length, layers * 2 *
    /// hidden].</summary>
    private Tensor Prefix(PrefixOptions options, int layer, int which, int head)
    {
        int size = model.Config.HiddenSize / model.Config.Heads;
        Tensor flat = options.ProjectionSize is null
            ? Added("prefix.key_values").view(-1)
            : Added("prefix.embedding.weight")
                .mm(Added("prefix.transform.0.weight").transpose(0, 1))
                .tanh()
                .mm(Added("prefix.transform.2.weight").transpose(0, 1))
                .view(-1);
        long start = (((layer * 2L) + which) * model.Config.Heads + head) * options.Length * size;
        return flat.narrow(0, start, options.Length * size).view(options.Length, size);
    }

    private Tensor Houlsby(Tensor x, string map) =>
        _options is AdapterOptions { Placement: AdapterPlacement.Houlsby } ? x + Adapter(x, map) : x;

    private Tensor Adapter(Tensor x, string map)
    {
        var options = (AdapterOptions)_options!;
        string name = $"roberta.{map}.adapter.";
        Tensor down = x.mm(Added(name + "down.weight").transpose(0, 1));
        down = options.Bias ? down + Added(name + "down.bias") : down;
        Tensor active = (options.Activation, options.Placement) switch
        {
            (AdapterActivation.Gelu, _) => down * (1 + (down / Math.Sqrt(2)).erf()) / 2,
            (AdapterActivation.Swish, _) => down / (1 + (-down).exp()),
            (null, AdapterPlacement.Pfeiffer) => (down + down.abs()) / 2,
            _ => down * (1 + ((down + (down * down * down * 0.044715)) * Math.Sqrt(2 / Math.PI)).tanh()) / 2,
        };
        Tensor up = active.mm(Added(name + "up.weight").transpose(0, 1));
        return options.Bias ? up + Added(name + "up.bias") : up;
    }

    private Tensor Linear(Tensor x, string name)
    {
        Tensor y = x.mm(Of(name + ".weight").transpose(0, 1)) + Of(name + ".bias");
        string added = "roberta." + name + ".lora_";
        if (!model.PeftModule!.Parameters.ContainsKey(added + "B.weight"))
        {
            return y;
        }

        Tensor b = Added(added + "B.weight").transpose(0, 1);
        if (_options is LowRankBiasOptions low)
        {
            Tensor bias = Added(low.ShareR ? "lora_R.weight" : added + "R.weight").transpose(0, 1).mm(b);
            return y + ((low.Mlp ? bias.tanh().mm(Added(added + "C.weight").transpose(0, 1)) : bias) * (low.Alpha / low.Rank));
        }

        var lora = (LoraOptions)_options!;
        Tensor inner = x.mm(Added(added + "A.weight").transpose(0, 1));
        inner = (lora.Bias ? inner + Added(added + "A.bias") : inner).mm(b);
        inner = lora.Bias ? inner + Added(added + "B.bias") : inner;
        return y + ((lora.Mlp ? inner.tanh().mm(Added(added + "C.weight").transpose(0, 1)) : inner) * (lora.Alpha / lora.Rank));
    }

    private Tensor Norm(Tensor x, string name)
    {
        Tensor centred = x - x.mean([1], keepdim: true);
        Tensor variance = (centred * centred).mean([1], keepdim: true);
        return (centred / (variance + model.Config.LayerNormEpsilon).sqrt() * Of(name + ".weight")) + Of(name + ".bias");
    }

    private Tensor Of(string name) => model.Parameters["roberta." + name].to(ScalarType.Float64);

    private Tensor Added(string name) => model.PeftModule!.Parameters[name].to(ScalarType.Float64);
}
