using System.Text.Json;
using SkillLoc.Models.Json;

namespace SkillLoc.Models.Checkpoints;

/// <summary>Reads the JSON header of a safetensors file value by value, since a document of many small values takes many times the
/// header's bytes.</summary>
internal static class SafetensorsHeader
{
    // No tensor library has more.
    private const int MostDimensions = 64;
    private const int MostMetadata = 100_000;

    // Properties that the format does not have; other readers pass them over too.
    private const int MostOthers = 16;
    private const string MetadataKey = "__metadata__";

    /// <summary>What a header says of a tensor.</summary>
    /// <param name="Name">The tensor's name.</param>
    /// <param name="Dtype">The name of its element type.</param>
    /// <param name="Shape">Its shape, any numbers.</param>
    /// <param name="Begin">Where its bytes begin, any number.</param>
    /// <param name="End">Where they end.</param>
    internal readonly record struct Entry(string Name, string Dtype, long[] Shape, long Begin, long End);

    /// <summary>The number of entries, before they are read.</summary>
    /// <exception cref="JsonException">The header is not JSON.</exception>
    public static int Count(ReadOnlySpan<byte> header)
    {
        var reader = new Utf8JsonReader(header);
        int count = 0;
        while (reader.Read())
        {
            count += reader is { TokenType: JsonTokenType.PropertyName, CurrentDepth: 1 } ? 1 : 0;
        }

        return count;
    }

    /// <summary>Reads a header.</summary>
    /// <param name="header">The header.</param>
    /// <param name="add">Takes each tensor in turn; names may occur twice.</param>
    /// <returns>The metadata.</returns>
    /// <exception cref="JsonException">The header is not JSON.</exception>
    /// <exception cref="FormatException">It says something else than it should; the message is what.</exception>
    public static Dictionary<string, string> Read(ReadOnlySpan<byte> header, Action<Entry> add)
    {
        JsonText.CheckUnicode(header);
        var reader = new Utf8JsonReader(header);
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            throw new FormatException($"its header is a JSON {KindOf(reader.TokenType)}, not an object");
        }

        Dictionary<string, string>? metadata = null;
        string dtype = "";
        for (reader.Read(); reader.TokenType == JsonTokenType.PropertyName; reader.Read())
        {
            string name = reader.GetString()!;
            reader.Read();
            if (name != MetadataKey)
            {
                Entry entry = ReadEntry(ref reader, name, dtype);
                dtype = entry.Dtype;
                add(entry);
            }
            else
            {
                metadata = metadata is null ? ReadMetadata(ref reader) : throw Twice(MetadataKey);
            }
        }

        return metadata ?? new(StringComparer.Ordinal);
    }

    /// <summary>The problem of a name that occurs twice.</summary>
    public static FormatException Twice(string name) => new($"it has '{name}' twice");

    private static Dictionary<string, string> ReadMetadata(ref Utf8JsonReader reader)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            throw new FormatException($"{MetadataKey} is a JSON {KindOf(reader.TokenType)}, not an object of strings");
        }

        var metadata = new Dictionary<string, string>(StringComparer.Ordinal);
        for (reader.Read(); reader.TokenType == JsonTokenType.PropertyName; reader.Read())
        {
            string name = reader.GetString()!;
            reader.Read();
            if (reader.TokenType != JsonTokenType.String)
            {
                throw new FormatException($"{MetadataKey} entry '{name}' is a JSON {KindOf(reader.TokenType)}, not a string");
            }

            if (!metadata.TryAdd(name, reader.GetString()!))
            {
                throw Twice(name);
            }

            if (metadata.Count > MostMetadata)
            {
                throw new FormatException($"{MetadataKey} has more than {MostMetadata} entries");
            }
        }

        return metadata;
    }

    private static Entry ReadEntry(ref Utf8JsonReader reader, string name, string lastDtype)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            throw Incomplete(name);
        }

        string? dtype = null;
        long[]? shape = null;
        long[]? range = null;
        HashSet<string>? others = null;
        for (reader.Read(); reader.TokenType == JsonTokenType.PropertyName; reader.Read())
        {
            if (reader.ValueTextEquals("dtype"u8))
            {
                Once(dtype, name, "dtype");
                reader.Read();
                dtype =
                    reader.TokenType != JsonTokenType.String ? throw Incomplete(name)
                    : reader.ValueTextEquals(lastDtype) ? lastDtype
                    : reader.GetString();
            }
            else if (reader.ValueTextEquals("shape"u8))
            {
                Once(shape, name, "shape");
                shape = Integers(ref reader, name);
            }
            else if (reader.ValueTextEquals("data_offsets"u8))
            {
                Once(range, name, "data_offsets");
                range = Integers(ref reader, name);
            }
            else
            {
                string other = reader.GetString()!;
                if (!(others ??= new(StringComparer.Ordinal)).Add(other) || others.Count > MostOthers)
                {
                    throw new FormatException($"tensor '{name}' has '{other}' twice, or more than {MostOthers} such properties");
                }

                reader.Skip();
            }
        }

        if (dtype is null || shape is null || range is null)
        {
            throw Incomplete(name);
        }

        return range.Length == 2 && range[0] >= 0 && range[1] >= range[0]
            ? new(name, dtype, shape, range[0], range[1])
            : throw new FormatException(
                $"tensor '{name}' has data_offsets [{string.Join(", ", range)}]; expected [begin, end] with 0 <= begin <= end"
            );
    }

    private static long[] Integers(ref Utf8JsonReader reader, string name)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            throw Incomplete(name);
        }

        Span<long> numbers = stackalloc long[MostDimensions];
        int count = 0;
        for (reader.Read(); reader.TokenType != JsonTokenType.EndArray; reader.Read())
        {
            if (count == MostDimensions)
            {
                throw new FormatException($"tensor '{name}' has more than {MostDimensions} dimensions");
            }

            if (reader.TokenType != JsonTokenType.Number || !reader.TryGetInt64(out numbers[count++]))
            {
                throw Incomplete(name);
            }
        }

        return numbers[..count].ToArray();
    }

    private static void Once(object? value, string name, string key)
    {
        if (value is not null)
        {
            throw new FormatException($"tensor '{name}' has '{key}' twice");
        }
    }

    private static FormatException Incomplete(string name) =>
        new($"tensor '{name}' needs a text dtype and the arrays of whole numbers shape and data_offsets");

    private static JsonValueKind KindOf(JsonTokenType token) =>
        token switch
        {
            JsonTokenType.StartObject => JsonValueKind.Object,
            JsonTokenType.StartArray => JsonValueKind.Array,
            JsonTokenType.String => JsonValueKind.String,
            JsonTokenType.Number => JsonValueKind.Number,
            JsonTokenType.True => JsonValueKind.True,
            JsonTokenType.False => JsonValueKind.False,
            _ => JsonValueKind.Null,
        };
}
