using SkillLoc.Models.Checkpoints;
using static TorchSharp.torch;

namespace SkillLoc.Models.Backbones;

/// <summary>Finds a parameter in a checkpoint under the names that Hugging Face folders have used for it.</summary>
internal static class StoredTensor
{
    /// <exception cref="InvalidDataException">The tensor is missing, has another shape, or holds NaN or infinity.</exception>
    public static Tensor Read(CheckpointFolder checkpoint, string name, long[] shape, Device? device, ScalarType dtype) =>
        checkpoint.Weights.ReadFinite(Find(checkpoint, name, shape), dtype, device);

    /// <summary>Whether a parameter is stored.</summary>
    public static bool Holds(CheckpointFolder checkpoint, string name) => Spellings(name).Any(checkpoint.Weights.Contains);

    /// <summary>Returns the name under which a parameter is stored.</summary>
    /// <exception cref="InvalidDataException">The tensor is missing, or has another shape.</exception>
    public static string Find(CheckpointFolder checkpoint, string name, long[] shape)
    {
        string stored =
            Spellings(name).FirstOrDefault(checkpoint.Weights.Contains)
            ?? throw new InvalidDataException(
                $"{checkpoint.Weights.Path} has no tensor '{name}' (shape [{string.Join(", ", shape)}]), which a model of its "
                    + "config.json has. "
                    + $"It holds {Sample(checkpoint.Weights.Tensors)}."
            );
        TensorInfo info = checkpoint.Weights.Tensors.First(tensor => tensor.Name == stored);
        if (!info.Shape.SequenceEqual(shape))
        {
            throw new InvalidDataException(
                $"{checkpoint.Weights.Path}: tensor '{stored}' has shape [{string.Join(", ", info.Shape)}]; "
                    + $"by its config.json it must be [{string.Join(", ", shape)}]."
            );
        }

        return stored;
    }

    /// <summary>Whether a checkpoint has an output layer that differs from the word embeddings.</summary>
    /// <param name="checkpoint">The folder, whose configuration may say that they are tied.</param>
    /// <param name="head">The output layer's name.</param>
    /// <param name="words">The word embeddings' name.</param>
    public static bool HasOwnHead(CheckpointFolder checkpoint, string head, string words)
    {
        ModelConfig config = checkpoint.Config;
        if (!config.TieWordEmbeddings || !checkpoint.Weights.Contains(head) || !Spellings(words).Any(checkpoint.Weights.Contains))
        {
            return false;
        }

        long[] shape = [config.VocabularySize, config.EmbeddingSize];
        using Tensor stored = Read(checkpoint, head, shape, null, ScalarType.Float32),
            embedded = Read(checkpoint, words, shape, null, ScalarType.Float32);
        return !stored.Equals(embedded);
    }

    /// <summary>Whether a checkpoint has a parameter under one of its names, and in this shape.</summary>
    public static bool Exists(CheckpointFolder checkpoint, string name, long[] shape) =>
        Spellings(name).FirstOrDefault(checkpoint.Weights.Contains) is { } stored
        && checkpoint.Weights.Tensors.First(tensor => tensor.Name == stored).Shape.SequenceEqual(shape);

    private static IEnumerable<string> Spellings(string name)
    {
        // The bias of a masked language model's head has two names, and where both are stored, this is the one that transformers adds.
        if (name is "lm_head.bias" or "cls.predictions.bias")
        {
            yield return name.Replace("bias", "decoder.bias", StringComparison.Ordinal);
        }

        yield return name;
        if (name is "lm_head.decoder.bias" or "cls.predictions.decoder.bias")
        {
            yield return name.Replace(".decoder", "", StringComparison.Ordinal);
        }

        // Checkpoints of TensorFlow origin.
        string older = name.Replace("LayerNorm.weight", "LayerNorm.gamma", StringComparison.Ordinal)
            .Replace("LayerNorm.bias", "LayerNorm.beta", StringComparison.Ordinal);
        yield return older;

        // T5's word embeddings are stored once for the model, for each stack, or both.
        if (name == "shared.weight")
        {
            yield return "encoder.embed_tokens.weight";
            yield return "decoder.embed_tokens.weight";
        }

        // Saved without the language-model head, so without the architecture's prefix.
        int dot = name.IndexOf('.', StringComparison.Ordinal);
        if (name[..(dot + 1)] is "roberta." or "bert." or "transformer." or "distilbert." or "electra." or "mpnet.")
        {
            yield return name[(dot + 1)..];
            yield return older[(dot + 1)..];
        }
    }

    private static string Sample(IReadOnlyList<TensorInfo> tensors) =>
        tensors.Count == 0
            ? "no tensors"
            : $"{tensors.Count} tensors: "
                + $"{string.Join(", ", tensors.Take(5).Select(tensor => $"'{tensor.Name}'"))}{(tensors.Count > 5 ? ", ..." : "")}";
}
