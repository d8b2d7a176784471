using System.Text.Json;
using System.Text.Json.Serialization;

namespace SkillLoc.Models.Json;

/// <summary>Converts an enum by its names in snake_case; unknown names throw an error that lists the valid ones.</summary>
internal sealed class NameConverter<T> : JsonConverter<T>
    where T : struct, Enum
{
    private static readonly Dictionary<string, T> Values =
        Enum.GetValues<T>().ToDictionary(value => JsonNamingPolicy.SnakeCaseLower.ConvertName(value.ToString()), StringComparer.Ordinal);

    public override T Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        var name = reader.TokenType == JsonTokenType.String ? reader.GetString() : null;
        return name is not null && Values.TryGetValue(name, out var value)
            ? value
            : throw new JsonException($"{(name is null ? $"A {reader.TokenType}" : $"\"{name}\"")} was found; right would be one of {string.Join(", ", Values.Keys)}.");
    }

    public override void Write(Utf8JsonWriter writer, T value, JsonSerializerOptions options) =>
        writer.WriteStringValue(JsonNamingPolicy.SnakeCaseLower.ConvertName(value.ToString()));
}
