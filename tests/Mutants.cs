using System.Buffers.Binary;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace SkillLoc.Tests;

/// <summary>Damaged versions of a valid file, the same for the same seed.</summary>
internal static class Mutants
{
    private static readonly string[] Values =
    [
        "null",
        "true",
        "false",
        "0",
        "-1",
        "1",
        "3.5",
        "1e300",
        "-1e300",
        "2147483648",
        "9223372036854775808",
        "\"\"",
        "\"x\"",
        "\"\\ud800\"",
        "\"\\udc00x\"",
        "\"\\u0000\"",
        "[]",
        "{}",
        "[null]",
        "[1, \"a\"]",
        "{\"x\": null}",
        "{\"\\ud800\": 1}",
        "{\"x\": 1, \"x\": 2}",
        "\"NaN\"",
        "\"1e300\"",
        "\"*mask*\"",
        Deep,
    ];

    private static string Deep => new string('[', 80) + new string(']', 80);

    /// <summary>Bytes that are changed, cut out, put in twice, or missing at the end.</summary>
    public static IEnumerable<byte[]> OfBytes(byte[] valid, int count, int seed)
    {
        var random = new Random(seed);
        for (int i = 0; i < count; i++)
        {
            List<byte> bytes = [.. valid];
            int at = random.Next(bytes.Count),
                length = Math.Min(random.Next(1, 9), bytes.Count - at);
            switch (random.Next(5))
            {
                case 0:
                    bytes[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 1:
                    bytes.RemoveRange(at, length);
                    break;
                case 2:
                    bytes.InsertRange(at, bytes.GetRange(at, length));
                    break;
                case 3:
                    bytes.RemoveRange(at, bytes.Count - at);
                    break;
                default:
                    bytes.Insert(at, (byte)random.Next(256));
                    break;
            }

            yield return [.. bytes];
        }
    }

    /// <summary>JSON with a value that is another, missing, or there twice.</summary>
    public static IEnumerable<string> OfJson(string valid, int count, int seed)
    {
        var random = new Random(seed);
        for (int i = 0; i < count; i++)
        {
            yield return OfJson(valid, random);
        }
    }

    /// <summary>A safetensors file whose header says something else of the file itself; bytes that are damaged are <see
    /// cref="OfBytes"/>.</summary>
    public static IEnumerable<byte[]> OfSafetensors(byte[] valid, int count, int seed)
    {
        var random = new Random(seed);
        int length = (int)BinaryPrimitives.ReadInt64LittleEndian(valid);
        string header = Encoding.UTF8.GetString(valid, 8, length);
        for (int i = 0; i < count; i++)
        {
            JsonObject parsed = JsonNode.Parse(header)!.AsObject();
            if (parsed["__metadata__"] is JsonObject metadata && random.Next(4) > 0)
            {
                string key = metadata.ElementAt(random.Next(metadata.Count)).Key;
                string text = metadata[key]!.GetValue<string>();
                switch (random.Next(4))
                {
                    case 0:
                        metadata.Remove(key);
                        break;
                    case 1 when text.StartsWith('{'):
                        metadata[key] = OfJson(text, random);
                        break;
                    default:
                        string value = Values[random.Next(Values.Length)];
                        metadata[key] =
                            value.StartsWith('"') && !value.Contains("ud", StringComparison.Ordinal)
                                ? JsonSerializer.Deserialize<string>(value)
                                : value;
                        break;
                }
            }
            else
            {
                // A tensor of another name.
                (string name, JsonNode? info) = parsed.ElementAt(random.Next(parsed.Count));
                if (name == "__metadata__")
                {
                    continue;
                }

                parsed.Remove(name);
                parsed[name + (random.Next(2) == 0 ? "x" : ".indices")] = info;
            }

            byte[] text8 = Encoding.UTF8.GetBytes(parsed.ToJsonString());
            byte[] bytes = new byte[8 + text8.Length + valid.Length - 8 - length];
            BinaryPrimitives.WriteInt64LittleEndian(bytes, text8.Length);
            text8.CopyTo(bytes, 8);
            valid.AsSpan(8 + length).CopyTo(bytes.AsSpan(8 + text8.Length));
            yield return bytes;
        }
    }

    private static string OfJson(string valid, Random random)
    {
        // Where values begin and end in the text, so that what JsonNode would not hold can be put there too.
        var places = new List<(int Start, int End)>();
        byte[] bytes = Encoding.UTF8.GetBytes(valid);
        var reader = new Utf8JsonReader(bytes);
        var open = new Stack<int>();
        while (reader.Read())
        {
            switch (reader.TokenType)
            {
                case JsonTokenType.StartObject or JsonTokenType.StartArray:
                    open.Push((int)reader.TokenStartIndex);
                    break;
                case JsonTokenType.EndObject or JsonTokenType.EndArray:
                    places.Add((open.Pop(), (int)reader.BytesConsumed));
                    break;
                default:
                    places.Add(((int)reader.TokenStartIndex, (int)reader.BytesConsumed));
                    break;
            }
        }

        (int start, int end) = places[random.Next(places.Count)];
        string replacement = random.Next(6) == 0 ? "" : Values[random.Next(Values.Length)];
        return Encoding.UTF8.GetString(bytes, 0, start) + replacement + Encoding.UTF8.GetString(bytes, end, bytes.Length - end);
    }

    /// <summary>Reads mutants one after another: each must be read, or refused by an exception that is meant for that and names the
    /// file.</summary>
    /// <param name="path">Where each mutant is written to.</param>
    /// <param name="mutants">The mutants.</param>
    /// <param name="read">Reads the file.</param>
    /// <returns>How many were refused.</returns>
    public static int AreReadOrRefused(string path, IEnumerable<byte[]> mutants, Action read)
    {
        int refused = 0;
        foreach (byte[] mutant in mutants)
        {
            File.WriteAllBytes(path, mutant);
            try
            {
                read();
            }
            catch (Exception error)
                when (error is InvalidDataException or NotSupportedException
                    && error.Message.Contains(Path.GetFileName(path), StringComparison.Ordinal)
                )
            {
                refused++;
            }
            catch (Exception error)
            {
                Assert.Fail(
                    $"{error.GetType()}: {error.Message}\n{error.StackTrace}\nby the "
                        + $"file\n{Encoding.UTF8.GetString(mutant[..Math.Min(mutant.Length, 4000)])}"
                );
            }
        }

        return refused;
    }

    /// <inheritdoc cref="AreReadOrRefused(string, IEnumerable{byte[]}, Action)"/>
    public static int AreReadOrRefused(string path, IEnumerable<string> mutants, Action read) =>
        AreReadOrRefused(path, mutants.Select(Encoding.UTF8.GetBytes), read);
}
