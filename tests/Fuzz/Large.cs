using System.Buffers.Binary;
using System.Globalization;
using System.IO.Compression;
using System.Text;
using System.Text.Json;
using SkillLoc.Tests;

namespace SkillLoc.Fuzz;

/// <summary>Large files that are made to take much memory or time: many small things, one long one, and what is compressed well. Mutants
/// are too small to show it.</summary>
internal static class Large
{
    /// <summary>Reads large files for every target, and says what each takes.</summary>
    /// <param name="targets">The targets.</param>
    /// <param name="bytes">About how large the files are.</param>
    /// <returns>Whether all were read or refused within the bounds.</returns>
    public static bool Check(IReadOnlyList<Target> targets, int bytes)
    {
        bool isRight = true;
        Console.WriteLine("target\tkind\tMB\theld MB\tallocated MB\tseconds\tanswer");
        foreach (Target target in targets)
        {
            foreach ((string kind, byte[] file) in Files(target, bytes))
            {
                string answer = "read";
                long allocated = 0;
                TimeSpan time = default;
                long held = HeldMemory.While(() =>
                {
                    long before = GC.GetAllocatedBytesForCurrentThread();
                    TimeSpan started = Environment.CpuUsage.TotalTime;
                    try
                    {
                        target.Read(file);
                    }
                    catch (Exception error)
                        when (error is InvalidDataException or NotSupportedException or FileNotFoundException
                            && error.Message.Contains(target.Said, StringComparison.Ordinal)
                        )
                    {
                        answer = error.Message[..Math.Min(error.Message.Length, 120)].ReplaceLineEndings(" ");
                    }
                    catch (Exception error)
                    {
                        isRight = false;
                        answer = $"WRONG {error.GetType()}: {error.Message[..Math.Min(error.Message.Length, 120)]}";
                    }

                    allocated = GC.GetAllocatedBytesForCurrentThread() - before;
                    time = Environment.CpuUsage.TotalTime - started;
                });
                // Of compressed files what they hold counts, which may be 200 times as much.
                long allowed = target.Shape == Shape.Gzip ? Fuzzer.Allowed(bytes) : Fuzzer.Allowed(file.Length);
                bool isTooMuch =
                    held > allowed
                    || (allocated > allowed && !target.AllocatesByTheWay)
                    || time > TimeSpan.FromSeconds(Fuzzer.LongestSeconds);
                isRight &= !isTooMuch;
                Console.WriteLine(
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"{target.Name}\t{kind}\t{file.Length / 1048576.0:F1}\t{held / 1048576.0:F1}\t{allocated / 1048576.0:F1}\t{time.TotalSeconds:F2}\t{(isTooMuch ? "TOO MUCH " : "")}{answer}"
                    )
                );
            }
        }

