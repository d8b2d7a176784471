using System.Globalization;
using SkillLoc.Models.Tuning;
using TorchSharp;

namespace SkillLoc.Models.Backbones;

/// <summary>The location of a parameter: region, layer, and name within the layer.</summary>
/// <param name="Region">Embeddings, a layer, or the head.</param>
/// <param name="Layer">Zero-based layer index; -1 outside the layers.</param>
/// <param name="Kind">The name within the layer, such as <c>attention.self.query.weight</c>; the whole name elsewhere. In T5, it begins
/// with the stack, since both count layers from 0: <c>decoder.layer.1.EncDecAttention.q.weight</c>.</param>
public readonly record struct ParameterPlace(ParameterRegion Region, int Layer, string Kind)
{
    private static readonly (string Marker, string Stack)[] LayerMarkers =
    [
        ("encoder.layer.", ""),
        ("transformer.h.", ""),
        ("transformer.layer.", ""),
        ("encoder.block.", "encoder."),
        ("decoder.block.", "decoder."),
    ];

    private static readonly string[] EmbeddingMarkers =
    [
        "embeddings",
        "transformer.wte.",
        "transformer.wpe.",
        "shared.",
        "relative_attention_bias",
    ];

    /// <summary>The stack of a layer in T5, <c>encoder</c> or <c>decoder</c>; empty elsewhere.</summary>
    public string Stack =>
        Region != ParameterRegion.Layer ? ""
        : Kind.StartsWith("encoder.", StringComparison.Ordinal) ? "encoder"
        : Kind.StartsWith("decoder.", StringComparison.Ordinal) ? "decoder"
        : "";

    /// <summary>The layer or region in words: <c>layer 3</c>, in T5 <c>encoder 3</c> or <c>decoder 3</c>, or <c>embeddings</c> or
    /// <c>head</c>.</summary>
    public string Area =>
        Region switch
        {
            ParameterRegion.Layer => string.Create(CultureInfo.InvariantCulture, $"{(Stack.Length > 0 ? Stack : "layer")} {Layer}"),
            ParameterRegion.Embeddings => "embeddings",
            _ => "head",
        };

    /// <summary>The sublayer, including its layer norm and the parameters of tuning methods: <c>attention</c>, <c>cross_attention</c> or
    /// <c>feed_forward</c>; empty outside the layers.</summary>
    public string Sublayer =>
        Region != ParameterRegion.Layer
            ? ""
            : Kind.Split('.') switch
            {
                ["attention" or "attn" or "ln_1" or "sa_layer_norm", ..] or ["encoder" or "decoder", "layer", "0", ..] => "attention",
                ["decoder", "layer", "1", ..] => "cross_attention",
                _ => "feed_forward",
            };

    /// <summary>The part of a transformer block, whatever the architecture calls it: <c>q</c>, <c>k</c>, <c>v</c> (<c>qkv</c> where one
    /// weight is all three), <c>o</c>, <c>ffn-in</c>, <c>ffn-out</c>, <c>norm</c> or, for the biases of linear layers, <c>bias</c>;
    /// <c>other</c> outside the layers and for the parameters of tuning methods.</summary>
    public string Module
    {
        get
        {
            string[] parts = Kind.Split('.');
            return Region != ParameterRegion.Layer || parts.Length < 2 ? "other"
                : Array.Exists(parts, part => part.Contains("norm", StringComparison.OrdinalIgnoreCase) || part is "ln_1" or "ln_2")
                    ? "norm"
                : parts[^1] == "bias" ? "bias"
                : parts[^2] switch
                {
                    "query" or "q_lin" or "q" => "q",
                    "key" or "k_lin" or "k" => "k",
                    "value" or "v_lin" or "v" => "v",
                    "c_attn" => "qkv",
                    "out_lin" or "o" => "o",
                    "c_proj" => parts[0] == "attn" ? "o" : "ffn-out",
                    "lin1" or "c_fc" or "wi" or "wi_0" or "wi_1" => "ffn-in",
                    "lin2" or "wo" => "ffn-out",
                    "dense" => parts[0] switch
                    {
                        "attention" => "o",
                        "intermediate" => "ffn-in",
                        "output" => "ffn-out",
                        _ => "other",
                    },
                    _ => "other",
                };
        }
    }

    /// <summary>Parses the place from a Hugging Face parameter name (methods, A.8).</summary>
    /// <param name="name">A name such as <c>roberta.encoder.layer.3.output.dense.bias</c> or
    /// <c>transformer.h.3.mlp.c_proj.bias</c>.</param>
    /// <returns>The place.</returns>
    public static ParameterPlace Of(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        foreach ((string marker, string stack) in LayerMarkers)
        {
            int start = name.IndexOf(marker, StringComparison.Ordinal);
            ReadOnlySpan<char> rest = start < 0 ? [] : name.AsSpan(start + marker.Length);
            int dot = rest.IndexOf('.');
            if (dot > 0 && int.TryParse(rest[..dot], NumberStyles.None, CultureInfo.InvariantCulture, out int layer))
            {
                return new(ParameterRegion.Layer, layer, stack + rest[(dot + 1)..].ToString());
            }
        }

        return Array.Exists(EmbeddingMarkers, marker => name.Contains(marker, StringComparison.Ordinal))
            ? new(ParameterRegion.Embeddings, -1, name)
            : new(ParameterRegion.Head, -1, name);
    }

    /// <summary>Returns the name of a parameter's block: its own name up to the layer number.</summary>
    /// <param name="name">The name that <see cref="Of"/> parsed, of a place in a layer.</param>
    internal string BlockIn(string name)
    {
        string number = string.Create(CultureInfo.InvariantCulture, $".{Layer}.");
        return name[..(name.IndexOf(number, StringComparison.Ordinal) + number.Length - 1)];
    }
}

/// <summary>A region of the parameters of a language model.</summary>
public enum ParameterRegion
{
    /// <summary>Token, position and segment embeddings, their normalisation, ELECTRA's projection of them, and MPNet's relative
    /// positions.</summary>
    Embeddings,

    /// <summary>A layer of the encoder, of GPT-2's stack, or of T5's decoder.</summary>
    Layer,

    /// <summary>Everything after the layers: GPT-2's and T5's last layer norms, pooler, language-model head, classifier.</summary>
    Head,
}

/// <summary>A linear layer within a transformer block.</summary>
/// <param name="Place">Its identity.</param>
/// <param name="Name">Its Hugging Face name.</param>
/// <param name="WeightName">The name of the parameter that holds its weight.</param>
/// <param name="Weight">The weight as <c>[out, in]</c>: the parameter or a view of it.</param>
/// <param name="BiasName">The name of the parameter that holds its bias; null for none, as in T5.</param>
/// <param name="Bias">The bias, <c>[out]</c>: the parameter or a view of it.</param>
internal readonly record struct LinearLayer(
    LayerId Place,
    string Name,
    string WeightName,
    torch.Tensor Weight,
    string? BiasName = null,
    torch.Tensor? Bias = null
);

/// <summary>Identifies a linear layer of a model.</summary>
/// <param name="Layer">Zero-based layer; T5's decoder layers follow those of its encoder.</param>
/// <param name="Kind">Exactly one kind.</param>
/// <param name="IsSecond">True for the second layer of its kind in a block of T5: that of the cross-attention, or the gate of the
/// feed-forward block.</param>
internal readonly record struct LayerId(int Layer, TargetModules Kind, bool IsSecond = false);
