using System.Globalization;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Merging;
using SkillLoc.Models.Peft;
using SkillLoc.Models.Runtime;

namespace SkillLoc.Tool;

/// <summary>What the commands do. Errors are one line on the error output and the exit status 1.</summary>
internal static class Commands
{
    private const int Shown = 10;

    public static int Run(Action command)
    {
        try
        {
            command();
            return 0;
        }
        catch (Exception e)
            when (e
                    is IOException
                        or InvalidDataException
                        or ArgumentException
                        or NotSupportedException
                        or UnauthorizedAccessException
                        or DllNotFoundException
            )
        {
            Console.Error.WriteLine($"skillloc: {e.Message}");
            return 1;
        }
    }

    public static void Merge(string recipe, string folder, int? seed, string? shard)
    {
        FreedMemory.MapLargeBlocks();
        var progress = new Line();
        MergeReport report = MergeRecipeFile
            .Load(recipe)
            .Run(folder, new() { Progress = progress, MaxShardBytes = shard is null ? null : Bytes(shard) }, seed);
        Line.End();
        Console.WriteLine(
            string.Create(
                CultureInfo.InvariantCulture,
                $"{folder}: {report.Tensors} tensors, {report.Scalars:N0} scalars, by {report.Method} of {string.Join(", ", report.Models.Select(model => model.Name))}"
            )
        );
    }

    /// <summary>A size such as 5GB, in transformers' units, which are powers of 1000.</summary>
    private static long Bytes(string size)
    {
        (string Unit, long Factor)[] units = [("KB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("B", 1), ("", 1)];
        (string unit, long factor) = Array.Find(units, each => size.EndsWith(each.Unit, StringComparison.OrdinalIgnoreCase));
        return
            double.TryParse(size[..^unit.Length], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double number)
            && number * factor >= 1
            ? (long)(number * factor)
            : throw new ArgumentException($"'{size}' is no size; write 500MB or 5GB.");
    }

    public static void Stitch(IReadOnlyList<string> grafts, string path)
    {
        var stitched = Graft.Stitch([.. grafts.Select(Graft.Load)]);
        stitched.Save(path);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{path}: {stitched.Count:N0} scalars of {grafts.Count} grafts"));
    }

    public static void Convert(string source, string basis, string kind, string target)
    {
        FreedMemory.MapLargeBlocks();
        bool isGraft = File.Exists(source);
        switch (kind)
        {
            case "adapter" when isGraft:
                PeftAdapter.Of(Graft.Load(source), basis).Save(target);
                break;
            case "graft" when !isGraft:
                PeftAdapter.Load(source).ToGraft(basis).Save(target);
                break;
            case "checkpoint":
                ModelMerge.Run(new() { Method = "passthrough", Models = [$"{basis}+{source}"] }, target);
                break;
            default:
                throw new ArgumentException($"'{source}' is {(isGraft ? "a graft" : "an adapter")} already.");
        }

        Console.WriteLine($"{target}: written");
    }

    public static void Inspect(string path, TextWriter output)
    {
        if (File.Exists(Path.Join(path, "adapter_config.json")))
        {
            var adapter = PeftAdapter.Load(path);
            output.WriteLine(
                $"{path}: a {adapter.Tuner} adapter for {(adapter.BaseModel.Length > 0 ? adapter.BaseModel : "a base that it does not name")}"
            );
            Write(output, adapter.Count, adapter.Shapes.Select(pair => (pair.Key, pair.Value)));
        }
        else if (Directory.Exists(path))
        {
            using var folder = CheckpointFolder.Open(path);
            output.WriteLine($"{path}: a checkpoint of {folder.Config.ModelType}, {string.Join(", ", folder.Config.Architectures)}");
            output.WriteLine($"fingerprint of the weights: {CheckpointFingerprint.Compute(folder.Weights)}");
            Write(output, folder.Weights.Tensors);
        }
        else
        {
            using var file = SafetensorsFile.Open(path);
            output.WriteLine($"{path}: {file.Metadata.GetValueOrDefault("format", "tensors")}");
            foreach ((string key, string value) in file.Metadata.Where(pair => pair.Key != "settings"))
            {
                output.WriteLine($"{key}: {value.ReplaceLineEndings(", ")}");
            }

            Write(output, file.Tensors);
        }
    }

    private static void Write(TextWriter output, IReadOnlyList<TensorInfo> tensors) =>
        Write(
            output,
            tensors.Sum(info => info.Shape.Aggregate(1L, (product, size) => product * size)),
            tensors.Select(info => (info.Name, info.Shape))
        );

    private static void Write(TextWriter output, long scalars, IEnumerable<(string Name, long[] Shape)> tensors)
    {
        (string Name, long[] Shape)[] all = [.. tensors];
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{all.Length} tensors, {scalars:N0} scalars"));
        foreach ((string name, long[] shape) in all.Take(Shown))
        {
            output.WriteLine($"  {name} [{string.Join(", ", shape)}]");
        }

        if (all.Length > Shown)
        {
            output.WriteLine($"  and {all.Length - Shown} more");
        }
    }

    /// <summary>One line that counts, where somebody looks.</summary>
    private sealed class Line : IProgress<MergeProgress>
    {
        public void Report(MergeProgress value)
        {
            if (!Console.IsErrorRedirected)
            {
                Console.Error.Write(string.Create(CultureInfo.InvariantCulture, $"\r{value.Done}/{value.Total}"));
            }
        }

        public static void End()
        {
            if (!Console.IsErrorRedirected)
            {
                Console.Error.Write("\r");
            }
        }
    }
}
