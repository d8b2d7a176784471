using SkillLoc.Models.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Backbones;

/// <summary>Finds a parameter in a checkpoint under the names that Hugging Face folders have used for it.</summary>
internal static class StoredTensor
{
    /// <exception cref="InvalidDataException">The tensor is missing, has another shape, or holds NaN or infinity.</exception>
    public static Tensor Read(CheckpointFolder checkpoint, string name, long[] shape, Device? device, ScalarType dtype) =>
        checkpoint.Weights.ReadFinite(Find(checkpoint, name, shape), dtype, device);

    /// <summary>The name that a parameter is stored under.</summary>
    /// <exception cref="InvalidDataException">The tensor is missing, or has another shape.</exception>
    public static string Find(CheckpointFolder checkpoint, string name, long[] shape)
    {
        string stored = Spellings(name).FirstOrDefault(checkpoint.Weights.Contains)
            ?? throw new InvalidDataException(
                $"{checkpoint.Weights.Path} has no tensor '{name}' (shape [{string.Join(", ", shape)}]), which its config.json asks for. "
                + $"It holds {Sample(checkpoint.Weights.Tensors)}.");
        TensorInfo info = checkpoint.Weights.Tensors.First(tensor => tensor.Name == stored);
        if (!info.Shape.SequenceEqual(shape))
        {
            throw new InvalidDataException(
                $"{checkpoint.Weights.Path}: tensor '{stored}' has shape [{string.Join(", ", info.Shape)}]; "
                + $"by its config.json it must be [{string.Join(", ", shape)}].");
        }

        return stored;
    }

    private static IEnumerable<string> Spellings(string name)
    {
        yield return name;

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
        if (name[..(dot + 1)] is "roberta." or "bert." or "transformer.")
        {
            yield return name[(dot + 1)..];
            yield return older[(dot + 1)..];
        }
    }

    private static string Sample(IReadOnlyList<TensorInfo> tensors) =>
        tensors.Count == 0
            ? "no tensors"
            : $"{tensors.Count} tensors: {string.Join(", ", tensors.Take(5).Select(tensor => $"'{tensor.Name}'"))}{(tensors.Count > 5 ? ", ..." : "")}";
}
