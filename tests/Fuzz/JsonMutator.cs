using System.Text;
using System.Text.Json;

namespace SkillLoc.Fuzz;

/// <summary>Makes mutants of JSON texts: values that are others, missing, there twice, or moved.</summary>
internal static class JsonMutator
{
    private static readonly byte[][] Values =
    [
        .. new[]
        {
            "null",
            "true",
            "false",
            "0",
            "-1",
            "1",
            "2",
            "3.5",
            "1e300",
            "-1e300",
            "1e-5",
            "2147483647",
            "2147483648",
            "9223372036854775807",
            "9223372036854775808",
            "18446744073709551616",
            "NaN",
            "\"\"",
            "\"x\"",
            "\"\\ud800\"",
            "\"\\udc00x\"",
            "\"\\u0000\"",
            "\"*mask*\"",
            "\"(a+)+$\"",
            "[]",
            "{}",
            "[null]",
            "[1, \"a\"]",
            "[0, 9223372036854775807]",
            "[4294967296, 4294967296]",
            "{\"x\": null}",
            "{\"\\ud800\": 1}",
            "{\"x\": 1, \"x\": 2}",
            "\"NaN\"",
            "\"1e300\"",
            "\"F64\"",
            "/* */ 1",
            new string('[', 80) + new string(']', 80),
            "\"" + new string('a', 300) + "\"",
        }.Select(Encoding.UTF8.GetBytes),
    ];

    /// <summary>A mutant; null where the text is not JSON.</summary>
    public static byte[]? Next(byte[] json, Dice dice)
    {
        // Where values, names and whole properties begin and end, so that what no JSON object would hold can be put there too.
        var places = new List<(int Start, int End)>();
        var properties = new List<(int Start, int End)>();
        var reader = new Utf8JsonReader(
            json,
            new JsonReaderOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true }
        );
        var open = new Stack<(int Start, int Property)>();
        int property = -1;
        try
        {
            while (reader.Read())
            {
                int start = (int)reader.TokenStartIndex,
                    end = (int)reader.BytesConsumed;
                switch (reader.TokenType)
                {
                    case JsonTokenType.StartObject or JsonTokenType.StartArray:
                        open.Push((start, property));
                        property = -1;
                        break;
                    case JsonTokenType.PropertyName:
                        property = start;
                        break;
                    case JsonTokenType.EndObject or JsonTokenType.EndArray:
                        (start, property) = open.Pop();
                        Add(start, end);
                        break;
                    default:
                        Add(start, end);
                        break;
                }
            }
        }
        catch (JsonException)
        {
            return null;
        }

        if (places.Count == 0)
        {
            return null;
        }

        (int from, int to) = dice.Pick(places);
        switch (dice.Next(8))
        {
            case 0 when properties.Count > 0:
                // A property twice.
                (int begin, int stop) = dice.Pick(properties);
                return [.. json.AsSpan(0, stop), (byte)',', .. json.AsSpan(begin)];
            case 1 when properties.Count > 0:
                // A property missing, with a comma beside it.
                (begin, stop) = dice.Pick(properties);
                while (stop < json.Length && json[stop] is (byte)' ' or (byte)',' or (byte)'\n')
                {
                    stop++;
                }

                return [.. json.AsSpan(0, begin), .. json.AsSpan(stop)];
            case 2:
                // Another's value.
                (int first, int last) = dice.Pick(places);
                return [.. json.AsSpan(0, from), .. json.AsSpan(first, last - first), .. json.AsSpan(to)];
            case 3 when json[from] is >= (byte)'0' and <= (byte)'9':
                return [.. json.AsSpan(0, from), .. Encoding.ASCII.GetBytes($"{dice.Next(12)}"), .. json.AsSpan(to)];
            case 4 when json[from] == (byte)'"' && to - from > 2:
                // A text with another byte in it.
                byte[] changed = [.. json];
                changed[from + 1 + dice.Next(to - from - 2)] = (byte)(32 + dice.Next(95));
                return changed;
            default:
                return [.. json.AsSpan(0, from), .. dice.OneIn(6) ? [] : dice.Pick(Values), .. json.AsSpan(to)];
        }

        void Add(int start, int end)
        {
            places.Add((start, end));
            if (property >= 0)
            {
                properties.Add((property, end));
                property = -1;
            }
        }
    }
}
