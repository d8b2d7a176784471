using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace SkillLoc.Models.Datasets;

/// <summary>An encoding by its name.</summary>
internal sealed class EncodingConverter : JsonConverter<Encoding>
{
    public override Encoding Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType != JsonTokenType.String)
            throw new JsonException("An encoding is a name, such as \"utf-8\", \"latin1\" or \"windows-1252\".");
        var name = reader.GetString()!;
        try
        {
            return CodePagesEncodingProvider.Instance.GetEncoding(name) ?? Encoding.GetEncoding(name);
        }
        catch (ArgumentException e)
        {
            throw new JsonException($"There is no encoding \"{name}\"; right would be \"utf-8\", \"latin1\" or \"windows-1252\", for example.", e);
        }
    }

    public override void Write(Utf8JsonWriter writer, Encoding value, JsonSerializerOptions options) => writer.WriteStringValue(value.WebName);
}
