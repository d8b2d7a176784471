using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tuning;

/// <summary>
/// PEFT's prefix tuning: keys and values before those of the text, as if tokens had been read there, so that the text's positions continue
/// from theirs; in T5 in the decoder's self-attention only, with relative position bias.
/// </summary>
/// <remarks>Parameter: <c>past_key_values</c> (in T5 <c>decoder.past_key_values</c>) <c>[layers, 2, heads, length, head
/// size]</c>.</remarks>
internal sealed class PastKeyValues : PeftModule
{
    private readonly Parameter _values;
    private readonly bool _isOfDecoder;

    internal PastKeyValues(LanguageModel model, PastKeyValueOptions options, ParameterSource source)
        : base(model, options, source)
    {
        ModelConfig config = model.Config;
        _isOfDecoder = config.IsEncoderDecoder;
        PastPositions = options.Length;
        if (options.Length >= model.MaxLength)
        {
            throw new ArgumentException($"The prefix takes {options.Length} positions, and this model has {model.MaxLength}.");
        }

        _values = AddNormal(
            NameOf(config),
            1.0 / 50,
            _isOfDecoder ? config.DecoderLayers : config.Layers,
            2,
            config.Heads,
            options.Length,
            config.HeadSize
        );
    }

    /// <inheritdoc/>
    internal override int PastPositions { get; }

    /// <summary>The parameter's name.</summary>
    public static string NameOf(ModelConfig config) => config.IsEncoderDecoder ? "decoder.past_key_values" : "past_key_values";

    /// <inheritdoc/>
    internal override Tensor? KeyValues(bool decoder = false) => decoder == _isOfDecoder ? _values : null;
}

/// <summary>PEFT's prefix tuning.</summary>
internal sealed record PastKeyValueOptions : TuningOptions
{
    /// <summary>The number of keys and values of a layer, 1 or more.</summary>
    public int Length { get; init; } = 16;

    /// <inheritdoc/>
    internal override PastKeyValues Build(LanguageModel model, ParameterSource source)
    {
        RequirePositive(Length, "The past's Length");
        return new(model, this, source);
    }
}
