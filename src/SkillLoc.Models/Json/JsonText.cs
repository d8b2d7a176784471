using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace SkillLoc.Models.Json;

/// <summary>Reads JSON that people and programs write: comments are allowed, what nobody knows is an error, as are nulls in the place of
/// values and keys that occur twice, and errors name their line.</summary>
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

    /// <summary>The same, for files of our own, whose enums are names in snake_case.</summary>
    public static JsonSerializerOptions OwnFiles { get; } = new(Options)
    {
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        WriteIndented = true,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower, allowIntegerValues: false) },
    };

    /// <summary>Reads a value whose properties are in snake_case.</summary>
    /// <param name="json">The text.</param>
    /// <param name="source">What error messages call it.</param>
    /// <param name="options">How it is read; by default as people write it.</param>
    /// <exception cref="InvalidDataException">It is not such a value; the message names line and property.</exception>
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
            var end = e.Message.IndexOf(" Path: ", StringComparison.Ordinal) is >= 0 and var path ? path : e.Message.IndexOf(" LineNumber: ", StringComparison.Ordinal);
            var place = string.IsNullOrEmpty(e.Path) || e.Path == "$" ? "" : $", at {e.Path}";
            throw new InvalidDataException($"{source}, line {(e.LineNumber ?? 0) + 1}{place}: {(end < 0 ? e.Message : e.Message[..end])}", e);
        }
        // What a constructor or a setter refuses, and texts that are not valid Unicode.
        catch (Exception e) when (e is ArgumentException or FormatException or InvalidOperationException or NotSupportedException)
        {
            throw new InvalidDataException($"{source}: {e.Message}", e);
        }
    }

    /// <summary>Throws where an element of an array is null, which annotations say nothing of.</summary>
    private static void CheckElements(ReadOnlySpan<byte> json)
    {
        var reader = new Utf8JsonReader(json, new JsonReaderOptions { AllowTrailingCommas = true, CommentHandling = JsonCommentHandling.Skip });
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
                case JsonTokenType.Null when inArray.TryPeek(out var isElement) && isElement:
                    throw new JsonException("An element of an array is null.", null, json[..(int)reader.TokenStartIndex].Count((byte)'\n'), null);
            }
        }
    }
}
