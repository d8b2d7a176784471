using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Unicode;

namespace SkillLoc.Models.Json;

/// <summary>Reads JSON strictly: comments are allowed; unknown properties, nulls for values and duplicate keys are errors, which name their
/// line.</summary>
internal static class JsonText
{
    private static readonly JsonSerializerOptions Options = new()
    {
        AllowDuplicateProperties = false,
        AllowTrailingCommas = true,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        ReadCommentHandling = JsonCommentHandling.Skip,
        RespectNullableAnnotations = true,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    };

    /// <summary>The same, for SkillLoc's own files, with enum names in snake_case.</summary>
    public static JsonSerializerOptions OwnFiles { get; } =
        new(Options)
        {
            DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
            WriteIndented = true,
            Converters = { new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower, allowIntegerValues: false) },
        };

    /// <summary>Reads a value with properties in snake_case.</summary>
    /// <param name="json">The text.</param>
    /// <param name="source">Its name in error messages.</param>
    /// <param name="options">The serializer options; by default, those for user files.</param>
    /// <exception cref="InvalidDataException">The value is invalid; the message names line and property.</exception>
    public static T Read<T>(string json, string source, JsonSerializerOptions? options = null)
        where T : class
    {
        try
        {
            CheckElements(Encoding.UTF8.GetBytes(json));
            return JsonSerializer.Deserialize<T>(json, options ?? Options) ?? throw new InvalidDataException($"{source} holds null.");
        }
        catch (JsonException e)
        {
            // The message itself ends in path or line, counted from 0.
            int end = e.Message.IndexOf(" Path: ", StringComparison.Ordinal) is >= 0 and var path
                ? path
                : e.Message.IndexOf(" LineNumber: ", StringComparison.Ordinal);
            string place = string.IsNullOrEmpty(e.Path) || e.Path == "$" ? "" : $", at {e.Path}";
            throw new InvalidDataException(
                $"{source}, line {(e.LineNumber ?? 0) + 1}{place}: {(end < 0 ? e.Message : e.Message[..end])}",
                e
            );
        }
        // What a constructor or a setter refuses, and texts that are not valid Unicode.
        catch (Exception e) when (e is ArgumentException or FormatException or InvalidOperationException or NotSupportedException)
        {
            throw new InvalidDataException($"{source}: {e.Message}", e);
        }
    }

    /// <summary>Parses a document in which no property stands twice and all texts are valid Unicode, which the parser itself would notice
    /// only when they are asked for.</summary>
    /// <param name="json">UTF-8, which must not change while the document is used.</param>
    /// <param name="options">What else is allowed, such as comments.</param>
    /// <exception cref="JsonException">It is not.</exception>
    public static JsonDocument Parse(ReadOnlyMemory<byte> json, JsonDocumentOptions options = default)
    {
        CheckUnicode(json.Span, options);
        options.AllowDuplicateProperties = false;
        return JsonDocument.Parse(json, options);
    }

    private static void CheckUnicode(ReadOnlySpan<byte> json, JsonDocumentOptions options)
    {
        if (!Utf8.IsValid(json))
        {
            throw new JsonException("It is not valid UTF-8.");
        }

        // Only these escapes can be half a character.
        if (json.IndexOf("\\ud"u8) < 0 && json.IndexOf("\\uD"u8) < 0)
        {
            return;
        }

        var reader = new Utf8JsonReader(
            json,
            new JsonReaderOptions
            {
                AllowTrailingCommas = options.AllowTrailingCommas,
                CommentHandling = options.CommentHandling,
                MaxDepth = options.MaxDepth,
            }
        );
        while (reader.Read())
        {
            if (reader.TokenType is not (JsonTokenType.String or JsonTokenType.PropertyName) || !reader.ValueIsEscaped)
            {
                continue;
            }

            try
            {
                _ = reader.GetString();
            }
            catch (InvalidOperationException e)
            {
                throw new JsonException(e.Message, null, json[..(int)reader.TokenStartIndex].Count((byte)'\n'), null, e);
            }
        }
    }

    /// <summary>Throws if an element of an array is null, which annotations do not cover.</summary>
    private static void CheckElements(ReadOnlySpan<byte> json)
    {
        var reader = new Utf8JsonReader(
            json,
            new JsonReaderOptions { AllowTrailingCommas = true, CommentHandling = JsonCommentHandling.Skip }
        );
        var inArray = new Stack<bool>();
        while (reader.Read())
        {
            switch (reader.TokenType)
            {
                case JsonTokenType.StartArray or JsonTokenType.StartObject:
                    inArray.Push(reader.TokenType == JsonTokenType.StartArray);
                    break;
                case JsonTokenType.EndArray or JsonTokenType.EndObject:
                    inArray.Pop();
                    break;
                case JsonTokenType.Null when inArray.TryPeek(out bool isElement) && isElement:
                    throw new JsonException(
                        "An element of an array is null.",
                        null,
                        json[..(int)reader.TokenStartIndex].Count((byte)'\n'),
                        null
                    );
            }
        }
    }
}

/// <summary>Converts an enum by its names in snake_case; unknown names throw an error that lists the valid ones.</summary>
internal sealed class NameConverter<T> : JsonConverter<T>
    where T : struct, Enum
{
    private static readonly Dictionary<string, T> Values = Enum.GetValues<T>()
        .ToDictionary(value => JsonNamingPolicy.SnakeCaseLower.ConvertName(value.ToString()), StringComparer.Ordinal);

    public override T Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        string? name = reader.TokenType == JsonTokenType.String ? reader.GetString() : null;
        return name is not null && Values.TryGetValue(name, out T value)
            ? value
            : throw new JsonException(
                $"{(name is null ? $"A {reader.TokenType}" : $"\"{name}\"")} was found; expected one of "
                    + $"{string.Join(", ", Values.Keys)}."
            );
    }

    public override void Write(Utf8JsonWriter writer, T value, JsonSerializerOptions options) =>
        writer.WriteStringValue(JsonNamingPolicy.SnakeCaseLower.ConvertName(value.ToString()));
}