        return isRight;
    }

    private static IEnumerable<(string Kind, byte[] File)> Files(Target target, int bytes) =>
        target.Shape switch
        {
            Shape.Json => target.Seeds.Take(1).SelectMany(seed => Json(seed, bytes)),
            Shape.Safetensors => Safetensors(target.Seeds[0], bytes),
            Shape.Text => Text(target.Seeds[0], bytes),
            Shape.Gzip => Text(target.Seeds[0][..0], bytes).Select(each => (each.Kind, Compressed(each.File))),
            Shape.Protobuf => [("a field many times", Repeated(target.Seeds[0], bytes)), ("small fields", Repeated([0x0a, 0], bytes))],
            _ => [("repeated", Repeated(target.Seeds[0], bytes))],
        };

    /// <summary>Another value in the place of every value of the outermost object, and properties that are many.</summary>
    private static IEnumerable<(string Kind, byte[] File)> Json(byte[] seed, int bytes)
    {
        string[] values =
        [
            "[" + Many("1,", bytes) + "1]",
            "[" + Many("[],", bytes) + "1]",
            "[" + Many("\"a\",", bytes) + "1]",
            "\"" + new string('a', bytes) + "\"",
            "{" + string.Concat(Enumerable.Range(0, bytes / 12).Select(i => $"\"{i:x}\":{i},")) + "\"x\":1}",
        ];
        string[] kinds = ["numbers", "lists", "texts", "a long text", "properties"];
        using var document = JsonDocument.Parse(seed.AsMemory(0, End(seed)));
        JsonElement root = document.RootElement.ValueKind == JsonValueKind.Array ? document.RootElement[0] : document.RootElement;
        string text = Encoding.UTF8.GetString(seed);
        for (int i = 0; i < values.Length; i++)
        {
            foreach (
                JsonProperty property in root.EnumerateObject()
                    .Where(property => property.Value.ValueKind is JsonValueKind.Array or JsonValueKind.Object or JsonValueKind.String)
                    .Take(3)
            )
            {
                string old = property.Value.GetRawText();
                int at = text.IndexOf(old, StringComparison.Ordinal);
                yield return ($"{kinds[i]} in {property.Name}", Encoding.UTF8.GetBytes(text[..at] + values[i] + text[(at + old.Length)..]));
            }

            yield return ($"{kinds[i]} alone", Encoding.UTF8.GetBytes(values[i]));
        }

        // Of JSON lines the first line.
        static int End(byte[] seed) =>
            Array.IndexOf(seed, (byte)'\n') is > 0 and var end
            && seed[0] == '{'
            && seed.AsSpan(0, end).Count((byte)'{') == seed.AsSpan(0, end).Count((byte)'}')
                ? end
                : seed.Length;
    }

    private static IEnumerable<(string Kind, byte[] File)> Safetensors(byte[] seed, int bytes)
    {
        int length = (int)BinaryPrimitives.ReadInt64LittleEndian(seed);
        byte[] header = seed[8..(8 + length)];
        foreach ((string kind, byte[] json) in Json(header, bytes))
        {
            yield return (kind, File(json));
        }

        yield return (
            "tensors",
            File(
                Encoding.UTF8.GetBytes(
                    "{"
                        + string.Join(
                            ',',
                            Enumerable
                                .Range(0, bytes / 55)
                                .Select(i => $"\"{i:x}\":{{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}")
                        )
                        + "}"
                )
            )
        );

        byte[] File(byte[] json)
        {
            byte[] file = new byte[8 + json.Length];
            BinaryPrimitives.WriteInt64LittleEndian(file, json.Length);
            json.CopyTo(file, 8);
            return file;
        }
    }

    private static IEnumerable<(string Kind, byte[] File)> Text(byte[] seed, int bytes)
    {
        if (seed.Length > 0)
        {
            yield return ("the same lines", Repeated(seed, bytes));
        }

        yield return ("empty lines", Encoding.ASCII.GetBytes(new string('\n', bytes)));
        yield return ("one long line", Encoding.ASCII.GetBytes(new string('a', bytes)));
        yield return ("tabs", Encoding.ASCII.GetBytes(new string('\t', bytes)));
        yield return ("commas", Encoding.ASCII.GetBytes(new string(',', bytes)));
        yield return ("brackets", Encoding.ASCII.GetBytes(new string('[', bytes)));
        yield return ("items", Encoding.ASCII.GetBytes("models: [" + Many("a,", bytes) + "]"));
        yield return ("a quote", Encoding.ASCII.GetBytes("\"" + new string('a', bytes)));
    }

    private static string Many(string text, int bytes) => new StringBuilder().Insert(0, text, bytes / text.Length).ToString();

    private static byte[] Repeated(byte[] seed, int bytes)
    {
        byte[] file = new byte[bytes / seed.Length * seed.Length];
        for (int i = 0; i < file.Length; i += seed.Length)
        {
            seed.CopyTo(file, i);
        }

        return file;
    }

    private static byte[] Compressed(byte[] content)
    {
        using var bytes = new MemoryStream();
        using (var gzip = new GZipStream(bytes, CompressionLevel.SmallestSize, leaveOpen: true))
        {
            gzip.Write(content);
        }

        return bytes.ToArray();
    }
}
