using SkillLoc.Models.Backbones;
using SkillLoc.Models.Tuning;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Tuning;

/// <summary>
/// T5's pass over one text, written out with matrix products and elementary functions in float64: LoRA and low-rank biases as sums,
/// adapters, prefixes and prompts where they belong (methods, C.3). For texts so short that every distance has a bucket of its own.
/// </summary>
internal sealed class T5ReferencePass(LanguageModel model)
{
    private readonly TuningOptions? _options = model.PeftModule?.Options;

    /// <returns>The encoder's last hidden states, <c>[length, hidden]</c>, a prompt's first.</returns>
    public Tensor Encode(int[] ids)
    {
        Tensor x = Words(ids);
        return Run("encoder", _options is SoftPromptOptions ? cat([Added("prompt")[0], x], 0) : x, null);
    }

    /// <returns>The decoder's last hidden states, <c>[steps, hidden]</c>.</returns>
    public Tensor Decode(int[] ids, int[] read) => Run("decoder", Words(read), Encode(ids));

    private Tensor Words(int[] ids) => cat([.. ids.Select(id => Of("shared")[id].unsqueeze(0))], 0);

    private Tensor Run(string stack, Tensor x, Tensor? text)
    {
        int layers = text is null ? model.Config.Layers : model.Config.DecoderLayers;
        for (int i = 0; i < layers; i++)
        {
            string at = $"{stack}.block.{i}.layer.";
            Tensor normed = Norm(x, at + "0.layer_norm");
            x += Attend(at + "0.SelfAttention", normed, normed, text is not null, (stack, i));
            if (text is not null)
            {
                x += Attend(at + "1.EncDecAttention", Norm(x, at + "1.layer_norm"), text, false, null);
            }

            x += FeedForward(at + (text is null ? "1." : "2."), x);
        }

        return Norm(x, stack + ".final_layer_norm");
    }

    private Tensor Attend(string name, Tensor asking, Tensor asked, bool causal, (string Stack, int Layer)? self)
    {
        int size = model.Config.HeadSize;
        Tensor query = Linear(asking, name + ".q"),
            key = Linear(asked, name + ".k"),
            value = Linear(asked, name + ".v");
        var contexts = new List<Tensor>();
        for (int head = 0; head < model.Config.Heads; head++)
        {
            Tensor q = query.narrow(1, head * size, size),
                k = key.narrow(1, head * size, size),
                v = value.narrow(1, head * size, size);
            Tensor scores = q.mm(k.transpose(0, 1));
            if (self is var (stack, layer))
            {
                scores = (scores + Distances(stack, head, (int)scores.size(0))).exp();
                scores = causal ? scores.tril() : scores;
                if (_options is PrefixOptions prefix)
                {
                    scores = cat([q.mm(Prefix(prefix, stack, layer, 0, head).transpose(0, 1)).exp(), scores], 1);
                    v = cat([Prefix(prefix, stack, layer, 1, head), v], 0);
                }
            }
            else
            {
                scores = scores.exp();
            }

            contexts.Add((scores / scores.sum(dim: 1, keepdim: true)).mm(v));
        }

        Tensor output = Linear(cat(contexts, 1), name + ".o");
        return _options is AdapterOptions { Placement: AdapterPlacement.Houlsby } ? Adapter(output, name + ".o") : output;
    }

    /// <summary>32 buckets: of the encoder's the first 16 are for what is before, the others for what is after, and those from 0 to 8 stand
    /// for one distance each; of the decoder's the first 16 do.</summary>
    private Tensor Distances(string stack, int head, int length)
    {
        Tensor table = Of(stack + ".block.0.layer.0.SelfAttention.relative_attention_bias");
        Assert.True(length <= 9);
        IEnumerable<int> places = Enumerable.Range(0, length);
        int after = stack == "encoder" ? 16 : 0;
        return torch
            .stack([.. places.SelectMany(query => places.Select(key => table[key <= query ? query - key : after + key - query, head]))])
            .view(length, length);
    }

    private Tensor FeedForward(string layer, Tensor x)
    {
        Tensor read = Norm(x, layer + "layer_norm");
        string name = layer + "DenseReluDense.";
        Tensor neurons;
        if (model.Config.HasGatedFeedForward)
        {
            neurons = TanhGelu(Linear(read, name + "wi_0")) * Linear(read, name + "wi_1");
        }
        else
        {
            Tensor up = Linear(read, name + "wi");
            neurons = (up + up.abs()) / 2;
        }

        Tensor output = Linear(neurons, name + "wo");
        return _options is AdapterOptions ? Adapter(output, name + "wo") : output;
    }

    /// <summary>The view of prefixes (methods, C.3), by index: [layers, 2, heads, length, size] over the memory of [length, layers * 2 *
    /// heads * size].</summary>
    private Tensor Prefix(PrefixOptions options, string stack, int layer, int which, int head)
    {
        int size = model.Config.HeadSize;
        Tensor flat = options.ProjectionSize is null
            ? Added(stack + ".prefix.key_values").view(-1)
            : Added(stack + ".prefix.embedding.weight")
                .mm(Added(stack + ".prefix.transform.0.weight").transpose(0, 1))
                .tanh()
                .mm(Added(stack + ".prefix.transform.2.weight").transpose(0, 1))
                .view(-1);
        long start = (((layer * 2L) + which) * model.Config.Heads + head) * options.Length * size;
        return flat.narrow(0, start, options.Length * size).view(options.Length, size);
    }

    private Tensor Adapter(Tensor x, string map)
    {
        var options = (AdapterOptions)_options!;
        string name = map + ".adapter.";
        Tensor down = x.mm(Added(name + "down.weight").transpose(0, 1));
        down = options.Bias ? down + Added(name + "down.bias") : down;
        Tensor active = (options.Activation, options.Placement) switch
        {
            (AdapterActivation.Gelu, _) => down * (1 + (down / Math.Sqrt(2)).erf()) / 2,
            (AdapterActivation.Swish, _) => down / (1 + (-down).exp()),
            (null, AdapterPlacement.Pfeiffer) => (down + down.abs()) / 2,
            _ => TanhGelu(down),
        };
        Tensor up = active.mm(Added(name + "up.weight").transpose(0, 1));
        return x + (options.Bias ? up + Added(name + "up.bias") : up);
    }

    private Tensor Linear(Tensor x, string name)
    {
        Tensor y = x.mm(Of(name).transpose(0, 1));
        string added = name + ".lora_";
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

    private static Tensor TanhGelu(Tensor x) => x * (1 + ((x + (x * x * x * 0.044715)) * Math.Sqrt(2 / Math.PI)).tanh()) / 2;

    private Tensor Norm(Tensor x, string name) => x / ((x * x).mean([1], keepdim: true) + model.Config.LayerNormEpsilon).sqrt() * Of(name);

    private Tensor Of(string name) => model.Parameters[name + ".weight"].to(ScalarType.Float64);

    private Tensor Added(string name) => model.PeftModule!.Parameters[name].to(ScalarType.Float64);
}
