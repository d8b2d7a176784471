using SkillLoc.Models.Backbones;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace SkillLoc.Models.Tuning;

/// <summary>
/// Prefix tuning (Li and Liang 2021, as in mode connectivity, C.3): every self-attention gets keys and values before those of its
/// input, which every position may attend to. They come from a table by a linear map, tanh and another, without biases; after
/// training <see cref="LanguageModel.FoldAdaptation"/> keeps the keys and values alone.
/// </summary>
/// <remarks>
/// Parameters: <c>prefix.embedding.weight</c> <c>[length, hidden]</c>, <c>prefix.transform.0.weight</c> <c>[projection, hidden]</c> and
/// <c>prefix.transform.2.weight</c> <c>[layers * 2 * hidden, projection]</c>, whose result is viewed in memory order as
/// <c>[layers, 2, heads, length, hidden / heads]</c>; or, without a projection, <c>prefix.key_values</c> of that shape.
/// </remarks>
public sealed class PrefixTuning : Adaptation
{
    private const string KeyValuesName = "prefix.key_values";
    private readonly long[] _shape;
    private readonly Parameter _table;
    private readonly (Tensor First, Tensor Second)? _projection;

    internal PrefixTuning(LanguageModel model, PrefixOptions options, ParameterSource source)
        : base(model, options, source)
    {
        long hidden = model.Config.HiddenSize, layers = model.Config.Layers, heads = model.Config.Heads;
        _shape = [layers, 2, heads, options.Length, hidden / heads];
        if (options.ProjectionSize is { } inner)
        {
            _table = AddNormal("prefix.embedding.weight", options.InitialDeviation, options.Length, hidden);
            _projection = (
                AddUniform("prefix.transform.0.weight", inner, hidden),
                AddUniform("prefix.transform.2.weight", layers * 2 * hidden, inner));
        }
        else
        {
            _table = AddNormal(KeyValuesName, options.InitialDeviation, _shape);
        }
    }

    /// <inheritdoc/>
    internal override Tensor KeyValues()
    {
        if (_projection is not var (first, second))
        {
            return _table;
        }

        using var scope = NewDisposeScope();
        return F.linear(F.linear(_table, first).tanh(), second).view(_shape).MoveToOuterDisposeScope();
    }

    /// <summary>Puts a layer's share of <see cref="KeyValues"/> before its keys and values.</summary>
    /// <param name="prefix">All of them.</param>
    /// <param name="layer">Zero-based layer.</param>
    /// <param name="keys"><c>[batch, heads, length, hidden / heads]</c>.</param>
    /// <param name="values">The same.</param>
    /// <returns>Both, longer by the prefix.</returns>
    internal static (Tensor Keys, Tensor Values) Prepend(Tensor prefix, int layer, Tensor keys, Tensor values)
    {
        return (Before(0, keys), Before(1, values));

        Tensor Before(long which, Tensor own) => cat([prefix[layer, which].unsqueeze(0).expand(own.size(0), -1, -1, -1), own], 2);
    }

    /// <inheritdoc/>
    internal override Adaptation Fold(LanguageModel model)
    {
        if (_projection is null)
        {
            return this;
        }

        using IDisposable noGradients = no_grad();
        using var scope = NewDisposeScope();
        return ((PrefixOptions)Options with { ProjectionSize = null }).Build(model, (_, _, _) => KeyValues());
    }
}
