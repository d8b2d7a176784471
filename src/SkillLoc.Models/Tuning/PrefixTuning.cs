using System.Text.Json.Serialization;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace SkillLoc.Models.Tuning;

/// <summary>
/// Prefix tuning (Li and Liang 2021; methods, C.3): prepends keys and values in every self-attention, which every position may attend to.
/// They are computed from a table by two linear layers with tanh between, without biases; after training,
/// <see cref="LanguageModel.FoldAdaptation"/> keeps only the keys and values. T5 has one prefix per stack, without relative position bias,
/// and none in the cross-attention.
/// </summary>
/// <remarks>
/// Parameters: <c>prefix.embedding.weight</c> <c>[length, hidden]</c>, <c>prefix.transform.0.weight</c> <c>[projection, hidden]</c> and
/// <c>prefix.transform.2.weight</c> <c>[layers * 2 * heads * head size, projection]</c>, whose result is viewed in memory order as
/// <c>[layers, 2, heads, length, head size]</c>; or, without a projection, <c>prefix.key_values</c> of that shape. In T5 these names exist
/// twice, as <c>encoder.prefix…</c> and <c>decoder.prefix…</c>.
/// </remarks>
internal sealed class PrefixTuning : PeftModule
{
    private const string KeyValuesName = ".key_values";
    private readonly StackPrefix _first;
    private readonly StackPrefix? _decoder;

    internal PrefixTuning(LanguageModel model, PrefixOptions options, ParameterSource source)
        : base(model, options, source)
    {
        ModelConfig config = model.Config;
        bool stacks = model is T5ForConditionalGeneration;
        _first = PrefixAt(stacks ? "encoder.prefix" : "prefix", config.Layers);
        _decoder = stacks ? PrefixAt("decoder.prefix", config.DecoderLayers) : null;

        StackPrefix PrefixAt(string name, long layers)
        {
            long[] shape = [layers, 2, config.Heads, options.Length, config.HeadSize];
            return options.ProjectionSize is { } inner
                ? new(
                    name,
                    shape,
                    AddNormal(name + ".embedding.weight", options.InitialDeviation, options.Length, config.HiddenSize),
                    (
                        AddUniform(name + ".transform.0.weight", inner, config.HiddenSize),
                        AddUniform(name + ".transform.2.weight", layers * 2 * config.Heads * config.HeadSize, inner)
                    )
                )
                : new(name, shape, AddNormal(name + KeyValuesName, options.InitialDeviation, shape), null);
        }
    }

    /// <inheritdoc/>
    internal override Tensor? KeyValues(bool decoder = false) => (decoder ? _decoder : _first)?.KeyValues();

    /// <summary>Prepends a layer's part of <see cref="KeyValues"/> to its keys and values.</summary>
    /// <param name="prefix"><c>[2, heads, prefix, head size]</c>.</param>
    /// <param name="keys"><c>[batch, heads, length, head size]</c>.</param>
    /// <param name="values">The same.</param>
    /// <returns>Both, longer by the prefix.</returns>
    internal static (Tensor Keys, Tensor Values) Prepend(Tensor prefix, Tensor keys, Tensor values)
    {
        return (Before(0, keys), Before(1, values));

        Tensor Before(long which, Tensor own) => cat([prefix[which].unsqueeze(0).expand(own.size(0), -1, -1, -1), own], 2);
    }

    /// <inheritdoc/>
    internal override PeftModule Fold(LanguageModel model)
    {
        if (_first.Projection is null)
        {
            return this;
        }

        using IDisposable noGradients = no_grad();
        using DisposeScope scope = NewDisposeScope();
        return ((PrefixOptions)Options with { ProjectionSize = null }).Build(
            model,
            (name, _, _) => KeyValues(decoder: name == _decoder?.Name + KeyValuesName)!
        );
    }

    /// <summary>The prefix of one stack.</summary>
    private sealed record StackPrefix(string Name, long[] Shape, Tensor Table, (Tensor First, Tensor Second)? Projection)
    {
        public Tensor KeyValues()
        {
            if (Projection is not var (first, second))
            {
                return Table;
            }

            using DisposeScope scope = NewDisposeScope();
            return F.linear(F.linear(Table, first).tanh(), second).view(Shape).MoveToOuterDisposeScope();
        }
    }
}

/// <summary>Prefix tuning: trainable keys and values prepended in each layer (Li and Liang 2021).</summary>
public sealed record PrefixOptions : TuningOptions
{
    /// <summary>Number of keys and values in each layer, 1 or more; 100 by default.</summary>
    public int Length { get; init; } = 100;

    /// <summary>Width of the projection that produces the keys and values, 1 or more; null trains them directly. 512 by default.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public int? ProjectionSize { get; init; } = 512;

    /// <summary>Standard deviation of the initialisation of the table, or of the keys and values without a projection, above 0; 0.02 by
    /// default.</summary>
    public double InitialDeviation { get; init; } = 0.02;

    /// <inheritdoc/>
    internal override PrefixTuning Build(LanguageModel model, ParameterSource source)
    {
        RequirePositive(Length, "The prefix's Length");
        RequirePositive(InitialDeviation, "The prefix's InitialDeviation");
        if (ProjectionSize is { } size)
        {
            RequirePositive(size, "The prefix's ProjectionSize");
        }

        return new(model, this, source);
    }
}
