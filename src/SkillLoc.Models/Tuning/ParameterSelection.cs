using SkillLoc.Models.Backbones;

namespace SkillLoc.Models.Tuning;

/// <summary>Which pre-trained parameters train, and so which a graft considers (methods, A.8).</summary>
public sealed record ParameterSelection
{
    /// <summary>Keep token, position and segment embeddings as they are. The first version of T5 reads its head from them too.</summary>
    public bool FixEmbeddings { get; init; } = true;

    /// <summary>Keep the pre-trained head (pooler, language-model head, GPT-2's and T5's last layer norms) as it is. A freshly made classification head always trains.</summary>
    public bool FixHead { get; init; } = true;

    /// <summary>Keep this many of the lowest layers as they are, of T5's encoder and decoder alike.</summary>
    public int FixLayers { get; init; }

    /// <summary>Within layers and head, train parameters named "bias" only (BitFit; layer norms' biases count, and T5's relative positions,
    /// which are all the biases that it has).</summary>
    /// <remarks>For GPT-2 too, where the paper's code ignores it.</remarks>
    public bool BiasOnly { get; init; }

    /// <summary>Whether a parameter trains.</summary>
    /// <param name="name">Its Hugging Face name.</param>
    /// <returns>True when it trains.</returns>
    public bool Selects(string name)
    {
        ParameterPlace place = ParameterPlace.Of(name);
        bool kind = !BiasOnly || name.Contains("bias", StringComparison.Ordinal);
        return place.Region switch
        {
            ParameterRegion.Layer => place.Layer >= FixLayers && kind,
            ParameterRegion.Embeddings => !FixEmbeddings,
            _ => !FixHead && kind,
        };
    }

    /// <summary>The names of a model's parameters that train, in the model's order.</summary>
    /// <param name="model">The model.</param>
    /// <returns>The names.</returns>
    /// <exception cref="ArgumentException"><see cref="FixLayers"/> is not within the model.</exception>
    public IReadOnlyList<string> Of(LanguageModel model)
    {
        ArgumentNullException.ThrowIfNull(model);
        if (FixLayers < 0 || FixLayers > model.Config.Layers)
        {
            throw new ArgumentException($"FixLayers is {FixLayers}; this model has {model.Config.Layers} layers.", nameof(model));
        }

        return [.. model.Parameters.Keys.Where(Selects)];
    }
}
