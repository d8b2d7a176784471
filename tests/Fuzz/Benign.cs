using System.Text.Json;
using SkillLoc.Models.Checkpoints;
using TorchSharp;

namespace SkillLoc.Fuzz;

/// <summary>Checkpoints that PyTorch wrote, with what is in them beside (eng/pickles.py): all must be read, with every value.</summary>
internal static class Benign
{
    /// <summary>Reads the checkpoints of a folder.</summary>
    /// <returns>Whether all hold what they should.</returns>
    public static bool Check(string folder)
    {
        int right = 0,
            wrong = 0,
            tensors = 0;
        foreach (string path in Directory.EnumerateFiles(folder, "*.bin").Order(StringComparer.Ordinal))
        {
            try
            {
                tensors += Compare(path);
                right++;
            }
            catch (Exception error)
            {
                wrong++;
                Console.WriteLine($"{path}: {error.GetType().Name}: {error.Message}");
            }
        }

        Console.WriteLine($"{right} files with {tensors} tensors read, {wrong} not");
        return wrong == 0 && right > 0;
    }

    private static int Compare(string path)
    {
        using var file = TorchCheckpointFile.Open(path);
        using var expected = JsonDocument.Parse(File.ReadAllBytes(Path.ChangeExtension(path, ".json")));
        JsonElement[] tensors = [.. expected.RootElement.EnumerateArray()];
        if (!file.Tensors.Select(info => info.Name).SequenceEqual(tensors.Select(each => each[0].GetString())))
        {
            throw new InvalidDataException($"it has the tensors {string.Join(", ", file.Tensors.Select(info => info.Name))}");
        }

        foreach (JsonElement each in tensors)
        {
            string name = each[0].GetString()!;
            using torch.Tensor value = file.Read(name);
            string bytes = value.numel() == 0 ? "" : Convert.ToHexStringLower(value.bytes);
            if (
                ElementTypes.TorchName(value.dtype) != each[1].GetString()
                || !value.shape.SequenceEqual(each[2].EnumerateArray().Select(size => size.GetInt64()))
                || bytes != each[3].GetString()
            )
            {
                throw new InvalidDataException($"'{name}' is {value.dtype} [{string.Join(", ", value.shape)}] {bytes}, not {each}");
            }
        }

        return tensors.Length;
    }
}
