using System.Text.Json;
using System.Text.Json.Serialization;
using SkillLoc.Models.Prompts;

namespace SkillLoc.Models.Json;

/// <summary>The range of a regression's scores, <c>[0, 5]</c>.</summary>
internal sealed class ScoreRangeConverter : JsonConverter<ScoreRange>
{
    public override ScoreRange Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        var start = reader.TokenType;
        return start == JsonTokenType.StartArray && JsonSerializer.Deserialize<float[]>(ref reader, options) is [var lowest, var highest] && lowest < highest
            ? new(lowest, highest)
            : throw new JsonException("A score range is an array of the lowest and the highest score, such as [0, 5].");
    }

    public override void Write(Utf8JsonWriter writer, ScoreRange value, JsonSerializerOptions options)
    {
        writer.WriteStartArray();
        writer.WriteNumberValue(value.Lowest);
        writer.WriteNumberValue(value.Highest);
        writer.WriteEndArray();
    }
}
