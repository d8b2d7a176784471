using System.Text.Json;
using System.Text.Json.Serialization;

namespace SkillLoc.Models.Json;

/// <summary>Reads JSON that people write by hand: comments are allowed, what nobody knows is an error, and errors name their line.</summary>
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

    /// <summary>Reads a value whose properties are in snake_case.</summary>
    /// <param name="json">The text.</param>
    /// <param name="source">What error messages call it.</param>
    /// <exception cref="InvalidDataException">It is not such a value; the message names line and property.</exception>
    public static T Read<T>(string json, string source)
        where T : class
    {
        try
        {
            return JsonSerializer.Deserialize<T>(json, Options) ?? throw new InvalidDataException($"{source} holds null.");
        }
        catch (JsonException e)
        {
            // The serializer's own message ends in path and line, counted from 0.
            var end = e.Message.IndexOf(" Path: ", StringComparison.Ordinal);
            var place = string.IsNullOrEmpty(e.Path) || e.Path == "$" ? "" : $", at {e.Path}";
            throw new InvalidDataException($"{source}, line {(e.LineNumber ?? 0) + 1}{place}: {(end < 0 ? e.Message : e.Message[..end])}", e);
        }
    }
}
