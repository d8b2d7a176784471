using SkillLoc.Models.Checkpoints;
using TorchSharp;

namespace SkillLoc.Models.Neurons;

/// <summary>Safetensors files with one tensor each, named like the file.</summary>
internal static class NeuronFile
{
    public static void Write(string path, torch.Tensor values) =>
        SafetensorsWriter.Write(path, [(Path.GetFileNameWithoutExtension(path), values)]);

    /// <summary>Reads the tensor with a name, or the only one of the file.</summary>
    /// <exception cref="InvalidDataException">The file has several tensors and none has the name, or the shape differs.</exception>
    public static torch.Tensor Read(string path, string? name, IReadOnlyList<long>? expected, torch.ScalarType type)
    {
        using SafetensorsFile file = SafetensorsFile.Open(path);
        TensorInfo info = file.Tensors.FirstOrDefault(tensor => tensor.Name == name)
            ?? (name is null && file.Tensors.Count == 1 ? file.Tensors[0] : throw new InvalidDataException(
                $"{path} holds {file.Tensors.Count} tensors ({string.Join(", ", file.Tensors.Take(5).Select(tensor => $"'{tensor.Name}'"))}), "
                + (name is null ? "and one is expected; say which." : $"and none of the name '{name}'.")));
        if (expected is not null && !info.Shape.SequenceEqual(expected))
        {
            throw new InvalidDataException(
                $"{path}: tensor '{info.Name}' has shape [{string.Join(", ", info.Shape)}], and [{string.Join(", ", expected)}] is expected.");
        }

        return file.ReadFinite(info.Name, type);
    }
}
