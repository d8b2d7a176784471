using SkillLoc.Models.Backbones;

namespace SkillLoc.Models.Tuning;

/// <summary>Selects the pre-trained parameters that train, which are also those that a graft considers (methods, A.8).</summary>
public sealed record ParameterSelection
{
    /// <summary>Freezes token, position and segment embeddings, which are also the head of T5 1.0; true by default.</summary>
    public bool FixEmbeddings { get; init; } = true;

    /// <summary>Freezes the pre-trained head: pooler, language-model head, and the final layer norms of GPT-2 and T5; true by default. A
    /// new classification head always trains.</summary>
    public bool FixHead { get; init; } = true;

    /// <summary>Number of lowest layers to freeze, in T5 of both encoder and decoder; 0 by default.</summary>
    public int FixLayers { get; init; }

    /// <summary>Trains only parameters named "bias" within layers and head (BitFit), those of layer norms and T5's relative positions
    /// included; false by default.</summary>
    /// <remarks>Also applies to GPT-2, where the paper's code ignores it.</remarks>
    public bool BiasOnly { get; init; }

    /// <summary>Whether a parameter trains.</summary>
    /// <param name="name">Its Hugging Face name.</param>
    /// <returns>True when it trains.</returns>
    public bool Selects(string name)
    {
        var place = ParameterPlace.Of(name);
        bool kind = !BiasOnly || name.Contains("bias", StringComparison.Ordinal);
        return place.Region switch
        {
            ParameterRegion.Layer => place.Layer >= FixLayers && kind,
            ParameterRegion.Embeddings => !FixEmbeddings,
            _ => !FixHead && kind,
        };
    }

    /// <summary>Returns the names of a model's parameters that train, in the model's order.</summary>
    /// <param name="model">The model.</param>
    /// <returns>The names.</returns>
    /// <exception cref="ArgumentException"><see cref="FixLayers"/> is outside the model.</exception>
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
