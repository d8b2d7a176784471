using SkillLoc.Models.Checkpoints;
using TorchSharp;

namespace SkillLoc.Models.Backbones;

/// <summary>A checkpoint folder as the model that it would be loaded as, without loading it.</summary>
internal static class StoredModel
{
    /// <summary>Shapes of the model's parameters by name, those of the language-model head included where the folder has them.</summary>
    public static Dictionary<string, long[]> ShapesOf(CheckpointFolder checkpoint)
    {
        ModelConfig config = LanguageModel.Settled(checkpoint);
        return LanguageModel
            .ShapesOf(config, HasHead(checkpoint, config))
            .ToDictionary(parameter => parameter.Name, parameter => parameter.Shape, StringComparer.Ordinal);
    }

    /// <summary>The weights of the linear layers in the model's blocks: their names by those under which they are stored.</summary>
    public static Dictionary<string, string> LinearWeights(CheckpointFolder checkpoint) =>
        ShapesOf(checkpoint)
            .Where(parameter =>
                parameter.Value.Length == 2
                && ParameterPlace.Of(parameter.Key).Region == ParameterRegion.Layer
                && !parameter.Key.EndsWith("relative_attention_bias.weight", StringComparison.Ordinal)
            )
            .ToDictionary(
                parameter => StoredTensor.Find(checkpoint, parameter.Key, parameter.Value),
                parameter => parameter.Key,
                StringComparer.Ordinal
            );

    /// <summary>Throws unless the folder's model, with or without its head, has a fingerprint.</summary>
    /// <param name="checkpoint">The folder.</param>
    /// <param name="fingerprint">The fingerprint.</param>
    /// <param name="what">What is for this model, for the message.</param>
    /// <exception cref="InvalidDataException">It has another one.</exception>
    public static void CheckFingerprint(CheckpointFolder checkpoint, string fingerprint, string what)
    {
        ModelConfig config = LanguageModel.Settled(checkpoint);
        string found = Fingerprint(checkpoint, config, HasHead(checkpoint, config));
        if (found != fingerprint && Fingerprint(checkpoint, config, withHead: false) != fingerprint)
        {
            throw new InvalidDataException(
                $"'{what}' is for the base model with fingerprint {fingerprint}, and {checkpoint.Path} has {found}: "
                    + "take the checkpoint that it was made from."
            );
        }
    }

    /// <summary>The fingerprint of the model that the folder is loaded as.</summary>
    public static string Fingerprint(CheckpointFolder checkpoint)
    {
        ModelConfig config = LanguageModel.Settled(checkpoint);
        return Fingerprint(checkpoint, config, HasHead(checkpoint, config));
    }

    private static string Fingerprint(CheckpointFolder checkpoint, ModelConfig config, bool withHead)
    {
        var shapes = LanguageModel.ShapesOf(config, withHead).ToDictionary(StringComparer.Ordinal);
        return CheckpointFingerprint.Compute(
            shapes.Keys,
            name => checkpoint.Weights.Read(StoredTensor.Find(checkpoint, name, shapes[name]), torch.ScalarType.Float32)
        );
    }

    private static bool HasHead(CheckpointFolder checkpoint, ModelConfig config)
    {
        var encoder = LanguageModel.ShapesOf(config, withHead: false).Select(parameter => parameter.Name).ToHashSet(StringComparer.Ordinal);
        return LanguageModel
            .ShapesOf(config, withHead: true)
            .Where(parameter => !encoder.Contains(parameter.Name))
            .All(parameter => StoredTensor.Holds(checkpoint, parameter.Name));
    }
}
