using System.Globalization;
using System.Text.Json.Nodes;

namespace SkillLoc.Models.Checkpoints;

/// <summary>One of the files that the weights of a checkpoint are divided into.</summary>
/// <param name="File">Its name.</param>
/// <param name="Tensors">What it holds.</param>
internal sealed record WeightShard(string File, IReadOnlyList<TensorInfo> Tensors)
{
    /// <summary>Divides tensors, in their order, into files with names as transformers gives them.</summary>
    /// <param name="tensors">The tensors.</param>
    /// <param name="maxBytes">The most bytes of a file, unless one tensor alone has more; null for one file.</param>
    /// <param name="single">The name where one file will do.</param>
    public static IReadOnlyList<WeightShard> Divide(IEnumerable<TensorInfo> tensors, long? maxBytes, string single)
    {
        List<List<TensorInfo>> parts =
        [
            [],
        ];
        long bytes = 0;
        foreach (TensorInfo tensor in tensors)
        {
            if (parts[^1].Count > 0 && bytes + tensor.ByteLength > maxBytes)
            {
                parts.Add([]);
                bytes = 0;
            }

            parts[^1].Add(tensor);
            bytes += tensor.ByteLength;
        }

        return parts.Count == 1
            ? [new(single, parts[0])]
            :
            [
                .. parts.Select(
                    (part, i) =>
                        new WeightShard(
                            string.Create(CultureInfo.InvariantCulture, $"model-{i + 1:00000}-of-{parts.Count:00000}.safetensors"),
                            part
                        )
                ),
            ];
    }

    /// <summary>The index of several files, JSON.</summary>
    public static string Index(IReadOnlyList<WeightShard> shards)
    {
        var map = new JsonObject();
        foreach (WeightShard shard in shards)
        {
            foreach (TensorInfo tensor in shard.Tensors)
            {
                map.Add(tensor.Name, shard.File);
            }
        }

        return new JsonObject
        {
            ["metadata"] = new JsonObject { ["total_size"] = shards.Sum(shard => shard.Tensors.Sum(tensor => tensor.ByteLength)) },
            ["weight_map"] = map,
        }.ToJsonString(new() { WriteIndented = true });
    }
}
